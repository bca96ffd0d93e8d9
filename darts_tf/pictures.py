"""Pictures of cells for notebooks, files and pages: matplotlib's figures, without pyplot."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from darts_tf import sketches
from darts_tf.drawing import BOX, INSIDE, TALL_BOX, TEXT, Drawing, planned, width_of
from darts_tf.genotype import Genotype, RecurrentGenotype
from darts_tf.names import unknown_name
from darts_tf.palette import COLOURS, DARK, LIGHT, kind_of, readable
from darts_tf.sketches import Sketch
from darts_tf.svg import svg_of, titled
from darts_tf.zoo import load_genotype

MARGIN, HEADING, BETWEEN, SWATCH = 14.0, 22.0, 16.0, 10.0
"""Around everything, the room of a line of text, between cells, the squares of the legend."""
DOTS = 200
"""Pixels an inch of PNG files."""
HEADINGS = {"normal": "normal cell", "reduce": "reduction cell", "recurrent": "recurrent cell"}


def plot_genotype(
    genotype: Genotype | RecurrentGenotype | str | os.PathLike[str],
    *,
    cell: str | None = None,
    strengths: Mapping[str, Sequence[float]] | Sequence[float] | None = None,
    title: str | None = None,
    dark: bool = False,
    ax=None,
) -> Figure:
    """Draws the cells of a genotype: inputs on the left, the output on the right.

    Args:
        genotype: itself, the name of a published one, or a file.
        cell: `"normal"` or `"reduce"` for one of the cells; by default both are drawn. With
            `"recurrent"` a name is that of a recurrent cell.
        strengths: of every pair of the genotype, by the name of the cell (a sequence will do for one
            cell): edges are as wide.
        title: above the picture.
        dark: light on dark.
        ax: matplotlib's axes to draw in; by default those of a new figure.

    Returns:
        The figure. Notebooks show it; `picture` makes files of it.

    Raises:
        InputError: An unknown name or cell, a file without a genotype, or other strengths.
    """
    if not isinstance(genotype, Genotype | RecurrentGenotype):
        genotype = load_genotype(genotype, recurrent=True if cell == "recurrent" else None)
    return composed(sketches.of_genotype(genotype, cell, strengths), title, dark, ax)


def plot_supernet(
    alphas,
    *,
    genotype: Genotype | RecurrentGenotype | None = None,
    cell: str | None = None,
    primitives: Sequence[str] | None = None,
    relaxation: str = "softmax",
    edge_primitives=None,
    title: str | None = None,
    dark: bool = False,
    ax=None,
) -> Figure:
    """Draws all edges of a search's cells, as wide as they are strong, those that are kept in full.

    Every edge has its strongest operation and that one's weight, as `derivation.strengths` gives
    them.

    Args:
        alphas: the arrays of a supernet, as `runs.load_alphas` gives them.
        genotype: what is kept; by default what `derive` or `derive_recurrent` keeps.
        cell: as in `plot_genotype`.
        primitives: what the columns stand for; by default the usual ones.
        relaxation: as in `derive`.
        edge_primitives: as in `derive`.
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
    )
    return composed(found, title, dark, ax)


def composed(
    cells: Sequence[Sketch],
    title: str | None = None,
    dark: bool = False,
    ax=None,
    names: Sequence[str] = (),
) -> Figure:
    """A figure of cells one above the other, with a legend.

    Args:
        cells: what to draw.
        title: above all.
        dark: light on dark.
        ax: axes to draw in, or None.
        names: primitives that boxes and legend have room for besides those that are drawn.
    """
    theme = DARK if dark else LIGHT
    every = sorted({*names, *(op.primitive for cell in cells for op in cell.operations)})
    width = max(width_of(readable(name), TEXT) for name in every) + 2 * INSIDE
    plans = [planned(cell, width, _is_supernet(cell)) for cell in cells]
    kinds = [] if cells[0].recurrent else [k for k in COLOURS if k in map(kind_of, every)]
    inside = max([*(plan.layout.width for plan in plans), _legend_width(kinds)])
    height = 2 * MARGIN + HEADING * (bool(title) + bool(kinds))
    height += sum(plan.layout.height + HEADING + BETWEEN for plan in plans) - BETWEEN
    axes = ax if ax is not None else _axes(inside + 2 * MARGIN, height)
    axes.set(xlim=(0, inside + 2 * MARGIN), ylim=(0, height), aspect="equal")
    axes.set_axis_off()
    axes.get_figure(root=True).set_facecolor(theme.background)
    drawing, top = Drawing(axes, theme), height - MARGIN
    if title:
        top = _heading(drawing, title, top, TEXT + 3)
    for plan in plans:
        top = _heading(drawing, HEADINGS[plan.sketch.cell], top, TEXT)
        top -= plan.layout.height
        drawing.offset = (MARGIN + (inside - plan.layout.width) / 2, top)
        drawing.cell(plan)
        top -= BETWEEN
    _legend(drawing, kinds)
    return axes.get_figure(root=True)


def _is_supernet(cell: Sketch) -> bool:
    return any(not operation.kept for operation in cell.operations)


def _axes(width: float, height: float):
    figure = Figure(figsize=(width / 72, height / 72))
    return figure.add_axes((0, 0, 1, 1))


def _heading(drawing: Drawing, text: str, top: float, size: float) -> float:
    drawing.offset = (0.0, 0.0)
    place = (MARGIN + width_of(text, size) / 2, top - HEADING / 2)
    drawing.text(text, place, size, drawing.theme.ink)
    return top - HEADING


def _legend_width(kinds: Sequence[str]) -> float:
    return sum(SWATCH + 4 + width_of(kind, TEXT - 1) + 14 for kind in kinds)


def _legend(drawing: Drawing, kinds: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    drawing.offset, left = (0.0, 0.0), MARGIN
    for kind in kinds:
        colour = COLOURS[kind]
        look = {"facecolor": colour or "none", "edgecolor": colour or drawing.theme.ink}
        drawing._add(Rectangle((left, MARGIN), SWATCH, SWATCH, **look))
        left += SWATCH + 4
        width = width_of(kind, TEXT - 1)
        drawing.text(kind, (left + width / 2, MARGIN + SWATCH / 2), TEXT - 1, drawing.theme.ink)
        left += width + 14


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
    return _saved(figure, "png", dpi=DOTS, metadata={"Software": None})


def _pdf(figure: Figure) -> bytes:
    return _saved(figure, "pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})


def _gif(figure: Figure) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    image = Image.open(io.BytesIO(_png(figure))).convert("RGB")
    image.quantize(128).save(file, format="GIF")
    return file.getvalue()


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
"""What a picture can be written as, and how."""
