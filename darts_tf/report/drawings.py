"""Drawings of cells in pages: one for light and dark screens, with a legend as text."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

from darts_tf.plots.legend import Entry, legend_of
from darts_tf.plots.sketches import Name, of_genotype
from darts_tf.report.html import details, table, text
from darts_tf.spaces.genotype import CELL_TITLES, AnyGenotype, cell_table

MOST_SCALE = 1.7
"""Most pixels a point of drawings."""
TALLEST = 800
"""Most pixels of the height of a drawing."""


def drawn(genotype: AnyGenotype, undecided: Mapping[str, Sequence[int]] | None = None) -> str:
    """Returns drawings of a genotype's cells, and tables of their edges in a closed section.

    Args:
        genotype: the cells.
        undecided: as in `figures.plot_genotype`.
    """
    return _drawn(genotype, None if undecided is None else tuple(undecided.items()))


@functools.lru_cache(maxsize=64)
def _drawn(genotype: AnyGenotype, undecided: tuple | None) -> str:
    """Returns `drawn`, with arguments that can be kept.

    All cells have one scale, with which the widest fills a narrow screen. Cells that are the same
    are drawn once.
    """
    from darts_tf.plots.figures import inline_cells  # late: matplotlib is slow to import

    choices = None if undecided is None else dict(undecided)
    sketches = of_genotype(genotype, undecided=choices)
    cells = inline_cells(genotype, choices)
    by_content = {}
    for sketch, cell in zip(sketches, cells, strict=True):
        titles, _ = by_content.setdefault((sketch.operations, sketch.concat), ([], cell))
        titles.append(CELL_TITLES[sketch.cell])
    figures = "".join(_figure(*each) for each in by_content.values())
    entries = legend_of(sketches, (each for cell in sketches for each in cell.operations))
    legend = "".join(f"<li>{_sign(entry)}<span>{text(entry.text)}</span></li>" for entry in entries)
    drawings = [cell for _, cell in by_content.values()]
    widths, heights = zip(*(cell.size for cell in drawings), strict=True)
    most = min(MOST_SCALE, TALLEST / max(heights))
    style = f"--widest:{max(widths):.2f};--most:{most:.2f}"
    return (
        f'<div class="drawn" style="{style}">{figures}'
        f'<ul class="legend signs">{legend}</ul></div>'
        + details("Cells as tables", "".join(_tables(genotype)))
    )


def _figure(titles: Sequence[str], cell) -> str:
    same = ", which are the same" if len(titles) > 1 else ""
    caption = f"{' and '.join(titles)}{same}".capitalize()
    return (
        f'<figure style="--own:{cell.size[0]:.2f}"><figcaption>{caption}</figcaption>'
        f"{cell.svg}</figure>"
    )


def _sign(entry: Entry) -> str:
    """Returns the sign of an entry of the legend."""
    if entry.names:
        return f"<span>{', '.join(map(_name, entry.names))}</span>"
    colour = f' style="--fill:{entry.colour}"' if entry.colour else ""
    return f'<i class="{entry.sign}"{colour}></i>'


def _name(name: Name) -> str:
    return f"{text(name[0])}<sub>{text(name[1])}</sub>"


def _tables(genotype: AnyGenotype) -> Iterable[str]:
    for cell in genotype.cells:
        heading = f"<h3>{cell.title.capitalize()}</h3>" if len(genotype.cells) > 1 else ""
        yield heading + table(*cell_table(cell))
