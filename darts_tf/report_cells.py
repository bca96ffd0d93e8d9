"""Cells in a page: pictures, light and dark, and tables of their pairs."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from darts_tf.heat_maps import TITLES
from darts_tf.pages import details, table
from darts_tf.spaces.cell import INPUTS
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype


def drawn(genotype: Genotype | RecurrentGenotype) -> str:
    """Pictures of a genotype's cells, with tables of their pairs to unfold."""
    names = ("recurrent",) if isinstance(genotype, RecurrentGenotype) else ("normal", "reduce")
    parts = (_picture(genotype, name) for name in names)
    return "".join(parts) + details("The same as tables", "".join(_tables(genotype)))


@functools.lru_cache(maxsize=64)
def _picture(genotype: Genotype | RecurrentGenotype, cell: str) -> str:
    """One for light screens and paper, and one for dark screens; the page shows one of them."""
    from darts_tf.plots.figures import (
        picture,
        plot_genotype,  # matplotlib takes its time
    )

    both = []
    for look in ("light", "dark"):
        figure = plot_genotype(genotype, cell=cell, dark=look == "dark")
        both.append(f'<div class="{look}">{_inline(picture(figure, "svg"))}</div>')
    return f'<div class="drawn" role="group" aria-label="{TITLES[cell]}">{"".join(both)}</div>'


def _inline(svg: bytes) -> str:
    """What stands in a page of an SVG file: its element."""
    found = re.search(r"<svg\b.*</svg>", svg.decode("utf-8"), re.DOTALL)
    return " ".join(found[0].split()) if found else ""


def _tables(genotype: Genotype | RecurrentGenotype) -> Iterable[str]:
    if isinstance(genotype, RecurrentGenotype):
        rows = [
            (f"node {i}", f"{activation} of {source}", "yes" if i in genotype.concat else "no")
            for i, (activation, source) in enumerate(genotype.recurrent, 1)
        ]
        yield table(("node", "edge", "in the output"), rows)
        return
    header = ("node", "first edge", "second edge", "in the output")
    for cell in ("normal", "reduce"):
        pairs, concat = getattr(genotype, cell), getattr(genotype, f"{cell}_concat")
        rows = []
        for node in range(INPUTS, INPUTS + len(pairs) // 2):
            both = pairs[2 * (node - INPUTS) :][:2]
            edges = (f"{primitive} of {source}" for primitive, source in both)
            rows.append((f"node {node}", *edges, "yes" if node in concat else "no"))
        yield f"<h3>{TITLES[cell]}</h3>" + table(header, rows)
