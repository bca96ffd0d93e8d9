"""How alphas moved, as a part of a page: a heat map of every cell, a slider, lines over epochs.

Without a program the page shows one epoch, that which the genotype is of.
"""

from __future__ import annotations

import json
import math

import numpy as np

from darts_tf.charts import Axis, Line, line_chart
from darts_tf.moves import CellMoves, Moves
from darts_tf.pages import text

MOST_EPOCHS = 200
"""Of the slider; where there are more, evenly chosen ones are kept, the last among them."""

SPREAD = 0.05
"""Weights that differ by less look alike."""

TITLES = {"normal": "Normal cell", "reduce": "Reduction cell", "recurrent": "Recurrent cell"}

WEIGHED = {
    "softmax": "softmax of its alphas",
    "sigmoid": "sigmoids of its alphas",
    "gumbel": "softmax of its alphas, from which one operation was drawn in each step",
}


def heat_maps(moves: Moves, shown: int) -> str:
    """The part of the page.

    Args:
        moves: of the search.
        shown: the epoch to begin with, counted from 0; the last one where it is not there.
    """
    places = _chosen(len(moves.epochs))
    epochs = [moves.epochs[place] for place in places]
    start = epochs.index(shown) if shown in epochs else len(epochs) - 1
    slider = (
        '<p class="slider" hidden><button type="button" class="play">▶</button>'
        f'<input type="range" min="0" max="{len(epochs) - 1}" value="{start}" step="1" '
        'aria-label="epoch"></p>'
    )
    told = (
        f"Every number is the weight of an operation on an edge, by the {WEIGHED[moves.relaxation]}"
        ". Outlined are the operations that derivation keeps by these "
        "weights."
    )
    cells = "".join(_cell(cell, moves.epochs, places, places[start]) for cell in moves.cells)
    return (
        f'<div class="moves" data-epochs="{json.dumps(epochs)}">'
        f'<p class="soft">{text(told)}</p>{slider}'
        f'<p class="now" aria-live="polite">after epoch {epochs[start] + 1}</p>'
        f'<div class="cells">{cells}</div></div>'
    )


def _chosen(count: int) -> list[int]:
    step = math.ceil(count / MOST_EPOCHS)
    return list(range(count))[::-1][::step][::-1]


def _cell(cell: CellMoves, epochs, places: list[int], shown: int) -> str:
    head = "".join(f'<th scope="col"><span>{text(name)}</span></th>' for name in cell.primitives)
    share = '<th scope="col"><span>share of the edge</span></th>' * (cell.shares is not None)
    rows = "".join(_row(cell, row, shown) for row in range(len(cell.edges)))
    axis = _range(cell)
    spread = f"--low:{axis.low:.4f};--spread:{axis.high - axis.low:.4f}"
    return (
        f'<section class="cell" data-cell="{text(_packed(cell, places))}">'
        f"<h3>{TITLES[cell.name]}</h3>"
        f'<table class="heat" style="{spread}"><thead><tr>'
        f'<th scope="col">edge</th>{head}{share}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{_chart(cell, epochs)}</section>"
    )


def _row(cell: CellMoves, row: int, shown: int) -> str:
    source, target = cell.edges[row]
    weights = cell.weights[shown, row]
    kept = cell.kept[shown]
    cells = "".join(_weight(weights[i], (row, i) in kept) for i in range(len(weights)))
    share = "" if cell.shares is None else _weight(cell.shares[shown, row], False)
    first = ' class="first"' * (row == 0 or cell.edges[row - 1][1] != target)
    return f'<tr{first}><th scope="row">{source}→{target}</th>{cells}{share}</tr>'


def _weight(weight: float, kept: bool) -> str:
    if math.isnan(weight):
        return '<td class="none"></td>'
    style, marked = f' style="--w:{weight:.3f}"', ' class="kept"' * kept
    return f"<td{marked}{style}>{thousandths(weight)}</td>"


def thousandths(weight: float) -> str:
    """A weight from 0 to 1 in three digits, without what goes without saying."""
    return "1" if round(1000 * weight) == 1000 else f".{round(1000 * weight):03d}"


def _packed(cell: CellMoves, places: list[int]) -> str:
    """All epochs for the program: weights in thousandths, row by row, and what is kept."""
    values = cell.weights if cell.shares is None else _with_shares(cell)
    columns = values.shape[2]
    whole = np.nan_to_num(np.rint(1000 * values), nan=-1).astype(int)
    return json.dumps(
        {
            "low": _range(cell).low,
            "high": _range(cell).high,
            "columns": columns,
            "weights": [whole[place].ravel().tolist() for place in places],
            "kept": [sorted(row * columns + i for row, i in cell.kept[p]) for p in places],
        },
        separators=(",", ":"),
    )


def _with_shares(cell: CellMoves) -> np.ndarray:
    return np.concatenate([cell.weights, cell.shares[:, :, None]], axis=2)


def _chart(cell: CellMoves, epochs: tuple[int, ...]) -> str:
    """Of the mean over the edges; of one edge, where it is tapped."""
    counts = (~np.isnan(cell.weights)).sum(axis=1)
    means = np.nansum(cell.weights, axis=1) / np.maximum(counts, 1)
    lines = [
        Line(name, tuple((e, float(m)) for e, m in zip(epochs, means[:, i], strict=True)))
        for i, name in enumerate(cell.primitives)
    ]
    return line_chart("mean over all edges", lines, _range(cell))


def _range(cell: CellMoves) -> Axis:
    """What the weights of all epochs lie in; at least `SPREAD` wide, that nothing seem decided."""
    low, high = float(np.nanmin(cell.weights)), float(np.nanmax(cell.weights))
    middle, half = (low + high) / 2, max((high - low) / 2, SPREAD / 2)
    return Axis(middle - half, middle + half)
