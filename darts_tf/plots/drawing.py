"""Sketches of cells drawn in matplotlib's axes, in points, texts as outlines.

An outline looks the same everywhere, scales with its box, and needs neither a font nor an id in
an SVG file. What an artist stands for is its `gid`, which `svg` makes a tooltip of.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence

from matplotlib.font_manager import FontProperties
from matplotlib.patches import BoxStyle, Circle, FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from darts_tf.plots.layout import Layout, arrange
from darts_tf.plots.palette import COLOURS, Theme, faded, kind_of, text_on
from darts_tf.plots.sketches import Operation, Sketch
from darts_tf.plots.svg import moving, titled
from darts_tf.spaces.cell import INPUTS

TEXT, SMALL = 9.0, 7.5
"""Sizes of texts."""
STATE, END = 11.0, 15.0
"""Radii of nodes, and of a cell's inputs and its output."""
BOX, TALL_BOX, ROUND, INSIDE = 20.0, 30.0, 5.0, 7.0
"""Heights of an operation's box without and with a weight, its corners, and the room in it."""
THIN, LINE, STRONGEST = 0.8, 1.4, 6.0
"""Widths of lines: of the output, of an edge whose strength nobody knows, and of strength 1."""


@dataclasses.dataclass(frozen=True)
class Vertex:
    """A state or a box with its text, a subscript after it."""

    text: str
    subscript: str = ""
    radius: float = STATE


def line_width(strength: float | None) -> float:
    """Returns the width of a drawn edge in points, linear in its strength."""
    return LINE if strength is None else THIN + (STRONGEST - THIN) * strength


@functools.cache
def outline(text: str, size: float) -> Path:
    """A text as outlines, centred on its width, its x-height around 0."""
    from matplotlib import get_data_path

    font = FontProperties(fname=f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf")
    path = TextPath((0, 0), text, size=size, prop=font)
    box = path.get_extents()
    return path.transformed(Affine2D().translate(-(box.x0 + box.x1) / 2, -0.365 * size))


@functools.cache
def width_of(text: str, size: float = TEXT) -> float:
    """The width of a text in points."""
    return float(outline(text, size).get_extents().width)


def _tooltip(sketch: Sketch, operation: Operation) -> str:
    weight = "" if operation.weight is None else f", weight {operation.weight:.3f}"
    return sketch.words(operation) + weight


def states_of(sketch: Sketch) -> list[Vertex]:
    """The round vertices of a cell, the output last."""
    if not sketch.recurrent:
        ends = [Vertex("c", "k−2", END), Vertex("c", "k−1", END)]
        nodes = [Vertex(str(state)) for state in range(INPUTS, sketch.states)]
        return [*ends, *nodes, Vertex("c", "k", END)]
    nodes = [Vertex(str(state)) for state in range(sketch.states)]
    return [Vertex("x", "t", END), Vertex("h", "t−1", END), *nodes, Vertex("h", "t", END)]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A cell and where everything in it is drawn."""

    sketch: Sketch
    layout: Layout
    before: int
    """Vertices before state 0: the two inputs of a recurrent cell."""
    box: tuple[float, float]
    """Width and height of all boxes."""

    @property
    def boxes(self) -> range:
        """The vertices of the operations."""
        first = self.before + self.sketch.states
        return range(first, first + len(self.sketch.operations))


def planned(sketch: Sketch, width: float, weighed: bool) -> Plan:
    """The layout of a cell whose boxes are so wide, and two lines high where they have weights."""
    before = 2 if sketch.recurrent else 0
    *states, end = states_of(sketch)
    box = (width, TALL_BOX if weighed else BOX)
    sizes = [(2 * v.radius, 2 * v.radius) for v in states]
    edges = [(i, before) for i in range(before)]
    for number, operation in enumerate(sketch.operations, len(states)):
        sizes.append(box)
        edges += [(before + operation.source, number), (number, before + operation.target)]
    sizes.append((2 * end.radius, 2 * end.radius))
    edges += [(before + state, len(sizes) - 1) for state in sketch.concat]
    return Plan(sketch, arrange(tuple(sizes), tuple(edges)), before, box)


class Drawing:
    """Draws into one axes, at an offset, in the colors of a theme."""

    def __init__(self, axes, theme: Theme):
        self.axes, self.theme = axes, theme
        self.offset = (0.0, 0.0)

    def cell(self, plan: Plan, variants: Sequence[Mapping[str, Operation]] | None = None) -> None:
        """Draws a cell, its boxes over its edges.

        Args:
            plan: the cell.
            variants: for each operation all that is drawn in its place, by their keys in motions.
        """
        sketch, routes = plan.sketch, plan.layout.routes
        for route in (*routes[: plan.before], *routes[plan.before + 2 * len(sketch.operations) :]):
            self.line(route, THIN, self.theme.quiet, zorder=1)
        for number, operation in enumerate(sketch.operations):
            drawn = variants[number] if variants else {"": operation}
            for key, variant in drawn.items():
                self.edge(plan, number, variant, moving(f"{key}-edge") if key else None)
                self.box(plan, number, variant, moving(key) if key else None)
        *states, end = states_of(sketch)
        places = [*plan.layout.centres[: len(states)], plan.layout.centres[-1]]
        for vertex, place in zip((*states, end), places, strict=True):
            self.state(vertex, place)

    def edge(self, plan: Plan, number: int, operation: Operation, gid: str | None = None) -> None:
        """Draws the two parts of an operation's edge, before its box and behind."""
        colour = self.theme.ink if operation.kept else self.theme.faint
        for half in (0, 1):
            route = plan.layout.routes[plan.before + 2 * number + half]
            zorder = 2 + operation.kept
            self.line(route, line_width(operation.weight), colour, zorder, gid)

    def box(self, plan: Plan, number: int, operation: Operation, gid: str | None = None) -> None:
        """Draws an operation's box with its name, and its weight where it has room for that."""
        gid = gid or titled(_tooltip(plan.sketch, operation))
        centre, (width, height) = plan.layout.centres[plan.boxes[number]], plan.box
        face, edge, ink = self._colours(operation)
        shape = FancyBboxPatch(
            self._at((centre[0] - width / 2, centre[1] - height / 2)),
            *(width, height),
            boxstyle=BoxStyle.Round(pad=0, rounding_size=ROUND),
            **{"facecolor": face, "edgecolor": edge, "linewidth": 1.0, "zorder": 4, "gid": gid},
        )
        self.add(shape)
        name = operation.primitive
        if height == BOX:
            self.text(name, centre, TEXT, ink, gid)
        else:
            self.text(name, (centre[0], centre[1] + 5.5), TEXT, ink, gid)
            weight = f"{operation.weight:.2f}"
            self.text(weight, (centre[0], centre[1] - 6.5), SMALL, ink, gid)

    def _colours(self, operation: Operation) -> tuple[str, str, str]:
        theme, colour = self.theme, COLOURS[kind_of(operation.primitive)]
        ink = theme.ink if colour is None else text_on(colour)
        face, edge = colour or theme.background, colour or theme.ink
        if not operation.kept:
            face = faded(face, theme.background, 0.75)
            edge = faded(edge, theme.background, 0.6)
            ink = faded(theme.ink, theme.background, 0.25)
        return face, edge, ink

    def state(self, vertex: Vertex, centre) -> None:
        """Draws a round vertex."""
        theme = self.theme
        look = {"facecolor": theme.state, "edgecolor": theme.ink, "linewidth": 1.0, "zorder": 4}
        self.add(Circle(self._at(centre), vertex.radius, **look))
        if not vertex.subscript:
            return self.text(vertex.text, centre, TEXT, theme.ink)
        own, small = width_of(vertex.text), width_of(vertex.subscript, SMALL)
        left, y = centre[0] - (own + small + 1) / 2, centre[1]
        self.text(vertex.text, (left + own / 2, y + 1.5), TEXT, theme.ink)
        self.text(vertex.subscript, (left + own + 1 + small / 2, y - 2.0), SMALL, theme.ink)

    def line(self, route, width: float, colour: str, zorder: float, gid: str | None = None) -> None:
        """Draws an edge: straight within layers, and curves that begin and end level between."""
        points, codes = [self._at(route[0])], [Path.MOVETO]
        for i, (a, b) in enumerate(itertools.pairwise(map(self._at, route))):
            if i % 2 == 0 or a[1] == b[1]:
                points.append(b)
                codes.append(Path.LINETO)
            else:
                middle = (a[0] + b[0]) / 2
                points += [(middle, a[1]), (middle, b[1]), b]
                codes += [Path.CURVE4] * 3
        look = {"facecolor": "none", "edgecolor": colour, "linewidth": width, "capstyle": "butt"}
        self.add(PathPatch(Path(points, codes), zorder=zorder, gid=gid, **look))

    def text(self, text: str, centre, size: float, colour: str, gid: str | None = None) -> None:
        """Draws a text around a point."""
        path = outline(text, size).transformed(Affine2D().translate(*self._at(centre)))
        self.add(PathPatch(path, facecolor=colour, edgecolor="none", zorder=5, gid=gid))

    def _at(self, point):
        return (point[0] + self.offset[0], point[1] + self.offset[1])

    def add(self, patch) -> None:
        """Draws a patch whose points are those of the axes."""
        patch.set_clip_on(False)
        self.axes.add_artist(patch)
