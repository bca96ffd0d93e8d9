"""Derivation of the strongest cells within a budget, by exact optimization.

Derivation (Liu et al. 2019, section 2.4) keeps the two strongest edges of every node, each with its
strongest primitive, which maximizes the sum of these strengths. This module maximizes the same sum
over the cells whose network costs no more than a budget. Choices for a node that are dominated,
i.e. no cheaper and weaker than another, can be dropped, and likewise those for several nodes: this
is dynamic programming over Pareto fronts, which stay small.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from darts_tf.configs.budgets import Budget
from darts_tf.costs.tables import CellCosts
from darts_tf.errors import InputError
from darts_tf.spaces.cell import NONE, SKIP, Pairs, by_node
from darts_tf.spaces.derivation import derive_genotype, strengths
from darts_tf.spaces.genotype import Genotype


class _Front(NamedTuple):
    """A Pareto front: choices that no other choice dominates, the cheapest first.

    Attributes:
        costs: `(choices,)` array, ascending.
        strengths: `(choices,)` array, ascending.
        chosen: `(choices, nodes, 4)` array: input, primitive, another input and its primitive.
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
) -> Genotype:
    """Derives the strongest discrete cells whose network costs no more than a budget.

    If the cells that `derive` returns are within the budget, returns these.

    Args:
        budget: maximum cost of the network.
        costs: costs of the network's operations, in the metric of the budget.
        *alphas: see `derive`: arrays of the normal and the reduction cell, and of their edges.
        relaxation: see `derive`.
        max_skips: see `derive`; here the strongest cells within this limit are found exactly.

    Raises:
        InputError: no cells are within the budget; the message has the smallest cost of any cells.
            Or see `derive`.
    """
    plain = derive_genotype(costs.space, alphas, relaxation, max_skips)
    if costs.total(plain) <= budget.most:
        return plain
    left = budget.most - costs.constant
    over = alphas[2:] or (None, None)
    names = [costs.names(0), costs.names(1)]
    of_cells = [
        strengths(costs.space, cell, alphas[cell], over[cell], relaxation) for cell in range(2)
    ]
    # kinds of the operations: 1 for skip connections if they are limited, _NEVER for those that are
    # never derived, 0 for all others
    kinds = [np.where(each == NONE, _NEVER, 0) for each in names]
    if max_skips is not None:
        kinds[0] = np.where(names[0] == SKIP, 1, kinds[0])
    normal = _cell_front(of_cells[0], costs.normal, kinds[0], max_skips)
    reduce = _cell_front(of_cells[1], costs.reduce, kinds[1], None)
    least = int(normal.costs[0] + reduce.costs[0])
    if least > left:
        raise InputError(
            f"Expected a budget of {Budget(budget.metric, costs.constant + least)} or more, which "
            f"the cheapest cells cost. Received: {budget}"
        )
    # pair every normal cell with the strongest reduction cell within the rest of the budget
    rest = np.searchsorted(reduce.costs, left - normal.costs, side="right") - 1
    possible = rest >= 0
    sums = np.where(possible, normal.strengths + reduce.strengths[rest], -np.inf)
    best = int(sums.argmax())
    chosen = (normal.chosen[best], reduce.chosen[rest[best]])
    pairs = [_pairs(*cell) for cell in zip(chosen, of_cells, names, strict=True)]
    return dataclasses.replace(plain, normal=pairs[0], reduce=pairs[1])


def _by_node(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[into] for into in by_node(len(rows))]


def _cell_front(
    strengths: np.ndarray, costs: np.ndarray, kinds: np.ndarray, most: int | None
) -> _Front:
    """Returns the front of a cell with at most `most` operations of kind 1; None for no limit."""
    nodes = zip(*map(_by_node, (strengths, costs, kinds)), strict=True)
    fronts = [_node_fronts(*node) for node in nodes]
    joined = functools.reduce(_all_joined, fronts)
    kept = (front for count, front in joined.items() if most is None or count <= most)
    return _by_count((0, front) for front in kept)[0]


def _node_fronts(strengths: np.ndarray, costs: np.ndarray, kinds: np.ndarray) -> Fronts:
    """Returns the fronts of a node: all pairs of different edges with any primitive on each."""
    of_edges = []
    for edge, (*rows, row_kinds) in enumerate(zip(costs, strengths, kinds, strict=True)):
        chosen = np.array([[[edge, column]] for column in range(len(row_kinds))])
        there = ((int(k), row_kinds == k) for k in np.unique(row_kinds) if k != _NEVER)
        of_edges.append(
            {kind: _pruned(*(row[which] for row in (*rows, chosen))) for kind, which in there}
        )
    pairs = itertools.combinations(of_edges, 2)
    joined = (_all_joined(*pair, axis=2).items() for pair in pairs)
    return _by_count(itertools.chain.from_iterable(joined))


def _all_joined(first: Fronts, second: Fronts, axis: int = 1) -> Fronts:
    """Returns the fronts of every choice of `first` combined with every choice of `second`."""
    pairs = itertools.product(first.items(), second.items())
    return _by_count((i + j, _joined(one, other, axis)) for (i, one), (j, other) in pairs)


def _by_count(fronts: Iterable[tuple[int, _Front]]) -> Fronts:
    """Merges fronts into one for each number of skip connections."""
    by_count: dict[int, list[_Front]] = {}
    for count, front in fronts:
        by_count.setdefault(count, []).append(front)
    return {
        count: _pruned(*(np.concatenate(parts) for parts in zip(*of_count, strict=True)))
        for count, of_count in by_count.items()
    }


def _joined(first: _Front, second: _Front, axis: int) -> _Front:
    """Returns the front of every choice of `first` combined with every choice of `second`."""
    i, j = (index.ravel() for index in np.indices((len(first.costs), len(second.costs))))
    costs, sums = first.costs[i] + second.costs[j], first.strengths[i] + second.strengths[j]
    kept = _undominated(costs, sums)
    i, j = i[kept], j[kept]
    chosen = np.concatenate([first.chosen[i], second.chosen[j]], axis)
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


def _pairs(chosen: np.ndarray, strengths: np.ndarray, names: np.ndarray) -> Pairs:
    """Returns the (primitive, input) pairs of a cell, two per node, the stronger one first."""
    pairs = []
    for node, rows, called in zip(chosen, _by_node(strengths), _by_node(names), strict=True):
        two = sorted(node.reshape(2, 2).tolist(), key=lambda pair: -rows[tuple(pair)])
        pairs += [(str(called[i, column]), i) for i, column in two]
    return tuple(pairs)
