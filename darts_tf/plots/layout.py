"""Layout of a cell's graph as coordinates: layers of vertices from left to right.

Sugiyama, Tagawa and Toda 1981: vertices get layers, an edge that passes others gets a lane in each,
layers are ordered so that few edges cross, and then come coordinates. All edges that leave a
vertex share their lanes, as wires of one signal do, so that a picture has few lines.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
from collections.abc import Sequence

from darts_tf.errors import InputError

Point = tuple[float, float]

APART, LANES_APART = 9.0, 7.0
"""Least distance of two vertices of a layer, and of a lane from its neighbours, in points."""
LEAST_GAP, MOST_GAP, STEEPNESS = 26.0, 84.0, 3.0
"""Bounds on the distance of two layers, and how many times as far as that an edge may climb."""
SWEEPS = 12
"""Number of sweeps, forward and back, that order layers by their neighbors."""
STRAIGHT = 50.0
"""Weight of straightness of edges in lanes, and of edges without others at their ends."""

LEAST_CLIMB = 10.0
"""Least climb of an edge between two layers that is not level, in points: less is a jog."""
PULL = 1e-3
"""Weight of a pull to one height that makes the solution unique."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """Places in points; x grows to the right, y upwards, and all is right of and above (0, 0)."""

    centres: tuple[Point, ...]
    """Center of every vertex."""
    routes: tuple[tuple[Point, ...], ...]
    """Route of every edge, from the right side of its source to the left side of its target.
    Between every other point and the next it lies within a layer and is straight and level;
    elsewhere it is meant to be a curve that leaves and arrives level."""
    width: float
    """Width of the whole layout."""
    height: float
    """Height of the whole layout."""
    down: bool = False
    """True if layers lie from top to bottom, and edges leave and arrive upright."""

    def turned(self) -> Layout:
        """Returns the layout with layers from top to bottom, where the first are at the left."""
        return Layout(
            tuple(map(self._turned, self.centres)),
            tuple(tuple(map(self._turned, route)) for route in self.routes),
            self.height,
            self.width,
            down=True,
        )

    def _turned(self, point: Point) -> Point:
        return (round(self.height - point[1], 2), round(self.width - point[0], 2))


@functools.lru_cache(maxsize=64)
def arrange(sizes: tuple[tuple[float, float], ...], edges: tuple[tuple[int, int], ...]) -> Layout:
    """The layout of a graph without cycles.

    Vertices that no edge enters are in the first layer, in the order that they have; the last
    vertex is alone in the last layer. One with one edge in and one edge out, as an operation has,
    is in the layer before what it feeds. The same graph has the same layout.

    Args:
        sizes: width and height of every vertex in points.
        edges: (source, target) pairs of vertices, source < target or not; edges may repeat.

    Raises:
        InputError: The edges have a cycle, or a vertex that is not there.
    """
    layer_of = _layers(len(sizes), edges)
    lanes = _lanes(edges, layer_of, first=len(sizes))
    layer_of = {**layer_of, **{lane: layer for (_, layer), lane in lanes.items()}}
    steps = [_steps(edge, layer_of, lanes) for edge in edges]
    segments = sorted({pair for step in steps for pair in itertools.pairwise(step)})
    layers = _ordered(layer_of, segments)
    heights = {v: sizes[v][1] if v < len(sizes) else 0.0 for v in layer_of}
    y_of = _heights(layers, segments, heights, first_lane=len(sizes))
    columns = _columns(layers, segments, y_of, sizes)
    centres = tuple((sum(columns[layer_of[v]]) / 2, y_of[v]) for v in range(len(sizes)))
    routes = tuple(_route(step, layer_of, columns, y_of, centres, sizes) for step in steps)
    top = max(y_of[v] + heights[v] / 2 for v in y_of)
    return Layout(centres, routes, columns[-1][1], round(top, 2))


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> dict[int, int]:
    """The layer of every vertex: that of the longest way to it, operations right before nodes."""
    before: dict[int, list[int]] = {v: [] for v in range(count)}
    after: dict[int, list[int]] = {v: [] for v in range(count)}
    for source, target in edges:
        if not (0 <= source < count and 0 <= target < count):
            raise InputError(f"Expected edges of {count} vertices. Received: {(source, target)}")
        before[target].append(source)
        after[source].append(target)
    found: dict[int, int] = {}
    while len(found) < count:
        ready = [v for v in before if v not in found and all(u in found for u in before[v])]
        if not ready:
            raise InputError(f"Expected edges without a cycle. Received: {list(edges)}")
        found |= {v: 1 + max((found[u] for u in before[v]), default=-1) for v in ready}
    others = [found[v] for v in range(count - 1)]
    found[count - 1] = max([found[count - 1], *(layer + 1 for layer in others)])
    for v in range(count):
        if len(before[v]) == len(after[v]) == 1:
            found[v] = found[after[v][0]] - 1
    return found


def _lanes(edges, layer_of, first: int) -> dict[tuple[int, int], int]:
    """By vertex and layer, a number from `first` on for each lane that its edges need."""
    needed = {
        (source, layer)
        for source, target in edges
        for layer in range(layer_of[source] + 1, layer_of[target])
    }
    return {place: number for number, place in enumerate(sorted(needed), first)}


def _steps(edge, layer_of, lanes) -> tuple[int, ...]:
    """Returns the vertices and lanes of an edge, one per layer."""
    source, target = edge
    between = range(layer_of[source] + 1, layer_of[target])
    return (source, *(lanes[source, layer] for layer in between), target)


def _ordered(layer_of, segments) -> list[list[int]]:
    """The vertices and lanes of every layer from below, with few crossings between layers."""
    start = [[] for _ in range(1 + max(layer_of.values()))]
    for v in sorted(layer_of, reverse=True):  # what comes first is drawn above
        start[layer_of[v]].append(v)
    best, fewest = start, _crossings(start, segments)
    for ways in (("left", "right"), ("right", "left")):
        layers = start
        for way in itertools.islice(itertools.cycle(ways), 2 * SWEEPS):
            layers = _swapped(_sorted_by_neighbours(layers, segments, way), segments)
            found = _crossings(layers, segments)
            if found < fewest:
                best, fewest = layers, found
    return best


def _sorted_by_neighbours(layers, segments, way: str) -> list[list[int]]:
    """Each layer but the first in the order of the means of its neighbours' places on one side."""
    layers = [list(layer) for layer in layers]
    neighbours: dict[int, list[int]] = {}
    for left, right in segments:
        v, neighbour = (right, left) if way == "left" else (left, right)
        neighbours.setdefault(v, []).append(neighbour)
    numbers = range(1, len(layers)) if way == "left" else range(len(layers) - 2, 0, -1)
    for number in numbers:
        beside = layers[number - 1 if way == "left" else number + 1]
        place = {v: (i + 0.5) / len(beside) for i, v in enumerate(beside)}
        own = {v: (i + 0.5) / len(layers[number]) for i, v in enumerate(layers[number])}
        means = {
            v: sum(place[u] for u in neighbours[v]) / len(neighbours[v]) if v in neighbours else y
            for v, y in own.items()
        }
        layers[number].sort(key=means.__getitem__)
    return layers


def _swapped(layers, segments) -> list[list[int]]:
    """Exchanges neighbors as long as that reduces the number of crossings; returns the orders."""
    layers = [list(layer) for layer in layers]
    sides: dict[int, tuple[list[int], list[int]]] = {v: ([], []) for layer in layers for v in layer}
    for left, right in segments:
        sides[left][1].append(right)
        sides[right][0].append(left)
    place = {v: i for layer in layers for i, v in enumerate(layer)}
    better = True
    while better:
        better = False
        for layer in layers[1:]:
            for i in range(len(layer) - 1):
                a, b = layer[i], layer[i + 1]
                if _pair_crossings(sides[b], sides[a], place) < _pair_crossings(
                    sides[a], sides[b], place
                ):
                    layer[i], layer[i + 1] = b, a
                    place[a], place[b] = i + 1, i
                    better = True
    return layers


def _pair_crossings(lower, upper, place) -> int:
    """Crossings of the segments of one vertex with those of the one above it."""
    return sum(
        place[u] > place[v]
        for below, above in zip(lower, upper, strict=True)
        for u in below
        for v in above
    )


def _crossings(layers, segments) -> int:
    """Returns the number of pairs of segments that cross."""
    place = {v: i for layer in layers for i, v in enumerate(layer)}
    number = {v: i for i, layer in enumerate(layers) for v in layer}
    ends: list[list[tuple[int, int]]] = [[] for _ in layers]
    for u, v in segments:
        ends[number[u]].append((place[u], place[v]))
    pairs = itertools.chain.from_iterable(itertools.combinations(each, 2) for each in ends)
    return sum((a - c) * (b - d) < 0 for (a, b), (c, d) in pairs)


def _heights(layers, segments, heights, first_lane: int) -> dict[int, float]:
    """The y of all: the squares of the segments' climbs are least, and no two vertices overlap.

    Segments that would climb less than `LEAST_CLIMB` are made level. Where the order of a layer
    forbids that, they climb `LEAST_CLIMB`.
    """
    above = {}
    for layer in layers:
        for lower, upper in itertools.pairwise(layer):
            lane = max(lower, upper) >= first_lane
            room = (heights[lower] + heights[upper]) / 2
            above[lower, upper] = room + (LANES_APART if lane else APART)
    leaving = collections.Counter(u for u, _ in segments)
    entering = collections.Counter(v for _, v in segments)
    weights = {
        (u, v): STRAIGHT if alone or min(u, v) >= first_lane else 1.0
        for u, v in segments
        for alone in [leaving[u] == entering[v] == 1]
    }
    group = {v: v for layer in layers for v in layer}
    undecided = set(segments)
    while True:
        y = _least_climbs(group, above, weights)
        climbs = sorted((abs(y[u] - y[v]), u, v) for u, v in undecided)
        small = [(u, v) for climb, u, v in climbs if 0 < climb < LEAST_CLIMB]
        if not small:
            break
        undecided -= set(small)
        for u, v in small:
            if _is_above(v, u, group, above):
                above[u, v] = LEAST_CLIMB + 0.05  # more than what is rounded
            elif _is_above(u, v, group, above):
                above[v, u] = LEAST_CLIMB + 0.05
            else:
                merged, into = group[v], group[u]
                group = {w: into if own == merged else own for w, own in group.items()}
    bottom = min(y[v] - heights[v] / 2 for v in y)
    return {v: round(value - bottom, 2) for v, value in y.items()}


def _is_above(upper: int, lower: int, group, above) -> bool:
    """True if the order of layers has `upper`, or one on its level, above `lower`."""
    higher: dict[int, set[int]] = {}
    for a, b in above:
        higher.setdefault(group[a], set()).add(group[b])
    seen, found = set(), {group[lower]}
    while found:
        seen |= found
        found = set().union(*(higher.get(each, ()) for each in found)) - seen
    return group[upper] in seen - {group[lower]}


def _least_climbs(group, above, weights) -> dict[int, float]:
    """The y with the least weighted squares of climbs: least squares with lower bounds.

    The problem is turned into one of least distance, whose dual has bounds of 0 alone (Lawson and
    Hanson 1974, chapter 23).

    Args:
        group: by vertex, the group of those on the same level.
        above: by (lower, upper) pairs of vertices, how far apart they are at least.
        weights: by segment, the weight of its climb.
    """
    import numpy as np
    from scipy.optimize import nnls

    if not above:
        return dict.fromkeys(group, 0.0)
    column = {own: i for i, own in enumerate(sorted(set(group.values())))}
    place = {v: column[own] for v, own in group.items()}
    rows = np.zeros((len(weights), len(column)))
    for row, ((u, v), weight) in zip(rows, weights.items(), strict=True):
        row[place[u]] += weight
        row[place[v]] -= weight
    pulled = np.concatenate([rows, PULL * np.eye(len(column))])
    inverse = np.linalg.inv(np.linalg.qr(pulled, mode="r"))
    bounds = np.zeros((len(above), len(column)))
    for row, (lower, upper) in zip(bounds, above, strict=True):
        row[place[upper]] += 1
        row[place[lower]] -= 1
    dual = np.concatenate([(bounds @ inverse).T, [list(above.values())]])
    target = np.eye(len(dual))[-1]
    distance = target - dual @ nnls(dual, target, maxiter=100 * dual.shape[1])[0]
    y = inverse @ (distance[:-1] / -distance[-1])
    return {v: round(float(y[i]), 2) for v, i in place.items()}


def _columns(layers, segments, y_of, sizes) -> list[tuple[float, float]]:
    """Left and right of every layer, the farther apart the more the edges between them climb."""
    number = {v: i for i, layer in enumerate(layers) for v in layer}
    columns, left = [], 0.0
    for i, layer in enumerate(layers):
        width = max(sizes[v][0] if v < len(sizes) else 0.0 for v in layer)
        columns.append((round(left, 2), round(left + width, 2)))
        climb = max((abs(y_of[u] - y_of[v]) for u, v in segments if number[u] == i), default=0.0)
        left += width + min(max(climb / STEEPNESS, LEAST_GAP), MOST_GAP)
    return columns


def _route(step, layer_of, columns, y_of, centres, sizes) -> tuple[Point, ...]:
    points = []
    for v in step:
        left, right = columns[layer_of[v]]
        points += [(left, y_of[v]), (right, y_of[v])]
    source, target = step[0], step[-1]
    points[0] = (centres[source][0] + sizes[source][0] / 2, y_of[source])
    points[-1] = (centres[target][0] - sizes[target][0] / 2, y_of[target])
    return tuple((round(x, 2), y) for x, y in points)
