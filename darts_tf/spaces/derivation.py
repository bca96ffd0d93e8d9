"""Derivation of discrete cells from architecture parameters (Liu et al. 2019, section 2.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darts_tf.errors import InputError
from darts_tf.spaces.cell import (
    CELLS,
    NONE,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    SKIP,
    Pairs,
    check_limit,
    nodes_of,
    recurrent_nodes_of,
)
from darts_tf.spaces.genotype import AnyGenotype, Genotype, RecurrentGenotype
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
    """Derives discrete cells from architecture parameters.

    Every edge keeps its operation with the largest weight, except `none`, and this weight is the
    strength of the edge. Every node keeps its two strongest edges. Ties are broken by order: the
    first wins. `none` still takes part in the softmax. If edges have parameters of their own (Xu et
    al. 2020, section 3.2), their softmax over the edges into a node multiplies the strengths. Fair
    DARTS, which relaxes by sigmoids, keeps all operations above a threshold; here the sigmoids are
    the strengths, and nodes keep two edges as well.

    Args:
        alphas_normal: `(edges, primitives)` array of the normal cell: one row per pair of
            `cell.edges(nodes)`, for any number of nodes.
        alphas_reduce: `(edges, primitives)` array of the reduction cell.
        edges_normal: `(edges,)` array of the normal cell, or None for equal weights of all edges.
        edges_reduce: `(edges,)` array of the reduction cell, or None.
        primitives: names of the columns.
        relaxation: function from alphas to weights, a name in `STRENGTHS`.
        edge_primitives: names of the columns for each row of the normal cell and of the reduction
            cell, if rows differ (Chen et al. 2019, P-DARTS).
        max_skips: maximum number of skip connections in the normal cell. While there are more, the
            weakest of them is excluded: its edge takes the next best operation, and its node
            selects its two strongest edges again (Chen et al. 2019, section 3.3). None for no
            limit.

    Raises:
        InputError: an array has another shape or a number that is not finite, or the limit is
            negative or cannot be met with these primitives.
    """
    normal, reduce = (
        space_of_alphas(cell, alphas, primitives, edge_primitives)
        for cell, alphas in enumerate((alphas_normal, alphas_reduce))
    )
    cells = (
        derive_cell(normal, 0, alphas_normal, edges_normal, relaxation, max_skips),
        derive_cell(reduce, 1, alphas_reduce, edges_reduce, relaxation),
    )
    return Genotype.of_pairs(cells)


def space_of_alphas(cell: int, alphas, primitives=PRIMITIVES, edge_primitives=None) -> Space:
    """Returns the space of DARTS' cells that the alphas of one cell belong to.

    Args:
        cell: index of the cell in `CELLS`, for error messages.
        alphas: `(edges, primitives)` array, whose rows determine the number of nodes.
        primitives: see `derive`.
        edge_primitives: see `derive`; if given, it determines the number of nodes instead.

    Raises:
        InputError: see `derive`.
    """
    if edge_primitives:
        return space_of(nodes_of(len(edge_primitives[0])), edge_primitives=edge_primitives)
    alphas = _checked_alphas(f"alphas_{CELLS[cell]}", alphas, (None, len(primitives)))
    return space_of(nodes_of(len(alphas)), primitives)


def derive_genotype(
    space: Space, alphas: Sequence, relaxation: str = "softmax", max_skips: int | None = None
) -> AnyGenotype:
    """Derives discrete cells from the alphas of a search in a space; see `derive`.

    Where nodes keep all their edges, as in NAS-Bench-201, every edge has its strongest operation,
    `none` among them if the space allows it.

    Args:
        space: search space.
        alphas: arrays of a supernet: `(edges, primitives)` of each kind of cell, and `(edges,)` of
            each if edges have alphas of their own.
        relaxation: see `derive`.
        max_skips: maximum number of skip connections in the first kind of cell; see `derive`.

    Raises:
        InputError: see `derive`; or a genotype cannot represent the cells of the space.
    """
    kinds, alphas = len(space.kinds), list(alphas)
    if len(alphas) not in (kinds, 2 * kinds):
        raise InputError(f"Expected {kinds} or {2 * kinds} arrays. Received: {len(alphas)}")
    over_edges = alphas[kinds:] or (None,) * kinds
    return space.genotype(
        [
            derive_cell(
                space, i, alphas[i], over_edges[i], relaxation, max_skips if i == 0 else None
            )
            for i in range(kinds)
        ]
    )


def derive_recurrent(
    alphas, *, primitives: tuple[str, ...] = RECURRENT_PRIMITIVES
) -> RecurrentGenotype:
    """Derives a discrete recurrent cell from architecture parameters.

    Works like `derive`, except that every node keeps only its strongest edge. The output of the
    cell is the mean of all nodes (Liu et al. 2019, section 2.1).

    Args:
        alphas: `(edges, primitives)` array: one row per pair of `cell.recurrent_edges(nodes)`, for
            any number of nodes.
        primitives: names of the columns.

    Raises:
        InputError: the array has another shape or a number that is not finite.
    """
    alphas = _checked_alphas("alphas", alphas, (None, len(primitives)))
    space = recurrent_space(recurrent_nodes_of(len(alphas)), primitives)
    return derive_genotype(space, [alphas])


def derive_cell(
    space: Space,
    cell: int,
    alphas,
    over_edges=None,
    relaxation: str = "softmax",
    max_skips: int | None = None,
) -> Pairs:
    """Derives one discrete cell of any topology.

    Args:
        space: search space.
        cell: index of the kind of cell in `space.candidates`.
        alphas: `(edges, primitives)` array.
        over_edges: `(edges,)` array of the edges' own parameters, or None.
        relaxation: see `derive`.
        max_skips: maximum number of skip connections, see `derive`.

    Returns:
        (primitive, source) pairs, node by node. If a node keeps some of its edges, its strongest
        edge is first; if it keeps all, they are in the order of `space.edges`.

    Raises:
        InputError: see `derive`.
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
    """Returns the strengths of all operations of a cell, by which derivation ranks them.

    Args:
        space: search space.
        cell: index of the kind of cell in `space.candidates`.
        alphas: `(edges, primitives)` array.
        over_edges: `(edges,)` array of the edges' own parameters, or None.
        relaxation: see `derive`.

    Returns:
        An array `(edges, primitives)` of the mixture weights. If edges have parameters, they are
        multiplied by the softmax over the edges into a node and the number of these edges, so that
        equal edges have the factor 1. `none` has the strength `NEVER`, unless the space allows it.

    Raises:
        InputError: see `derive`.
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
    """Returns row and column of the best operations of the `count` strongest edges into a node.

    The strongest edge comes first. If `count` is None, all edges are kept, in their order.
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


def _dirichlet_mean(alphas: np.ndarray) -> np.ndarray:
    """Returns β / Σβ with β = elu(α) + 1 (Chen et al. 2021, DrNAS)."""
    beta = np.maximum(alphas, 0) + np.exp(np.minimum(alphas, 0))
    return beta / beta.sum(axis=-1, keepdims=True)


STRENGTHS = {
    **{"softmax": _softmax, "sigmoid": _sigmoid, "gumbel": _softmax},
    "dirichlet": _dirichlet_mean,
}
"""Functions from alphas to weights of operations, by the name of the relaxation."""


def weights_of(alphas, relaxation: str = "softmax") -> np.ndarray:
    """Returns the weights of operations that belong to alphas (Liu et al. 2019, eq. 2).

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
        space: search space, which defines the edges into each node.

    Returns:
        A float64 array of the same shape; the shares of a node's edges sum to 1.
    """
    over_edges = np.asarray(over_edges, np.float64)
    shares = [_softmax(over_edges[..., into]) for into in space.rows_by_node]
    return np.concatenate(shares, axis=-1)


def mean_entropy(alphas) -> float:
    """Returns the mean over the edges of the entropy of their softmaxed alphas, in nats.

    It starts near the logarithm of the number of primitives and is 0 when all edges are decided.

    Args:
        alphas: (edges, primitives) array.
    """
    alphas = np.asarray(alphas, np.float64)
    shifted = alphas - alphas.max(axis=1, keepdims=True)
    # from logarithms, so that a weight too small for a float64 adds 0 instead of NaN
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-(np.exp(logarithms) * logarithms).sum(axis=1).mean())


def _checked_alphas(name: str, alphas, shape: tuple[int | None, ...]) -> np.ndarray:
    """Returns a float64 array after checking its shape and that all numbers are finite.

    A size of None in `shape` matches any number of edges.
    """
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
