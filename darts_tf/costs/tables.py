"""Tables of the costs of parts, and arrays of the costs of operations per edge for a search.

In a network of given channels, cells and images, the operation on every edge of a kind of cell adds
a cost, summed over all cells of that kind. All other costs are constant: stem, preprocessing, sums,
classifier. Costs are integers, so that sums are exact.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from darts_tf.costs.parts import Component, Part, Target, parts_of, skeleton_in
from darts_tf.errors import InputError, listed
from darts_tf.spaces.genotype import AnyGenotype, DiscreteCell
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
    """Costs that every operation on every edge of a cell adds to a network.

    Attributes:
        metric: a key of `budgets.UNITS`.
        constant: cost of the parts that all networks of one target share.
        tables: `(edges, primitives)` array for each kind of cell: the cost of every primitive on
            every edge, summed over all cells of that kind.
        space: search space of the cells, which names the columns.
    """

    metric: str
    constant: int
    tables: Sequence[np.ndarray]
    space: Space

    def names(self, cell: int) -> np.ndarray:
        """Returns the names of the columns of a table, by row: `(edges, primitives)`.

        Args:
            cell: index of the kind of cell.
        """
        return np.array(self.space.candidates[cell])

    def total(self, genotype: AnyGenotype) -> int:
        """Returns the cost of the network of a genotype."""
        cells = zip(genotype.cells, self.tables, self.space.candidates, strict=True)
        return self.constant + sum(self._cell(*cell) for cell in cells)

    def _cell(self, cell: DiscreteCell, costs: np.ndarray, names) -> int:
        rows = self.space.rows
        places = ((rows[source, target], name) for name, source, target in cell.edges)
        return sum(int(costs[row, names[row].index(name)]) for row, name in places)


def cell_costs(table: CostTable, target: Target, space: Space = SPACES[DARTS]) -> CellCosts:
    """Returns the costs of all operations on all edges in the network that a search is for.

    Args:
        table: costs of the network's parts.
        target: the network.
        space: search space.

    Raises:
        InputError: the table lacks parts, or the space has cells that no networks on images have.
    """
    skeleton, on_edges = skeleton_in(target, space), []
    layers = [each for each in skeleton if isinstance(each, Component)]
    constant = sum((layer.parts for layer in layers), collections.Counter())
    for each in (each for each in skeleton if not isinstance(each, Component)):
        constant.update(each.fixed())
        choices = zip(space.edges, space.candidates[each.kind], strict=True)
        rows = [[each.edge(name, edge[0]) for name in names] for edge, names in choices]
        on_edges.append((each.kind, rows))
    on_any = (part for _, rows in on_edges for row in rows for part in row if part)
    table.check(dict.fromkeys([*constant, *on_any]), target)
    sums = [np.zeros(shape, np.int64) for shape in space.shapes]
    for kind, rows in on_edges:
        costs = [[table.costs[part] if part else 0 for part in row] for row in rows]
        sums[kind] += np.array(costs, np.int64)
    return CellCosts(table.metric, table.total(constant), tuple(sums), space)


def network_cost(table: CostTable, target: Target, genotype: AnyGenotype) -> int:
    """Returns the cost of the network of a genotype with any nodes and primitives.

    Raises:
        InputError: the table lacks parts of the network.
    """
    parts = parts_of(target, genotype)
    table.check(parts, target)
    return table.total(parts)
