"""From architecture parameters to discrete cells (Liu et al. 2019, section 2.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darts_tf.errors import InputError
from darts_tf.spaces.cell import (
    CELLS,
    INPUTS,
    NONE,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    SKIP,
    Pairs,
    check_limit,
    nodes_of,
    recurrent_nodes_of,
)
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype
from darts_tf.spaces.search_spaces import Space, recurrent_space, space_of

NEVER, LEFT_OUT = -2.0, -1.0
"""Strengths of `none`, and of a skip connection that a limit leaves out: below all others."""


def derive(
    alphas_normal,
    alphas_reduce,
    edges_normal=None,
    edges_reduce=None,
    *,
    primitives: tuple[str, ...] = PRIMITIVES,
    relaxation: str = "softmax",
    edge_primitives=None,
    max_skips: int | None = None,
) -> Genotype:
    """The discrete cells that architecture parameters stand for.

    On every edge the operation with the largest weight is kept, `none` left out, and its weight
    is the edge's strength; every node keeps its two strongest edges. Of equals the first wins.
    `none` takes its share of a softmax all the same. Where edges have parameters of their own (Xu
    et al. 2020, section 3.2), their softmax over the edges into a node multiplies the strengths.
    Fair DARTS, which relaxes by sigmoids, keeps whatever is above a threshold; here its strengths
    are the sigmoids, and its nodes have two edges as well.

    Args:
        alphas_normal: (edges, primitives) array: one row per pair of `cell.edges(nodes)`, for
            any number of nodes.
        alphas_reduce: The same for the reduction cell.
        edges_normal: (edges,) array, or None for edges that are weighed alike.
        edges_reduce: The same for the reduction cell.
        primitives: What the columns stand for.
        relaxation: Which weights the alphas have, a name in `STRENGTHS`.
        edge_primitives: What the columns stand for in each row of the normal cell and in each of
            the reduction, where rows differ (Chen et al. 2019, P-DARTS).
        max_skips: Most skip connections of the normal cell. While it has more, the weakest of them
            no longer counts: its edge has the next best operation, and its node chooses its two
            strongest edges anew (Chen et al. 2019, section 3.3). None for no limit.

    Raises:
        InputError: An array of another shape, a number that is not finite, or a limit that is
            negative or that these primitives cannot meet.
    """
    normal, reduce = (
        space_of_alphas(cell, alphas, primitives, edge_primitives)
        for cell, alphas in enumerate((alphas_normal, alphas_reduce))
    )
    return _genotype(
        derive_cell(normal, 0, alphas_normal, edges_normal, relaxation, max_skips),
        derive_cell(reduce, 1, alphas_reduce, edges_reduce, relaxation),
    )


def space_of_alphas(cell: int, alphas, primitives=PRIMITIVES, edge_primitives=None) -> Space:
    """The space of DARTS' cells that the alphas of one of its cells belong to.

    Args:
        cell: index of the cell in `CELLS`, for errors.
        alphas: `(edges, primitives)` array, which says how many nodes there are.
        primitives: as in `derive`.
        edge_primitives: as in `derive`; the number of nodes follows from it where it is given.

    Raises:
        InputError: as `derive`.
    """
    if edge_primitives:
        return space_of(nodes_of(len(edge_primitives[0])), edge_primitives=edge_primitives)
    alphas = _checked_alphas(f"alphas_{CELLS[cell]}", alphas, (None, len(primitives)))
    return space_of(nodes_of(len(alphas)), primitives)


def derive_genotype(
    space: Space, alphas: Sequence, relaxation: str = "softmax", max_skips: int | None = None
) -> Genotype:
    """The discrete cells that the alphas of a search in a space stand for; see `derive`.

    Args:
        space: of the search.
        alphas: the arrays of a supernet: `(edges, primitives)` of the normal and of the reduction
            cell, and `(edges,)` of both where edges have alphas of their own.
        relaxation: as in `derive`.
        max_skips: as in `derive`.

    Raises:
        InputError: as `derive`; or the cells of the space are no cells of a genotype.
    """
    space.check_darts_cells()
    over_edges = alphas[2:] or (None, None)
    return _genotype(
        derive_cell(space, 0, alphas[0], over_edges[0], relaxation, max_skips),
        derive_cell(space, 1, alphas[1], over_edges[1], relaxation),
    )


def _genotype(normal: Pairs, reduce: Pairs) -> Genotype:
    return Genotype(normal, _all_nodes(normal), reduce, _all_nodes(reduce))


def derive_recurrent(
    alphas, *, primitives: tuple[str, ...] = RECURRENT_PRIMITIVES
) -> RecurrentGenotype:
    """The discrete recurrent cell that architecture parameters stand for.

    As `derive`, but that every node keeps its one strongest edge; its output is the mean of all
    nodes (Liu et al. 2019, section 2.1).

    Args:
        alphas: (edges, primitives) array: one row per pair of `cell.recurrent_edges(nodes)`, for
            any number of nodes.
        primitives: What the columns stand for.

    Raises:
        InputError: An array of another shape, or a number that is not finite.
    """
    alphas = _checked_alphas("alphas", alphas, (None, len(primitives)))
    space = recurrent_space(recurrent_nodes_of(len(alphas)), primitives)
    return RecurrentGenotype(derive_cell(space, 0, alphas), tuple(range(1, space.nodes + 1)))


def derive_cell(
    space: Space,
    cell: int,
    alphas,
    over_edges=None,
    relaxation: str = "softmax",
    max_skips: int | None = None,
) -> Pairs:
    """The operations that a discrete cell keeps, for a cell of any topology.

    Args:
        space: of the search.
        cell: index of the kind of cell in `space.candidates`.
        alphas: `(edges, primitives)` array.
        over_edges: `(edges,)` array of the edges' own parameters, or None.
        relaxation: as in `derive`.
        max_skips: most skip connections, as in `derive`.

    Returns:
        (primitive, source) pairs, node by node. Where a node keeps some of its edges, its
        strongest edge is the first; where it keeps all, they are in the order of `space.edges`.

    Raises:
        InputError: as `derive`.
    """
    names = space.candidates[cell]
    check_limit(max_skips, tuple(dict.fromkeys(name for row in names for name in row)))
    weights = strengths(space, cell, alphas, over_edges, relaxation)
    while True:
        kept = [
            place
            for into in space.rows_by_node
            for place in _strongest(weights, into, space.edges_per_node)
        ]
        skips = [(row, column) for row, column in kept if names[row][column] == SKIP]
        if max_skips is None or len(skips) <= max_skips:
            return tuple((names[row][column], space.edges[row][0]) for row, column in kept)
        weakest = min(skips, key=lambda place: weights[place])
        if weights[weakest] == LEFT_OUT:
            raise InputError(
                f"Expected edges that leave a choice of at most {max_skips} skip connections. "
                f"Received: {len(skips)} edges that have nothing else"
            )
        weights[weakest] = LEFT_OUT


def strengths(
    space: Space, cell: int, alphas, over_edges=None, relaxation: str = "softmax"
) -> np.ndarray:
    """What derivation compares on the edges of a cell: an array `(edges, primitives)`.

    Args:
        space: of the search.
        cell: index of the kind of cell in `space.candidates`.
        alphas: `(edges, primitives)` array.
        over_edges: `(edges,)` array of the edges' own parameters, or None.
        relaxation: as in `derive`.

    Returns:
        The weights of the mixtures, times the shares of the edges where these have parameters, a
        share of 1 being that of edges that are alike; `NEVER` for `none` where the space does not
        allow it.

    Raises:
        InputError: as `derive`.
    """
    suffix = f"_{CELLS[cell]}" if len(space.candidates) == len(CELLS) else ""
    alphas = _checked_alphas(f"alphas{suffix}", alphas, space.shapes[cell])
    weights = weights_of(alphas, relaxation)
    if over_edges is not None:
        over_edges = _checked_alphas(f"edges{suffix}", over_edges, (len(weights),))
        shares = edge_shares(over_edges, space)
        for into in space.rows_by_node:
            weights[into] *= shares[into, None] * len(weights[into])
    if space.allow_none:
        return weights
    return np.where(np.array(space.candidates[cell]) == NONE, NEVER, weights)


def _strongest(weights: np.ndarray, into: slice, count: int | None) -> list[tuple[int, int]]:
    """Row and column of the best operations of the `count` strongest edges into a node, or of all.

    The strongest comes first; all are in their order.
    """
    rows = weights[into]
    if count is None:
        order = range(len(rows))
    else:
        order = np.argsort(-rows.max(axis=1), kind="stable")[:count]
    return [(int(into.start + i), int(rows[i].argmax())) for i in order]


def _softmax(alphas: np.ndarray) -> np.ndarray:
    exponentials = np.exp(alphas - alphas.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _sigmoid(alphas: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -alphas))


STRENGTHS = {"softmax": _softmax, "sigmoid": _sigmoid, "gumbel": _softmax}
"""By the relaxation of a search: the weights of operations that its alphas stand for."""


def weights_of(alphas, relaxation: str = "softmax") -> np.ndarray:
    """Returns the weights of operations that alphas stand for (Liu et al. 2019, eq. 2).

    Args:
        alphas: `(..., primitives)` array.
        relaxation: a name in `STRENGTHS`.

    Returns:
        A float64 array of the same shape.
    """
    return STRENGTHS[relaxation](np.asarray(alphas, np.float64))


def edge_shares(over_edges, space: Space) -> np.ndarray:
    """Returns the softmax over the edges into each node (Xu et al. 2020, eq. 3).

    Args:
        over_edges: `(..., edges)` array of the parameters of edges.
        space: of the search, which says which edges lead into one node.

    Returns:
        A float64 array of the same shape; the shares of a node's edges sum to 1.
    """
    over_edges = np.asarray(over_edges, np.float64)
    shares = [_softmax(over_edges[..., into]) for into in space.rows_by_node]
    return np.concatenate(shares, axis=-1)


def mean_entropy(alphas) -> float:
    """Returns the mean over the edges of the entropy of their softmaxed alphas, in nats.

    It begins near the logarithm of the number of primitives and is 0 where all edges are decided.

    Args:
        alphas: (edges, primitives) array.
    """
    alphas = np.asarray(alphas, np.float64)
    shifted = alphas - alphas.max(axis=1, keepdims=True)
    # from logarithms, so that a weight too small for a float64 adds 0 instead of NaN
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-(np.exp(logarithms) * logarithms).sum(axis=1).mean())


def _all_nodes(pairs: Pairs) -> tuple[int, ...]:
    return tuple(range(INPUTS, INPUTS + len(pairs) // 2))


def _checked_alphas(name: str, alphas, shape: tuple[int | None, ...]) -> np.ndarray:
    """Finite numbers in an array of this shape, None standing for the edges of some cell."""
    alphas = np.asarray(alphas, dtype=np.float64)
    fits = len(shape) == alphas.ndim and all(
        size in (None, actual) for size, actual in zip(shape, alphas.shape, strict=True)
    )
    if not fits:
        sizes = ", ".join("edges" if size is None else str(size) for size in shape)
        raise InputError(
            f"Expected an array of shape ({sizes}). Received: {name}.shape={alphas.shape}"
        )
    if not np.isfinite(alphas).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(alphas))[0])
        raise InputError(f"Expected finite numbers. Received: {name}{list(place)}={alphas[place]}")
    return alphas
