"""What networks cost: the sum of their parts, and arrays of it for a search.

In a network of given channels, cells and images every edge of the normal cell adds a cost of its
own, summed over all normal cells, and so does every edge of the reduction cell. All else is
constant: stem, preprocessing, sums, classifier. Costs are whole numbers, so that sums are exact.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from darts_tf.errors import InputError
from darts_tf.genotype import Genotype
from darts_tf.names import listed
from darts_tf.parts import Part, Target, ends, parts_of, places
from darts_tf.spaces import NODES, PRIMITIVES, Pairs, edges


@dataclasses.dataclass(frozen=True)
class CostTable:
    """What parts cost.

    Attributes:
        metric: a key of `budgets.UNITS`, which has its unit.
        costs: whole numbers.
        name: of the table, for errors.
    """

    metric: str
    costs: Mapping[Part, int]
    name: str

    def total(self, parts: Mapping[Part, int]) -> int:
        """The cost of parts, each as often as it is there."""
        return sum(count * self.costs[part] for part, count in parts.items())

    def check(self, parts: Iterable[Part], target: Target) -> None:
        """Refuses parts that are not in the table.

        Args:
            parts: of a network.
            target: that network, for the error.

        Raises:
            InputError: with their names.
        """
        missing = [part for part in parts if part not in self.costs]
        if missing:
            raise InputError(
                f"Expected a table of {self.metric} with every part of a network of {target}. "
                f"Received: {self.name} without {len(missing)} of them: {listed(missing)}"
            )


@dataclasses.dataclass(frozen=True)
class CellCosts:
    """What every choice in the two cells adds to the cost of a network.

    Attributes:
        metric: a key of `budgets.UNITS`.
        constant: of what all networks of one target have.
        normal: `(edges, primitives)`, of every primitive on every edge, in all normal cells.
        reduce: the same of the reduction cells.
        primitives: what the columns stand for.
    """

    metric: str
    constant: int
    normal: np.ndarray
    reduce: np.ndarray
    primitives: tuple[str, ...]

    def total(self, genotype: Genotype) -> int:
        """The cost of the network of a genotype."""
        cells = ((genotype.normal, self.normal), (genotype.reduce, self.reduce))
        return self.constant + sum(self._cell(pairs, costs) for pairs, costs in cells)

    def _cell(self, pairs: Pairs, costs: np.ndarray) -> int:
        rows = {edge: row for row, edge in enumerate(edges(len(pairs) // 2))}
        return sum(
            int(costs[rows[source, 2 + i // 2], self.primitives.index(primitive)])
            for i, (primitive, source) in enumerate(pairs)
        )


def cell_costs(
    table: CostTable,
    target: Target,
    nodes: int = NODES,
    primitives: tuple[str, ...] = PRIMITIVES,
) -> CellCosts:
    """The costs of all choices in the network that a search is for.

    Args:
        table: what its parts cost.
        target: the network.
        nodes: of both cells.
        primitives: the candidates.

    Raises:
        InputError: parts of it are not in the table.
    """
    stacked = places(target, (nodes, nodes), (nodes, nodes))
    constant = collections.Counter(ends(target, stacked[-1]))
    pairs = [(edge[0], primitive) for edge in edges(nodes) for primitive in primitives]
    on_edges = []
    for place in stacked:
        constant.update(place.fixed())
        on_edges.append([place.edge(primitive, source) for source, primitive in pairs])
    wanted = [*constant, *(part for row in on_edges for part in row if part)]
    table.check(dict.fromkeys(wanted), target)
    sums = np.zeros((2, len(pairs)), np.int64)
    for place, row in zip(stacked, on_edges, strict=True):
        sums[int(place.reduction)] += [table.costs[part] if part else 0 for part in row]
    normal, reduce = sums.reshape(2, -1, len(primitives))
    return CellCosts(table.metric, table.total(constant), normal, reduce, tuple(primitives))


def network_cost(table: CostTable, target: Target, genotype: Genotype) -> int:
    """The cost of a network of any genotype, whatever its nodes and primitives.

    Raises:
        InputError: parts of it are not in the table.
    """
    parts = parts_of(target, genotype)
    table.check(parts, target)
    return table.total(parts)
