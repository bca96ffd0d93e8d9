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

from darts_tf.budgets import Budget
from darts_tf.costs import CellCosts
from darts_tf.derivation import derive, strengths
from darts_tf.errors import InputError
from darts_tf.genotype import Genotype
from darts_tf.spaces import NONE, SKIP, Pairs, by_node


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
    primitives = costs.primitives
    options = {"relaxation": relaxation, "max_skips": max_skips}
    plain = derive(*alphas, primitives=primitives, **options)
    if costs.total(plain) <= budget.most:
        return plain
    left = budget.most - costs.constant
    names = [primitive for primitive in primitives if primitive != NONE]
    columns = [primitives.index(name) for name in names]
    over = alphas[2:] or (None, None)
    tables = [table[:, columns] for table in (costs.normal, costs.reduce)]
    of_cells = [
        _by_node(strengths(cell, alphas[i], over[i], primitives, relaxation)[0][:, columns])
        for i, cell in enumerate(("normal", "reduce"))
    ]
    skips = np.array([name == SKIP for name in names])
    normal = _cell_front(of_cells[0], tables[0], skips & (max_skips is not None), max_skips)
    reduce = _cell_front(of_cells[1], tables[1], np.zeros_like(skips), None)
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
    pairs = [_pairs(*cell, names) for cell in zip(chosen, of_cells, strict=True)]
    return dataclasses.replace(plain, normal=pairs[0], reduce=pairs[1])


def _by_node(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[into] for into in by_node(len(rows))]


def _cell_front(of_nodes, costs: np.ndarray, skips: np.ndarray, most: int | None) -> _Front:
    """Of a cell with at most so many of the primitives that are marked."""
    nodes = zip(of_nodes, _by_node(costs), strict=True)
    fronts = [_node_fronts(*node, skips) for node in nodes]
    joined = functools.reduce(_all_joined, fronts)
    kept = (front for count, front in joined.items() if most is None or count <= most)
    return _by_count((0, front) for front in kept)[0]


def _node_fronts(strengths: np.ndarray, costs: np.ndarray, skips: np.ndarray) -> Fronts:
    """Of all pairs of different edges, with any primitive on each."""
    of_edges = []
    for edge, rows in enumerate(zip(costs, strengths, strict=True)):
        chosen = np.array([[[edge, primitive]] for primitive in range(len(skips))])
        kinds = ((int(kind), skips == kind) for kind in np.unique(skips))
        of_edges.append(
            {kind: _pruned(*(row[which] for row in (*rows, chosen))) for kind, which in kinds}
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


def _pairs(chosen: np.ndarray, of_nodes: list[np.ndarray], names: list[str]) -> Pairs:
    """The pairs of a cell, two a node, the stronger first."""
    pairs = []
    for node, rows in zip(chosen, of_nodes, strict=True):
        two = sorted(node.reshape(2, 2).tolist(), key=lambda pair: -rows[tuple(pair)])
        pairs += [(names[primitive], i) for i, primitive in two]
    return tuple(pairs)
