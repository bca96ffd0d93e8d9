"""Derivation of the strongest cells within a budget, by exact optimization.

Derivation (Liu et al. 2019, section 2.4) keeps the two strongest edges of every node, or all of
them, each with its strongest primitive, which maximizes the sum of these strengths. This module
maximizes the same sum over the cells whose network costs no more than a budget. Choices for a node
that are dominated, i.e. no cheaper and weaker than another, can be dropped, and likewise those for
several nodes: this is dynamic programming over Pareto fronts, which stay small.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from darts_tf.configs.budgets import Budget
from darts_tf.costs.tables import CellCosts
from darts_tf.errors import InputError
from darts_tf.spaces.cell import NONE, SKIP, Pairs
from darts_tf.spaces.derivation import derive_genotype, strengths
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import Space


class _Front(NamedTuple):
    """A Pareto front: choices that no other choice dominates, the cheapest first.

    Attributes:
        costs: `(choices,)` array, ascending.
        strengths: `(choices,)` array, ascending.
        chosen: `(choices, kept edges, 2)` array: row of each edge and column of its primitive.
    """

    costs: np.ndarray
    strengths: np.ndarray
    chosen: np.ndarray


_NEVER = -1
"""Kind of operations that are never derived."""

Fronts = dict[int, _Front]
"""Fronts by the number of skip connections in their choices; a single one if it is not limited."""


def derive_within(
    budget: Budget,
    costs: CellCosts,
    *alphas,
    relaxation: str = "softmax",
    max_skips: int | None = None,
) -> AnyGenotype:
    """Derives the strongest discrete cells whose network costs no more than a budget.

    If the cells that `derive` returns are within the budget, returns these.

    Args:
        budget: maximum cost of the network.
        costs: costs of the network's operations, in the metric of the budget.
        *alphas: see `derive_genotype`: arrays of each kind of cell, and of their edges.
        relaxation: see `derive`.
        max_skips: see `derive`; here the strongest cells within this limit are found exactly.

    Raises:
        InputError: no cells are within the budget; the message has the smallest cost of any cells.
            Or see `derive`.
    """
    space = costs.space
    plain = derive_genotype(space, alphas, relaxation, max_skips)
    if costs.total(plain) <= budget.most:
        return plain
    left, count = budget.most - costs.constant, len(space.kinds)
    over = alphas[count:] or (None,) * count
    names = [costs.names(cell) for cell in range(count)]
    of_cells = [
        strengths(space, cell, alphas[cell], over[cell], relaxation) for cell in range(count)
    ]
    # kinds of the operations: 1 for skip connections if they are limited, _NEVER for those that are
    # never derived, 0 for all others
    never = NONE if not space.allow_none else ""
    kinds = [np.where(each == never, _NEVER, 0) for each in names]
    if max_skips is not None:
        kinds[0] = np.where(names[0] == SKIP, 1, kinds[0])
    limits = (max_skips, *[None] * (count - 1))
    parts = zip(of_cells, costs.tables, kinds, limits, strict=True)
    fronts = [_cell_front(space, *cell) for cell in parts]
    least = sum(int(front.costs[0]) for front in fronts)
    if least > left:
        raise InputError(
            f"Expected a budget of {Budget(budget.metric, costs.constant + least)} or more, which "
            f"the cheapest cells cost. Received: {budget}"
        )
    chosen = _best(fronts, left)
    return space.genotype(
        [_pairs(space, *cell) for cell in zip(chosen, of_cells, names, strict=True)]
    )


def _best(fronts: list[_Front], left: int) -> list[np.ndarray]:
    """Returns the strongest choice of one or two fronts whose costs sum to `left` at most."""
    if len(fronts) == 1:
        (front,) = fronts
        return [front.chosen[np.searchsorted(front.costs, left, side="right") - 1]]
    first, second = fronts
    # pair every choice of the first with the strongest of the second within the rest of the budget
    rest = np.searchsorted(second.costs, left - first.costs, side="right") - 1
    sums = np.where(rest >= 0, first.strengths + second.strengths[rest], -np.inf)
    best = int(sums.argmax())
    return [first.chosen[best], second.chosen[rest[best]]]


def _cell_front(
    space: Space, strengths: np.ndarray, costs: np.ndarray, kinds: np.ndarray, most: int | None
) -> _Front:
    """Returns the front of a cell with at most `most` operations of kind 1; None for no limit."""
    fronts = [_node_fronts(space, into, strengths, costs, kinds) for into in space.rows_by_node]
    joined = functools.reduce(_all_joined, fronts)
    kept = (front for count, front in joined.items() if most is None or count <= most)
    return _by_count((0, front) for front in kept)[0]


def _node_fronts(
    space: Space, into: slice, strengths: np.ndarray, costs: np.ndarray, kinds: np.ndarray
) -> Fronts:
    """Returns the fronts of a node: the edges that it may keep with any primitive on each."""
    of_edges = []
    for row in range(into.start, into.stop):
        chosen = np.array([[[row, column]] for column in range(len(kinds[row]))])
        there = ((int(k), kinds[row] == k) for k in np.unique(kinds[row]) if k != _NEVER)
        of_edges.append(
            {
                kind: _pruned(*(part[which] for part in (costs[row], strengths[row], chosen)))
                for kind, which in there
            }
        )
    sets = itertools.combinations(of_edges, space.edges_per_node or len(of_edges))
    joined = (functools.reduce(_all_joined, each).items() for each in sets)
    return _by_count(itertools.chain.from_iterable(joined))


def _all_joined(first: Fronts, second: Fronts) -> Fronts:
    """Returns the fronts of every choice of `first` combined with every choice of `second`."""
    pairs = itertools.product(first.items(), second.items())
    return _by_count((i + j, _joined(one, other)) for (i, one), (j, other) in pairs)


def _by_count(fronts: Iterable[tuple[int, _Front]]) -> Fronts:
    """Merges fronts into one for each number of skip connections."""
    by_count: dict[int, list[_Front]] = {}
    for count, front in fronts:
        by_count.setdefault(count, []).append(front)
    return {
        count: _pruned(*(np.concatenate(parts) for parts in zip(*of_count, strict=True)))
        for count, of_count in by_count.items()
    }


def _joined(first: _Front, second: _Front) -> _Front:
    """Returns the front of every choice of `first` combined with every choice of `second`."""
    i, j = (index.ravel() for index in np.indices((len(first.costs), len(second.costs))))
    costs, sums = first.costs[i] + second.costs[j], first.strengths[i] + second.strengths[j]
    kept = _undominated(costs, sums)
    i, j = i[kept], j[kept]
    chosen = np.concatenate([first.chosen[i], second.chosen[j]], 1)
    return _Front(costs[kept], sums[kept], chosen)


def _pruned(costs: np.ndarray, strengths: np.ndarray, chosen: np.ndarray) -> _Front:
    kept = _undominated(costs, strengths)
    return _Front(costs[kept], strengths[kept], chosen[kept])


def _undominated(costs: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Returns the indices of choices stronger than all that cost no more, the cheapest first."""
    order = np.lexsort((-strengths, costs))
    sorted_strengths = strengths[order]
    before = np.maximum.accumulate(np.concatenate([[-np.inf], sorted_strengths[:-1]]))
    return order[sorted_strengths > before]


def _pairs(space: Space, chosen: np.ndarray, strengths: np.ndarray, names: np.ndarray) -> Pairs:
    """Returns the (primitive, input) pairs of a cell, node by node.

    If nodes keep some of their edges, the strongest is first; otherwise they are in order.
    """
    pairs = []
    for into in space.rows_by_node:
        kept = [(row, column) for row, column in chosen.tolist() if into.start <= row < into.stop]
        if space.edges_per_node:
            kept.sort(key=lambda place: -strengths[place])
        pairs += [(str(names[place]), space.edges[place[0]][0]) for place in kept]
    return tuple(pairs)
