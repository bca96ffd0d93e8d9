"""Heat maps of a search: the mixture weights of all candidates after every epoch."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib

import numpy as np

from darts_tf.errors import InputError, shown
from darts_tf.report.charts import Axis, Line, line_chart
from darts_tf.report.html import text
from darts_tf.runs import files
from darts_tf.runs.alphas import load_history, load_space
from darts_tf.spaces.cell import (
    ALL_PRIMITIVES,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    nodes_of,
    recurrent_nodes_of,
)
from darts_tf.spaces.derivation import derive_genotype, edge_shares, weights_of
from darts_tf.spaces.genotype import CELL_TITLES, DiscreteCell
from darts_tf.spaces.search_spaces import Space, recurrent_space, space_of


@dataclasses.dataclass(frozen=True)
class CellMoves:
    """The mixture weights of one cell over the epochs of a search.

    Attributes:
        name: kind of the cell, a key of `genotype.CELL_KINDS`.
        edges: the (source, target) pair of every row.
        primitives: the names of the columns.
        weights: array (epochs, edges, primitives) of mixture weights from 0 to 1; NaN where a
            primitive is not a candidate on an edge.
        shares: array (epochs, edges), the softmax of the edge parameters among the edges into the
            same node; None if the search has no edge parameters.
        kept: the (row, column) pairs that derivation keeps, per epoch.
    """

    name: str
    edges: tuple[tuple[int, int], ...]
    primitives: tuple[str, ...]
    weights: np.ndarray
    shares: np.ndarray | None
    kept: tuple[frozenset[tuple[int, int]], ...]


@dataclasses.dataclass(frozen=True)
class Moves:
    """The mixture weights of all cells of a search.

    Attributes:
        epochs: the epochs, counted from 0, after which the alphas were recorded.
        cells: the cells that were searched.
        relaxation: the function from alphas to weights, a name in `derivation.STRENGTHS`.
    """

    epochs: tuple[int, ...]
    cells: tuple[CellMoves, ...]
    relaxation: str


def moves_of(
    folder: pathlib.Path, relaxation: str = "softmax", max_skips: int | None = None
) -> Moves | None:
    """Returns the mixture weights of a search after every epoch; None before its first epoch.

    Args:
        folder: the folder of the run.
        relaxation: the relaxation of the search, a name in `derivation.STRENGTHS`.
        max_skips: the limit on skip connections of the normal cell, as in `derive`.

    Raises:
        InputError: A file does not have the expected contents. The message names the file.
    """
    path = folder / files.HISTORY
    if not path.is_file():
        return None
    by_epoch = load_history(folder)
    epochs = tuple(sorted(by_epoch))
    if not epochs or epochs[0] < 0:
        raise InputError(f"{path}: Expected epochs from 0. Received: {shown(list(epochs))}")
    arrays = [np.stack(part) for part in zip(*(by_epoch[each] for each in epochs), strict=True)]
    try:
        space = _space(folder, arrays)
        cells = _cells(arrays, space, relaxation, max_skips)
    except (InputError, ValueError, IndexError) as error:
        raise InputError(f"{path}: {error}") from error
    return Moves(epochs, cells, relaxation)


def _space(folder: pathlib.Path, arrays) -> Space:
    """Returns the stored search space, or the usual one with the number of nodes of the alphas.

    Raises:
        InputError: recurrent cells with other columns than usual.
    """
    if (folder / files.EDGE_PRIMITIVES).is_file():
        return load_space(folder)
    if len(arrays) > 1:
        return space_of(nodes_of(arrays[0].shape[1]), PRIMITIVES)
    if arrays[0].shape[2] != len(RECURRENT_PRIMITIVES):
        raise InputError(
            f"Expected {len(RECURRENT_PRIMITIVES)} columns. Received: {arrays[0].shape[2]}"
        )
    return recurrent_space(recurrent_nodes_of(arrays[0].shape[1]))


def _cells(arrays, space: Space, relaxation: str, max_skips) -> tuple[CellMoves, ...]:
    if space.genotype_class.on_text:
        relaxation, max_skips = "softmax", None
    epochs = zip(*arrays, strict=True)
    derived = [derive_genotype(space, alphas, relaxation, max_skips) for alphas in epochs]
    over_edges = arrays[len(space.kinds) :]
    cells = []
    for i, kind in enumerate(space.kinds):
        alphas, own = arrays[i], space.candidates[i]
        columns = tuple(sorted({name for row in own for name in row}, key=_order))
        if len(set(own)) == 1:
            columns = own[0]
        weights = np.full((*alphas.shape[:2], len(columns)), np.nan)
        for row, candidates in enumerate(own):
            places = [columns.index(name) for name in candidates]
            weights[:, row, places] = weights_of(alphas[:, row], relaxation)
        shares = edge_shares(over_edges[i], space) if over_edges else None
        kept = tuple(_places(each.cells[i], space.edges, columns) for each in derived)
        cells.append(CellMoves(kind, space.edges, columns, weights, shares, kept))
    return tuple(cells)


def _order(name: str) -> tuple:
    known = ALL_PRIMITIVES.index(name) if name in ALL_PRIMITIVES else len(ALL_PRIMITIVES)
    return known, len(name), name


def _places(cell: DiscreteCell, rows, columns) -> frozenset[tuple[int, int]]:
    """Returns the (row, column) of every edge of a discrete cell."""
    return frozenset(
        (rows.index((source, target)), columns.index(primitive))
        for primitive, source, target in cell.edges
    )


MOST_EPOCHS = 200
"""Maximum number of slider positions; longer searches are sampled evenly, with the last epoch."""

SPREAD = 0.005
"""Least range of colors and charts: the last of three decimals is not exaggerated."""

TITLES = {cell: title.capitalize() for cell, title in CELL_TITLES.items()}

WEIGHED = {
    "softmax": "the softmax of the edge's alphas",
    "sigmoid": "the sigmoid of its alpha",
    "gumbel": "the softmax of the edge's alphas; each step sampled one operation per edge from it",
    "dirichlet": "the mean of the edge's Dirichlet distribution; each step sampled weights from it",
}
"""Explanations of the weights, by relaxation."""


def heat_maps(moves: Moves, shown: int) -> str:
    """Returns the heat maps of all cells as HTML, with a slider over the epochs.

    Args:
        moves: the weights to show.
        shown: the epoch to start with, counted from 0; the last epoch if it is not on the slider.
    """
    places = _chosen(len(moves.epochs))
    epochs = [moves.epochs[place] for place in places]
    start = epochs.index(shown) if shown in epochs else len(epochs) - 1
    slider = (
        '<p class="slider" hidden><button type="button" class="play">▶</button>'
        f'<input type="range" min="0" max="{len(epochs) - 1}" value="{start}" step="1" '
        'aria-label="epoch"></p>'
    )
    caption = (
        f"Each number is the weight of an operation on an edge: {WEIGHED[moves.relaxation]}. "
        "The darkest is the largest of all epochs, the palest the smallest. "
        "Outlined operations are the ones that these weights would keep in the genotype."
    )
    cells = "".join(_cell(cell, moves.epochs, places, places[start]) for cell in moves.cells)
    return (
        f'<div class="moves" data-epochs="{json.dumps(epochs)}">'
        f'<p class="soft">{text(caption)}</p>{slider}'
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
    axis = _range(cell.weights)
    return (
        f'<section class="cell" data-cell="{text(_packed(cell, places))}">'
        f"<h3>{TITLES[cell.name]}</h3>"
        f'<p class="scale soft">{thousandths(axis.low)}<i></i>{thousandths(axis.high)}</p>'
        f'<table class="heat" style="{_scale(axis)}"><thead><tr>'
        f'<th scope="col">edge</th>{head}{share}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{_chart(cell, epochs)}</section>"
    )


def _row(cell: CellMoves, row: int, shown: int) -> str:
    source, target = cell.edges[row]
    weights = cell.weights[shown, row]
    kept = cell.kept[shown]
    cells = "".join(_weight(weights[i], (row, i) in kept) for i in range(len(weights)))
    share = ""
    if cell.shares is not None:
        share = _weight(cell.shares[shown, row], False, _scale(_range(cell.shares)))
    first = ' class="first"' * (row == 0 or cell.edges[row - 1][1] != target)
    return f'<tr{first}><th scope="row">{source}→{target}</th>{cells}{share}</tr>'


def _weight(weight: float, kept: bool, scale: str = "") -> str:
    """Returns a cell of the table; its color is of the table's scale, or of one of its own."""
    if math.isnan(weight):
        return '<td class="none"></td>'
    style = f' style="{scale}--w:{weight:.3f}"'
    marked = ' class="kept"' * kept
    return f"<td{marked}{style}>{thousandths(weight)}</td>"


def thousandths(weight: float) -> str:
    """Formats a weight from 0 to 1 with three decimals and without the leading zero."""
    return "1" if round(1000 * weight) == 1000 else f".{round(1000 * weight):03d}"


def _scale(axis: Axis) -> str:
    """Returns the CSS variables of a scale of colors."""
    return f"--low:{axis.low:.5f};--spread:{axis.high - axis.low:.5f};"


def _packed(cell: CellMoves, places: list[int]) -> str:
    """Returns all epochs as JSON for `report.js`: weights in thousandths, kept indices."""
    values = cell.weights if cell.shares is None else _with_shares(cell)
    columns = values.shape[2]
    whole = np.nan_to_num(np.rint(1000 * values), nan=-1).astype(int)
    return json.dumps(
        {
            "low": _range(cell.weights).low,
            "high": _range(cell.weights).high,
            "columns": columns,
            "weights": [whole[place].ravel().tolist() for place in places],
            "kept": [sorted(row * columns + i for row, i in cell.kept[p]) for p in places],
        },
        separators=(",", ":"),
    )


def _with_shares(cell: CellMoves) -> np.ndarray:
    return np.concatenate([cell.weights, cell.shares[:, :, None]], axis=2)


def _chart(cell: CellMoves, epochs: tuple[int, ...]) -> str:
    """Returns the chart of mean weights over all edges; `report.js` can switch to one edge."""
    counts = (~np.isnan(cell.weights)).sum(axis=1)
    means = np.nansum(cell.weights, axis=1) / np.maximum(counts, 1)
    lines = [
        Line(name, tuple((e, float(m)) for e, m in zip(epochs, means[:, i], strict=True)))
        for i, name in enumerate(cell.primitives)
    ]
    return line_chart("mean over all edges", lines, _range(cell.weights))


def _range(weights: np.ndarray) -> Axis:
    """Returns the range of weights over all epochs, at least `SPREAD` wide."""
    low, high = float(np.nanmin(weights)), float(np.nanmax(weights))
    middle, half = (low + high) / 2, max((high - low) / 2, SPREAD / 2)
    return Axis(middle - half, middle + half)
