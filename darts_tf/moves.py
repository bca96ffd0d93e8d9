"""How the alphas of a search moved: weights of all candidates after every epoch, for people."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from darts_tf.errors import InputError
from darts_tf.names import shown
from darts_tf.runs import files
from darts_tf.runs.alphas import load_history, load_primitives
from darts_tf.spaces.cell import (
    ALL_PRIMITIVES,
    INPUTS,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    ByEdge,
    by_node,
    edges,
    nodes_of,
    recurrent_edges,
    recurrent_nodes_of,
)
from darts_tf.spaces.derivation import STRENGTHS, derive, derive_recurrent


@dataclasses.dataclass(frozen=True)
class CellMoves:
    """Of one cell.

    Attributes:
        name: `"normal"`, `"reduce"` or `"recurrent"`.
        edges: the (source, target) pair of every row.
        primitives: what the columns stand for.
        weights: (epochs, edges, primitives), what the alphas weigh each by; NaN where it is no
            candidate on an edge.
        shares: (epochs, edges), of every edge among those into its node; None where edges have no
            parameters of their own.
        kept: for each epoch (row, column) of what derivation keeps.
    """

    name: str
    edges: tuple[tuple[int, int], ...]
    primitives: tuple[str, ...]
    weights: np.ndarray
    shares: np.ndarray | None
    kept: tuple[frozenset[tuple[int, int]], ...]


@dataclasses.dataclass(frozen=True)
class Moves:
    """Of all cells of a search.

    Attributes:
        epochs: counted from 0, after which the alphas were such.
        cells: those that it searched.
        relaxation: by which weights follow from alphas, a name in `derivation.STRENGTHS`.
    """

    epochs: tuple[int, ...]
    cells: tuple[CellMoves, ...]
    relaxation: str


def moves_of(
    folder: pathlib.Path, relaxation: str = "softmax", max_skips: int | None = None
) -> Moves | None:
    """How the alphas of the search in a folder moved; None where nothing is known yet.

    Args:
        folder: of the run.
        relaxation: of the search.
        max_skips: as in `derive`.

    Raises:
        InputError: a file holds something else, with its path.
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
        if len(arrays) == 1:
            cells = (_recurrent(arrays[0]),)
        else:
            options = {"relaxation": relaxation, "max_skips": max_skips}
            cells = _convolutional(arrays, {"edge_primitives": _names(folder, arrays), **options})
    except (InputError, ValueError, IndexError) as error:
        raise InputError(f"{path}: {error}") from error
    return Moves(epochs, cells, relaxation)


def _names(folder: pathlib.Path, arrays) -> ByEdge:
    """What the columns stand for, on every edge of both cells."""
    if (folder / files.EDGE_PRIMITIVES).is_file():
        return load_primitives(folder)
    normal, reduce = ((PRIMITIVES,) * array.shape[1] for array in arrays[:2])
    return normal, reduce


def _convolutional(arrays, options) -> tuple[CellMoves, ...]:
    derived = [derive(*parts, **options) for parts in zip(*arrays, strict=True)]
    cells = []
    for i, cell in enumerate(("normal", "reduce")):
        alphas, own = arrays[i], options["edge_primitives"][i]
        columns = tuple(sorted({name for row in own for name in row}, key=_order))
        weights = np.full((*alphas.shape[:2], len(columns)), np.nan)
        for row, candidates in enumerate(own):
            places = [columns.index(name) for name in candidates]
            weights[:, row, places] = _weights(alphas, options["relaxation"])[:, row]
        shares = _shares(arrays[2 + i]) if len(arrays) > 2 else None
        rows = edges(nodes_of(alphas.shape[1]))
        kept = tuple(_places(getattr(each, cell), rows, columns) for each in derived)
        cells.append(CellMoves(cell, rows, columns, weights, shares, kept))
    return tuple(cells)


def _order(name: str) -> tuple:
    known = ALL_PRIMITIVES.index(name) if name in ALL_PRIMITIVES else len(ALL_PRIMITIVES)
    return known, len(name), name


def _weights(alphas: np.ndarray, relaxation: str) -> np.ndarray:
    if not np.isfinite(alphas).all():
        raise InputError("Expected finite numbers. Received: others")
    flat = alphas.reshape(-1, alphas.shape[-1]).astype(np.float64)
    return STRENGTHS[relaxation](flat).reshape(alphas.shape)


def _shares(parameters: np.ndarray) -> np.ndarray:
    """The softmax over the edges into each node."""
    parts = [parameters[:, rows] for rows in by_node(parameters.shape[1])]
    return np.concatenate([_weights(part, "softmax") for part in parts], axis=1)


def _places(pairs, rows, columns) -> frozenset[tuple[int, int]]:
    """Row and column of every pair of a convolutional cell."""
    return frozenset(
        (rows.index((source, INPUTS + i // 2)), columns.index(primitive))
        for i, (primitive, source) in enumerate(pairs)
    )


def _recurrent(alphas: np.ndarray) -> CellMoves:
    rows = recurrent_edges(recurrent_nodes_of(alphas.shape[1]))
    columns = RECURRENT_PRIMITIVES
    if alphas.shape[2] != len(columns):
        raise InputError(f"Expected {len(columns)} columns. Received: {alphas.shape[2]}")
    weights, kept = _weights(alphas, "softmax"), []
    for each in alphas:
        pairs = enumerate(derive_recurrent(each).recurrent, 1)
        places = ((rows.index((source, i)), columns.index(name)) for i, (name, source) in pairs)
        kept.append(frozenset(places))
    return CellMoves("recurrent", rows, columns, weights, None, tuple(kept))
