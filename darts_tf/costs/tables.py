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

from darts_tf.costs.parts import Part, Target, ends, parts_of, places
from darts_tf.errors import InputError, listed
from darts_tf.spaces.cell import INPUTS, Pairs
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space


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
        space: of the cells, which names the columns.
    """

    metric: str
    constant: int
    normal: np.ndarray
    reduce: np.ndarray
    space: Space

    def names(self, cell: int) -> np.ndarray:
        """What the columns of each row stand for, `(edges, primitives)`, of `normal` or `reduce`.

        Args:
            cell: 0 or 1.
        """
        return np.array(self.space.candidates[cell])

    def total(self, genotype: Genotype) -> int:
        """The cost of the network of a genotype."""
        cells = ((genotype.normal, self.normal), (genotype.reduce, self.reduce))
        sums = (self._cell(*cell, self.space.candidates[i]) for i, cell in enumerate(cells))
        return self.constant + sum(sums)

    def _cell(self, pairs: Pairs, costs: np.ndarray, names) -> int:
        rows = self.space.rows
        places = ((rows[source, INPUTS + i // 2], name) for i, (name, source) in enumerate(pairs))
        return sum(int(costs[row, names[row].index(name)]) for row, name in places)


def cell_costs(table: CostTable, target: Target, space: Space = SPACES[DARTS]) -> CellCosts:
    """The costs of all choices in the network that a search is for.

    Args:
        table: what its parts cost.
        target: the network.
        space: of the search.

    Raises:
        InputError: parts of it are not in the table, or cells of another topology.
    """
    space.check_darts_cells()
    stacked = places(target, (space.nodes,) * 2, (space.nodes,) * 2)
    constant = collections.Counter(ends(target, stacked[-1]))
    on_edges = []
    for place in stacked:
        constant.update(place.fixed())
        choices = zip(space.edges, space.candidates[place.reduction], strict=True)
        on_edges.append([[place.edge(name, edge[0]) for name in names] for edge, names in choices])
    wanted = [*constant, *(part for place in on_edges for row in place for part in row if part)]
    table.check(dict.fromkeys(wanted), target)
    sums = [np.zeros(shape, np.int64) for shape in space.shapes]
    for place, found in zip(stacked, on_edges, strict=True):
        costs = [[table.costs[part] if part else 0 for part in row] for row in found]
        sums[place.reduction] += np.array(costs, np.int64)
    return CellCosts(table.metric, table.total(constant), *sums, space)


def network_cost(table: CostTable, target: Target, genotype: Genotype) -> int:
    """The cost of a network of any genotype, whatever its nodes and primitives.

    Raises:
        InputError: parts of it are not in the table.
    """
    parts = parts_of(target, genotype)
    table.check(parts, target)
    return table.total(parts)
