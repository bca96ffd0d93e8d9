"""Tables of the costs of parts, and arrays of the costs of operations per edge for a search.

In a network of given channels, cells and images, the operation on every edge of the normal cell
adds a cost, summed over all normal cells; likewise for the reduction cell. All other costs are
constant: stem, preprocessing, sums, classifier. Costs are integers, so that sums are exact.
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
    """Costs of parts by one metric.

    Attributes:
        metric: a key of `budgets.UNITS`, which defines its unit.
        costs: the cost of each part, an integer.
        name: name of the table, for error messages.
    """

    metric: str
    costs: Mapping[Part, int]
    name: str

    def total(self, parts: Mapping[Part, int]) -> int:
        """Returns the total cost of parts, given the number of occurrences of each."""
        return sum(count * self.costs[part] for part, count in parts.items())

    def check(self, parts: Iterable[Part], target: Target) -> None:
        """Checks that the table has all given parts.

        Args:
            parts: parts of a network.
            target: the network, for the error message.

        Raises:
            InputError: parts are missing; the message names them.
        """
        missing = [part for part in parts if part not in self.costs]
        if missing:
            raise InputError(
                f"Expected a table of {self.metric} with every part of a network of {target}. "
                f"Received: {self.name} without {len(missing)} of them: {listed(missing)}"
            )


@dataclasses.dataclass(frozen=True)
class CellCosts:
    """Costs that every operation on every edge of the two cells adds to a network.

    Attributes:
        metric: a key of `budgets.UNITS`.
        constant: cost of the parts that all networks of one target share.
        normal: `(edges, primitives)` array: the cost of every primitive on every edge, summed over
            all normal cells.
        reduce: `(edges, primitives)` array, summed over all reduction cells.
        space: search space of the cells, which names the columns.
    """

    metric: str
    constant: int
    normal: np.ndarray
    reduce: np.ndarray
    space: Space

    def names(self, cell: int) -> np.ndarray:
        """Returns the names of the columns of `normal` or `reduce`, by row: `(edges, primitives)`.

        Args:
            cell: 0 for `normal`, 1 for `reduce`.
        """
        return np.array(self.space.candidates[cell])

    def total(self, genotype: Genotype) -> int:
        """Returns the cost of the network of a genotype."""
        cells = ((genotype.normal, self.normal), (genotype.reduce, self.reduce))
        sums = (self._cell(*cell, self.space.candidates[i]) for i, cell in enumerate(cells))
        return self.constant + sum(sums)

    def _cell(self, pairs: Pairs, costs: np.ndarray, names) -> int:
        rows = self.space.rows
        places = ((rows[source, INPUTS + i // 2], name) for i, (name, source) in enumerate(pairs))
        return sum(int(costs[row, names[row].index(name)]) for row, name in places)


def cell_costs(table: CostTable, target: Target, space: Space = SPACES[DARTS]) -> CellCosts:
    """Returns the costs of all operations on all edges in the network that a search is for.

    Args:
        table: costs of the network's parts.
        target: the network.
        space: search space.

    Raises:
        InputError: the table lacks parts, or the topology of the cells is not that of DARTS.
    """
    space.check_genotypes(Genotype)
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
    for place, rows in zip(stacked, on_edges, strict=True):
        costs = [[table.costs[part] if part else 0 for part in row] for row in rows]
        sums[place.reduction] += np.array(costs, np.int64)
    return CellCosts(table.metric, table.total(constant), *sums, space)


def network_cost(table: CostTable, target: Target, genotype: Genotype) -> int:
    """Returns the cost of the network of a genotype with any nodes and primitives.

    Raises:
        InputError: the table lacks parts of the network.
    """
    parts = parts_of(target, genotype)
    table.check(parts, target)
    return table.total(parts)
