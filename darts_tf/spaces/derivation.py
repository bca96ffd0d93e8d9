"""From architecture parameters to discrete cells (Liu et al. 2019, section 2.4)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from darts_tf.errors import InputError
from darts_tf.spaces.cell import (
    INPUTS,
    NONE,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    SKIP,
    Pairs,
    by_node,
    check_limit,
    edges,
    nodes_of,
    recurrent_nodes_of,
)
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype

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
    check_limit(max_skips, primitives)
    names = edge_primitives or (primitives, primitives)
    normal = alphas_normal, edges_normal, names[0], relaxation
    normal = _derive_cell("normal", *normal, max_skips=max_skips)
    reduce = _derive_cell("reduce", alphas_reduce, edges_reduce, names[1], relaxation)
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
    weights = recurrent_strengths(alphas, primitives)
    pairs, start = [], 0
    for node in range(recurrent_nodes_of(len(weights))):
        rows = weights[start : start + node + 1]
        source = int(rows.max(axis=1).argmax())
        pairs.append((primitives[rows[source].argmax()], source))
        start += len(rows)
    return RecurrentGenotype(tuple(pairs), tuple(range(1, len(pairs) + 1)))


def recurrent_strengths(alphas, primitives: tuple[str, ...] = RECURRENT_PRIMITIVES) -> np.ndarray:
    """Returns what `derive_recurrent` compares: `(edges, primitives)`, `NEVER` for `none`.

    Args:
        alphas: as in `derive_recurrent`.
        primitives: what the columns stand for.

    Raises:
        InputError: as `derive_recurrent`.
    """
    alphas = _checked_alphas("alphas", alphas, (None, len(primitives)), recurrent_nodes_of)
    return np.where(np.array(primitives) == NONE, NEVER, weights_of(alphas))


def strengths(
    cell: str, alphas, over_edges, primitives, relaxation: str = "softmax"
) -> tuple[np.ndarray, np.ndarray]:
    """What derivation compares, and the primitives that it is of: arrays (edges, primitives).

    Args:
        cell: `"normal"` or `"reduce"`, for errors.
        alphas: as in `derive`, of this cell.
        over_edges: the parameters of its edges, as in `derive`.
        primitives: those of all edges, or a tuple for each.
        relaxation: as in `derive`.

    Returns:
        The weights of the mixtures, times the shares of the edges where these have parameters, a
        share of 1 being that of edges that are alike; `NEVER` for `none`. And the names.

    Raises:
        InputError: as `derive`.
    """
    same = isinstance(primitives[0], str)
    shape = (None, len(primitives)) if same else np.shape(primitives)
    alphas = _checked_alphas(f"alphas_{cell}", alphas, shape)
    names, weights = np.broadcast_to(primitives, alphas.shape), weights_of(alphas, relaxation)
    if over_edges is not None:
        over_edges = _checked_alphas(f"edges_{cell}", over_edges, (len(weights),))
        shares = edge_shares(over_edges)
        for into in by_node(len(weights)):
            weights[into] *= shares[into, None] * len(weights[into])
    return np.where(names == NONE, NEVER, weights), names


def _derive_cell(cell: str, *parameters, max_skips: int | None = None) -> Pairs:
    """The pairs of a cell; see `strengths` for the parameters."""
    weights, names = strengths(cell, *parameters)
    sources = [source for source, _ in edges(nodes_of(len(weights)))]
    while True:
        kept = [place for into in by_node(len(weights)) for place in _strongest(weights, into)]
        skips = [place for place in kept if names[place] == SKIP]
        if max_skips is None or len(skips) <= max_skips:
            return tuple((str(names[place]), sources[place[0]]) for place in kept)
        weakest = min(skips, key=lambda place: weights[place])
        if weights[weakest] == LEFT_OUT:
            raise InputError(
                f"Expected edges that leave a choice of at most {max_skips} skip connections. "
                f"Received: {len(skips)} edges that have nothing else"
            )
        weights[weakest] = LEFT_OUT


def _strongest(weights: np.ndarray, into: slice) -> list[tuple[int, int]]:
    """Row and column of the best operations of the two strongest edges into a node."""
    rows = weights[into]
    order = np.argsort(-rows.max(axis=1), kind="stable")[:2]
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


def edge_shares(over_edges) -> np.ndarray:
    """Returns the softmax over the edges into each node (Xu et al. 2020, eq. 3).

    Args:
        over_edges: `(..., edges)` array of the parameters of edges.

    Returns:
        A float64 array of the same shape; the shares of a node's edges sum to 1.
    """
    over_edges = np.asarray(over_edges, np.float64)
    nodes = by_node(over_edges.shape[-1])
    return np.concatenate([_softmax(over_edges[..., into]) for into in nodes], axis=-1)


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


def _checked_alphas(
    name: str, alphas, shape: tuple[int | None, ...], nodes_of: Callable[[int], int] = nodes_of
) -> np.ndarray:
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
    nodes_of(len(alphas))
    return alphas
