"""Pictures of cells for notebooks, files and pages: matplotlib's figures, without pyplot."""

from __future__ import annotations

import dataclasses
import io
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from darts_tf.errors import unknown_name
from darts_tf.plots import sketches
from darts_tf.plots.drawing import (
    AFTER_ENTRY,
    INSIDE,
    ROW,
    TEXT,
    Drawing,
    Plan,
    entry_width,
    legend_rows,
    planned,
    width_of,
)
from darts_tf.plots.gif import gif_of_images, with_palette
from darts_tf.plots.legend import legend_of, weight_range
from darts_tf.plots.palette import CSS_VARIABLES, DARK, LIGHT, PAGE, Theme
from darts_tf.plots.sketches import Operation, Sketch, describe_sketch
from darts_tf.plots.svg import moving, svg_of, titled
from darts_tf.spaces.genotype import CELL_TITLES, AnyGenotype
from darts_tf.spaces.search_spaces import Space
from darts_tf.spaces.zoo import load_genotype

MARGIN, HEADING, BETWEEN, EDGE = 14.0, 22.0, 16.0, 1.0
"""Around everything, the room of a line of text, between cells, and around the cell of a page."""
TITLE = 12.0
"""Size of the title."""
LEGEND_WIDTH = 420.0
"""Width from which on the legend of a narrow picture has another row."""
NARROWER = 0.85
"""Share of the width of cells for which pages have them from top to bottom."""
DOTS = 200
"""Pixels an inch of PNG files."""


def plot_genotype(
    genotype: AnyGenotype | str | os.PathLike[str],
    *,
    cell: str | None = None,
    strengths: Mapping[str, Sequence[float]] | Sequence[float] | None = None,
    undecided: Mapping[str, Collection[int]] | None = None,
    title: str | None = None,
    dark: bool = False,
    ax=None,
) -> Figure:
    """Draws the cells of a genotype: inputs on the left, the output on the right.

    Args:
        genotype: itself, the name of a published one, or a file.
        cell: `"normal"` or `"reduce"` for one of the cells; by default both are drawn. With
            `"recurrent"` a name is that of a recurrent cell.
        strengths: of every pair of the genotype, by the name of the cell: edges are as wide. For
            one cell a sequence will do.
        undecided: by the name of the cell, the numbers of the pairs of the genotype that are drawn
            dashed, such as `Confidence.undecided_pairs`; None if nothing is known about that.
        title: above the picture.
        dark: light on dark.
        ax: matplotlib's axes to draw in; by default those of a new figure.

    Returns:
        The figure. Notebooks show it; `picture` makes files of it.

    Raises:
        InputError: An unknown name or cell, a file without a genotype, or other strengths.
    """
    if not isinstance(genotype, AnyGenotype):
        genotype = load_genotype(genotype, recurrent=True if cell == "recurrent" else None)
    cells = sketches.of_genotype(genotype, cell, strengths, undecided)
    return composed(cells, _page(title, dark), ax)


def plot_supernet(
    alphas,
    *,
    genotype: AnyGenotype | None = None,
    cell: str | None = None,
    primitives: Sequence[str] | None = None,
    relaxation: str = "softmax",
    edge_primitives=None,
    space: Space | None = None,
    title: str | None = None,
    dark: bool = False,
    ax=None,
) -> Figure:
    """Draws all edges of a search's cells, as wide as they are strong, those that are kept in full.

    Every edge has its strongest operation and that one's weight, as `derivation.strengths` gives
    them.

    Args:
        alphas: the arrays of a supernet, as `alphas.load_alphas` gives them.
        genotype: what is kept; by default what `derive` or `derive_recurrent` keeps.
        cell: as in `plot_genotype`.
        primitives: what the columns stand for; by default the usual ones.
        relaxation: as in `derive`.
        edge_primitives: as in `derive`.
        space: search space, for cells other than DARTS' and recurrent ones; it replaces
            `primitives` and `edge_primitives`.
        title: as in `plot_genotype`.
        dark: as in `plot_genotype`.
        ax: as in `plot_genotype`.

    Raises:
        InputError: Arrays of other shapes, a cell that they are not of, or a genotype with another
            number of nodes.
    """
    found = sketches.of_alphas(
        alphas,
        genotype=genotype,
        cell=cell,
        primitives=primitives,
        relaxation=relaxation,
        edge_primitives=edge_primitives,
        space=space,
    )
    return composed(found, _page(title, dark), ax)


def _page(title: str | None, dark: bool) -> Page:
    return Page({"": title} if title else {}, DARK if dark else LIGHT)


class Picture(Figure):
    """A figure that notebooks show as it is, without pyplot."""

    def _repr_svg_(self) -> str:
        return svg_of(self).decode()


@dataclasses.dataclass(frozen=True)
class Page:
    """Settings of a figure beside its cells."""

    titles: Mapping[str, str]
    """Titles above the figure, by key; in a film several alternate."""
    theme: Theme = LIGHT
    """Colors of the figure."""
    weighed: bool = True
    """True to write the weights of operations into the boxes of a supernet."""
    variants: Sequence[Sequence[Mapping[str, Operation]]] = ()
    """Variants of each operation of each cell that alternate in a film, by key."""
    weights: tuple[float, float] | None = None
    """Range of the weights that widths show; by default that of the cells."""


def composed(cells: Sequence[Sketch], page: Page, ax=None) -> Figure:
    """A figure of cells one above the other, or a part of one, with a legend."""
    operations = _drawn(cells, page)
    weights = page.weights or weight_range(operations)
    plans = _plans(cells, operations, page.weighed)
    entries = legend_of(cells, operations, weights)
    widths = [entry_width(entry) for entry in entries]
    inside = max([max(widths), min(sum(widths) - AFTER_ENTRY, LEGEND_WIDTH)])
    inside = max([inside, *(plan.layout.width for plan in plans)])
    inside = max([inside, *(width_of(title, TITLE) for title in page.titles.values())])
    rows = legend_rows(entries, inside)
    height = 2 * MARGIN + HEADING * bool(page.titles) + BETWEEN + ROW * len(rows)
    height += sum(plan.layout.height + HEADING + BETWEEN for plan in plans) - BETWEEN
    axes = _axes(ax, inside + 2 * MARGIN, height, page.theme)
    drawing, top = Drawing(axes, page.theme, weights), height - MARGIN
    for key, title in page.titles.items():
        _heading(drawing, title, top, TITLE, moving(key) if page.variants else None)
    top -= HEADING * bool(page.titles)
    for number, plan in enumerate(plans):
        _heading(drawing, CELL_TITLES[plan.sketch.cell], top, TEXT)
        top -= HEADING + plan.layout.height
        drawing.offset = (MARGIN + (inside - plan.layout.width) / 2, top)
        drawing.cell(plan, page.variants[number] if page.variants else None)
        top -= BETWEEN
    drawing.legend(rows, MARGIN, MARGIN)
    figure = axes.get_figure(root=True)
    if ax is None:
        figure.set_gid(
            titled("; ".join([*list(page.titles.values())[-1:], *map(describe_sketch, cells)]))
        )
    return figure


def _drawn(cells: Sequence[Sketch], page: Page) -> list[Operation]:
    """All operations that there are boxes of."""
    found = [operation for cell in cells for operation in cell.operations]
    return found + [op for cell in page.variants for looks in cell for op in looks.values()]


def _plans(
    cells: Sequence[Sketch], operations: Sequence[Operation], weighed: bool, down: bool = False
) -> list[Plan]:
    """Returns the layouts of cells whose boxes all have the same width."""
    names = sorted({operation.primitive for operation in operations})
    width = max(map(width_of, names), default=0.0) + 2 * INSIDE
    return [planned(cell, width, weighed and _is_supernet(cell), down) for cell in cells]


def _is_supernet(cell: Sketch) -> bool:
    return any(not operation.kept for operation in cell.operations)


def _axes(ax, width: float, height: float, theme: Theme):
    """The axes themselves, or those that fill a new figure; a unit is a point there."""
    if ax is None:
        figure = Picture(figsize=(width / 72, height / 72), facecolor=theme.background)
        ax = figure.add_axes((0, 0, 1, 1))
    else:
        ax.add_patch(Rectangle((0, 0), width, height, color=theme.background, zorder=0))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.set_axis_off()
    return ax


def _heading(drawing: Drawing, text: str, top: float, size: float, gid: str | None = None) -> None:
    drawing.offset = (0.0, 0.0)
    place = (MARGIN + width_of(text, size) / 2, top - HEADING / 2)
    drawing.text(text, place, size, drawing.theme.ink, gid)


@dataclasses.dataclass(frozen=True)
class InlineCell:
    """The drawing of a cell for a page."""

    cell: str
    """A key of `genotype.CELL_KINDS`."""
    svg: str
    """An `svg` element. Its colors are CSS variables: `--cell-ink`, and so on with the fields of
    `palette.Theme`."""
    size: tuple[float, float]
    """Width and height in points."""


def inline_cells(
    genotype: AnyGenotype, undecided: Mapping[str, Collection[int]] | None = None
) -> list[InlineCell]:
    """Draws each cell of a genotype for a page that has headings and a legend itself.

    All cells are drawn from left to right, or all from top to bottom if that is narrower by
    `NARROWER`.

    Args:
        genotype: the cells.
        undecided: as in `plot_genotype`.
    """
    cells = sketches.of_genotype(genotype, undecided=undecided)
    operations = [operation for cell in cells for operation in cell.operations]
    right, down = (_plans(cells, operations, False, down) for down in (False, True))
    plans = down if _width(down) < NARROWER * _width(right) else right
    drawn = []
    for cell, plan in zip(cells, plans, strict=True):
        width, height = plan.layout.width + 2 * EDGE, plan.layout.height + 2 * EDGE
        axes = _axes(None, width, height, PAGE)
        drawing = Drawing(axes, PAGE)
        drawing.offset = (EDGE, EDGE)
        drawing.cell(plan)
        figure = axes.get_figure(root=True)
        figure.set_gid(titled(describe_sketch(cell)))
        drawn.append(InlineCell(cell.cell, _element(svg_of(figure)), (width, height)))
    return drawn


def _width(plans: Sequence[Plan]) -> float:
    return max(plan.layout.width for plan in plans)


def _element(svg: bytes) -> str:
    """Returns the `svg` element of a file, without the XML header, with CSS variables."""
    text = " ".join(svg.decode().partition("?>")[2].split())
    return re.sub("|".join(CSS_VARIABLES), lambda match: CSS_VARIABLES[match[0]], text)


def picture(figure: Figure, format: str) -> bytes:
    """The bytes of a file that shows the figure; the same figure has the same bytes.

    Args:
        figure: what `plot_genotype` and `plot_supernet` return, or any other.
        format: a name of `FORMATS`.

    Raises:
        InputError: another format.
    """
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    return FORMATS[format](figure)


def _png(figure: Figure) -> bytes:
    """Returns a PNG file; a picture of ours, which has few colors, as one with a palette."""
    if not isinstance(figure, Picture):
        return _saved(figure, "png", dpi=DOTS, metadata={"Software": None})
    (image,) = with_palette([pixels(figure, DOTS)])
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, dpi=(DOTS, DOTS))
    return file.getvalue()


def _pdf(figure: Figure) -> bytes:
    return _saved(figure, "pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})


def _gif(figure: Figure) -> bytes:
    return gif_of_images([pixels(figure, DOTS)])


def pixels(figure: Figure, dots: int) -> np.ndarray:
    """The figure as an image (height, width, 3) of uint8, with so many pixels an inch."""
    before = figure.get_dpi()
    figure.set_dpi(dots)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_dpi(before)
    return np.array(canvas.buffer_rgba())[..., :3]


def _saved(figure: Figure, format: str, **options) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=format, **options)
    return file.getvalue()


FORMATS: dict[str, Callable[[Figure], bytes]] = {
    "svg": svg_of,
    "png": _png,
    "pdf": _pdf,
    "gif": _gif,
}
"""Writers of picture files, by format."""
