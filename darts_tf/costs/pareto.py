"""The best cells that a budget allows, exactly.

Derivation (Liu et al. 2019, section 2.4) keeps the two strongest edges of every node, each with its
strongest primitive, which makes the sum of these strengths as large as it can be. Here the same sum
is made as large as it can be among the cells whose network costs no more than a budget. A node's
choices that cost as much as another and are weaker can be left out, and so can those of nodes
together, so that few are left: dynamic programming over Pareto fronts.
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
    """Choices none of which is both cheaper and stronger than another, the cheapest first.

    Attributes:
        costs: `(choices,)`, ascending.
        strengths: `(choices,)`, ascending.
        chosen: `(choices, nodes, 4)`: input, primitive, another input and its primitive.
    """

    costs: np.ndarray
    strengths: np.ndarray
    chosen: np.ndarray


_NEVER = -1
"""Kind of an operation that is not derived."""

Fronts = dict[int, _Front]
"""Fronts of choices by how many skip connections they have, where these are limited; else one."""


def derive_within(
    budget: Budget,
    costs: CellCosts,
    *alphas,
    relaxation: str = "softmax",
    max_skips: int | None = None,
) -> Genotype:
    """The discrete cells of most strength whose network costs no more than a budget.

    Where what `derive` gives is within the budget, it is just that.

    Args:
        budget: the most that the network may cost.
        costs: of the network, in the metric of the budget.
        *alphas: as `derive` takes them: of the normal and the reduction cell, and of their edges.
        relaxation: as there.
        max_skips: as there; the strongest cells with as few.

    Raises:
        InputError: no cells cost as little, with the least that some do; or as `derive`.
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
    # edges' kinds of operations: skip connections where they are limited, those that are never
    # derived, and all others
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
    # of every normal cell with the strongest reduction cell that it leaves room for
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
    """Of a cell with at most so many of the operations whose kind is 1."""
    nodes = zip(*map(_by_node, (strengths, costs, kinds)), strict=True)
    fronts = [_node_fronts(*node) for node in nodes]
    joined = functools.reduce(_all_joined, fronts)
    kept = (front for count, front in joined.items() if most is None or count <= most)
    return _by_count((0, front) for front in kept)[0]


def _node_fronts(strengths: np.ndarray, costs: np.ndarray, kinds: np.ndarray) -> Fronts:
    """Of all pairs of different edges, with any primitive on each."""
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
    """Of all choices from the one with all from the other."""
    pairs = itertools.product(first.items(), second.items())
    return _by_count((i + j, _joined(one, other, axis)) for (i, one), (j, other) in pairs)


def _by_count(fronts: Iterable[tuple[int, _Front]]) -> Fronts:
    """One front for each number of skip connections."""
    found: dict[int, list[_Front]] = {}
    for count, front in fronts:
        found.setdefault(count, []).append(front)
    return {
        count: _pruned(*(np.concatenate(parts) for parts in zip(*of_count, strict=True)))
        for count, of_count in found.items()
    }


def _joined(first: _Front, second: _Front, axis: int) -> _Front:
    """Of all choices from the one with all from the other."""
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
    """Which choices are stronger than all that cost no more, the cheapest first."""
    order = np.lexsort((-strengths, costs))
    sorted_strengths = strengths[order]
    before = np.maximum.accumulate(np.concatenate([[-np.inf], sorted_strengths[:-1]]))
    return order[sorted_strengths > before]


def _pairs(chosen: np.ndarray, strengths: np.ndarray, names: np.ndarray) -> Pairs:
    """The pairs of a cell, two a node, the stronger first."""
    pairs = []
    for node, rows, called in zip(chosen, _by_node(strengths), _by_node(names), strict=True):
        two = sorted(node.reshape(2, 2).tolist(), key=lambda pair: -rows[tuple(pair)])
        pairs += [(str(called[i, column]), i) for i, column in two]
    return tuple(pairs)
