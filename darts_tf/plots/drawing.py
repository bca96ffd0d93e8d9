"""Sketches of cells drawn in matplotlib's axes, in points, texts as outlines.

An outline looks the same everywhere, scales with its box, and needs neither a font nor an id in
an SVG file. What an artist stands for is its `gid`, which `svg` makes a tooltip of.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.font_manager import FontProperties
from matplotlib.patches import BoxStyle, Circle, FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from darts_tf.plots.layout import Layout, arrange
from darts_tf.plots.legend import Entry, decimals_of
from darts_tf.plots.palette import COLOURS, Theme, faded, kind_of, text_on
from darts_tf.plots.sketches import Name, Operation, Sketch
from darts_tf.plots.svg import moving, titled

TEXT, SMALL = 9.0, 7.5
"""Sizes of texts."""
STATE, END = 11.0, 15.0
"""Radii of nodes, and of a cell's inputs and its output."""
BOX, TALL_BOX, ROUND, INSIDE = 20.0, 30.0, 5.0, 7.0
"""Heights of an operation's box without and with a weight, its corners, and the room in it."""
THIN, LINE, WEAKEST, STRONGEST = 0.8, 1.4, 1.0, 6.0
"""Widths of lines: without an operation, of edges without weights or all of one, and of the
smallest and largest weight."""
DASHES = (0.0, (3.0, 2.0))
"""Offset and lengths, in widths of the line, of a dashed line."""
LEGEND, SMALL_LEGEND, SWATCH, ROW = 8.0, 6.5, 10.0, 15.0
"""Sizes of the legend's texts, of its squares and of its rows."""
SIGN, COMMA, AFTER_SIGN, AFTER_ENTRY = 18.0, 6.5, 4.0, 14.0
"""Widths in a legend: of a line, of a comma between names, after a sign and after an entry."""
WEDGE = ((0.0, WEAKEST), (SIGN, STRONGEST), (SIGN, -STRONGEST), (0.0, -WEAKEST))
"""Corners of the sign of widths: twice as far apart as they are drawn."""


@dataclasses.dataclass(frozen=True)
class Vertex:
    """A state or a box with its text, a subscript after it."""

    text: str
    subscript: str = ""
    radius: float = STATE


def line_width(weight: float | None, weights: tuple[float, float] | None) -> float:
    """Returns the width of a drawn edge in points: weights fill the range of widths.

    Args:
        weight: the weight of the edge.
        weights: the smallest and the largest weight of the picture; None if it has none.
    """
    if weight is None or weights is None or weights[0] == weights[1]:
        return LINE
    low, high = weights
    return WEAKEST + (STRONGEST - WEAKEST) * (weight - low) / (high - low)


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
    nodes = [Vertex(str(state)) for state in range(sketch.first, sketch.states)]
    inputs = [Vertex(*name, END) for name in sketch.input_names]
    return [*inputs, *nodes, Vertex(*sketch.output_name, END)]


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


def planned(sketch: Sketch, width: float, weighed: bool, down: bool = False) -> Plan:
    """The layout of a cell.

    Args:
        sketch: the cell.
        width: width of its boxes.
        weighed: True for boxes two lines high, with weights.
        down: True for inputs on top and the output at the bottom, instead of left and right.
    """
    before = len(sketch.input_names) if sketch.first == 0 else 0
    *states, end = states_of(sketch)
    box = (width, TALL_BOX if weighed else BOX)
    sizes = [(2 * v.radius, 2 * v.radius) for v in states]
    edges = [(i, before) for i in range(before)]
    for number, operation in enumerate(sketch.operations, len(states)):
        sizes.append(box)
        edges += [(before + operation.source, number), (number, before + operation.target)]
    sizes.append((2 * end.radius, 2 * end.radius))
    edges += [(before + state, len(sizes) - 1) for state in sketch.concat]
    if down:
        layout = arrange(tuple(size[::-1] for size in sizes), tuple(edges)).turned()
    else:
        layout = arrange(tuple(sizes), tuple(edges))
    return Plan(sketch, layout, before, box)


class Drawing:
    """Draws into one axes, at an offset, in the colors of a theme.

    Args:
        axes: of matplotlib; its units are points.
        theme: the colors.
        weights: the range of weights that the widths of edges show.
    """

    def __init__(self, axes, theme: Theme, weights: tuple[float, float] | None = None):
        self.axes, self.theme, self.weights = axes, theme, weights
        self.offset = (0.0, 0.0)

    def cell(self, plan: Plan, variants: Sequence[Mapping[str, Operation]] | None = None) -> None:
        """Draws a cell, its boxes over its edges.

        Args:
            plan: the cell.
            variants: for each operation all that is drawn in its place, by their keys in motions.
        """
        sketch, routes = plan.sketch, plan.layout.routes
        for route in (*routes[: plan.before], *routes[plan.before + 2 * len(sketch.operations) :]):
            self.line(route, THIN, self.theme.quiet, zorder=1, down=plan.layout.down)
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
            width = line_width(operation.weight, self.weights)
            order, dashed = 2 + operation.kept, operation.decided is False
            self.line(route, width, colour, order, gid, plan.layout.down, dashed)

    def box(self, plan: Plan, number: int, operation: Operation, gid: str | None = None) -> None:
        """Draws an operation's box with its name, and its weight where it has room for that."""
        gid = gid or titled(_tooltip(plan.sketch, operation))
        centre, (width, height) = plan.layout.centres[plan.boxes[number]], plan.box
        face, edge, ink = self._look(COLOURS[kind_of(operation.primitive)], operation.kept)
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
            weight = f"{operation.weight:.{decimals_of(*self.weights)}f}"
            self.text(weight, (centre[0], centre[1] - 6.5), SMALL, ink, gid)

    def _look(self, colour: str | None, kept: bool) -> tuple[str, str, str]:
        """Returns the colors of a box: its face, its edge and its text."""
        theme = self.theme
        ink = theme.ink if colour is None else text_on(colour)
        face, edge = colour or theme.background, colour or theme.ink
        if not kept:
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
        name = (vertex.text, vertex.subscript)
        self.name(name, centre[0] - _name_width(name, TEXT, SMALL) / 2, centre[1], TEXT, SMALL)

    def name(self, name: Name, left: float, y: float, size: float, small: float) -> None:
        """Draws a letter with its subscript."""
        letter, subscript = name
        own, below = width_of(letter, size), width_of(subscript, small)
        self.text(letter, (left + own / 2, y + 1.5), size, self.theme.ink)
        self.text(subscript, (left + own + 1 + below / 2, y - 2.0), small, self.theme.ink)

    def line(
        self,
        route,
        width: float,
        colour: str,
        zorder: float,
        gid: str | None = None,
        down: bool = False,
        dashed: bool = False,
    ) -> None:
        """Draws an edge: straight within layers, and curves that begin and end level between.

        Args:
            route: a route of a `Layout`.
            width: of the line, in points.
            colour: of the line.
            zorder: of the line; lines of higher orders are drawn over it.
            gid: of the artist.
            down: as in `Layout`.
            dashed: True for a dashed line.
        """
        across = 0 if down else 1
        points, codes = [self._at(route[0])], [Path.MOVETO]
        for i, (a, b) in enumerate(itertools.pairwise(map(self._at, route))):
            if i % 2 == 0 or a[across] == b[across]:
                points.append(b)
                codes.append(Path.LINETO)
            else:
                x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
                points += [(a[0], y), (b[0], y), b] if down else [(x, a[1]), (x, b[1]), b]
                codes += [Path.CURVE4] * 3
        look = {"facecolor": "none", "edgecolor": colour, "linewidth": width, "capstyle": "butt"}
        look |= {"linestyle": DASHES} if dashed else {}
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

    def legend(self, rows: Sequence[Sequence[Entry]], left: float, bottom: float) -> None:
        """Draws a legend whose last row begins at a point."""
        self.offset = (0.0, 0.0)
        for number, row in enumerate(reversed(rows)):
            x, y = left, bottom + ROW * (number + 0.5)
            for entry in row:
                self._sign(entry, x, y)
                text = x + _sign_width(entry) + AFTER_SIGN
                width = width_of(entry.text, LEGEND)
                self.text(entry.text, (text + width / 2, y), LEGEND, self.theme.ink)
                x += entry_width(entry)

    def _sign(self, entry: Entry, left: float, y: float) -> None:
        """Draws the sign of an entry of the legend."""
        theme, half = self.theme, SWATCH / 2
        if entry.sign == "names":
            for name in entry.names:
                self.name(name, left, y, LEGEND, SMALL_LEGEND)
                left += _name_width(name, LEGEND, SMALL_LEGEND) + COMMA
                if name != entry.names[-1]:
                    self.text(",", (left - COMMA + 1.5, y - 1), LEGEND, theme.ink)
        elif entry.sign == "node":
            look = {"facecolor": theme.state, "edgecolor": theme.ink, "linewidth": 0.8}
            self.add(Circle((left + half, y), half, **look))
        elif entry.sign in ("solid", "dashed"):
            route, dashed = ((left, y), (left + SIGN, y)), entry.sign == "dashed"
            self.line(route, LINE, theme.ink, zorder=1, dashed=dashed)
        elif entry.sign == "thin":
            self.line(((left, y), (left + SIGN, y)), THIN, theme.quiet, zorder=1)
        elif entry.sign == "widths":
            ends = [(left + x, y + width / 2) for x, width in WEDGE]
            self.add(Polygon(ends, facecolor=theme.ink, edgecolor="none"))
        else:
            colour = COLOURS["separable convolution"] if entry.sign == "faint" else entry.colour
            face, edge, _ = self._look(colour, entry.sign != "faint")
            look = {"facecolor": face, "edgecolor": edge}
            self.add(Rectangle((left, y - half), SWATCH, SWATCH, **look))


def legend_rows(entries: Iterable[Entry], width: float) -> list[list[Entry]]:
    """Returns the rows of a legend of this width."""
    rows: list[list[Entry]] = []
    left = 0.0
    for entry in entries:
        own = entry_width(entry)
        if not rows or left + own - AFTER_ENTRY > width:
            rows.append([])
            left = 0.0
        rows[-1].append(entry)
        left += own
    return rows


def entry_width(entry: Entry) -> float:
    """Returns the width of an entry of a legend, with the room after it."""
    return _sign_width(entry) + AFTER_SIGN + width_of(entry.text, LEGEND) + AFTER_ENTRY


def _sign_width(entry: Entry) -> float:
    if entry.sign == "names":
        widths = [_name_width(name, LEGEND, SMALL_LEGEND) for name in entry.names]
        return sum(widths) + COMMA * (len(widths) - 1)
    return SIGN if entry.sign in ("thin", "widths", "solid", "dashed") else SWATCH


def _name_width(name: Name, size: float, small: float) -> float:
    return width_of(name[0], size) + 1 + width_of(name[1], small)
