"""The edges that differ between two genotypes, in words."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from darts_tf.errors import InputError, listed
from darts_tf.spaces.cell import Pairs
from darts_tf.spaces.genotype import CELL_TITLES, AnyGenotype, edge_words

SAME = "cells as before"
"""Description of two equal genotypes."""


class Edge(NamedTuple):
    """An edge of a discrete cell.

    Attributes:
        cell: a key of `genotype.CELL_KINDS`.
        node: number of the state that it leads to.
        primitive: its operation.
        source: number of the state that it comes from.
    """

    cell: str
    node: int
    primitive: str
    source: int

    @property
    def words(self) -> str:
        """The edge in texts for people, as in `skip_connect from input 0`."""
        return edge_words(self.cell, self.primitive, self.source)


def edges_of(genotype: AnyGenotype) -> tuple[Edge, ...]:
    """Returns all edges of a genotype, cell by cell, in its order."""
    return tuple(
        Edge(cell.kind, target, primitive, source)
        for cell in genotype.cells
        for primitive, source, target in cell.edges
    )


@dataclasses.dataclass(frozen=True)
class Change:
    """Replacement of an edge by another one.

    Attributes:
        cell: a key of `genotype.CELL_KINDS`.
        node: number of the state that both edges lead to.
        before: primitive and input state of the old edge.
        after: primitive and input state of the new edge.
    """

    cell: str
    node: int
    before: tuple[str, int]
    after: tuple[str, int]

    def __str__(self) -> str:
        """Formats as `normal node 2: sep_conv_3x3 from input 0 -> skip_connect from input 0`."""
        before, after = (edge_words(self.cell, *pair) for pair in (self.before, self.after))
        return f"{self.cell} node {self.node}: {before} -> {after}"


def changes(before: AnyGenotype, after: AnyGenotype) -> tuple[Change, ...]:
    """Returns the edges that differ, cell by cell and node by node.

    The order of a node's edges, which only ranks their strengths, is not compared.

    Raises:
        InputError: the genotypes differ in their kinds of cells or numbers of nodes.
    """
    if _sizes(before) != _sizes(after):
        raise InputError(
            f"Expected two genotypes with the same nodes. Received: {before!r} and {after!r}"
        )
    differences = []
    for old, new in zip(before.cells, after.cells, strict=True):
        for node, ends in enumerate(zip(old.nodes, new.nodes, strict=True), old.inputs):
            differences += [Change(old.kind, node, *edges) for edges in _replaced(*ends)]
    return tuple(differences)


def describe_changes(before: AnyGenotype, after: AnyGenotype, most: int = 3) -> str:
    """Describes the edges that differ in one line, at most `most` of them; `SAME` if none does."""
    differences = changes(before, after)
    if not differences:
        return SAME
    edges = len(edges_of(before))
    named = "; ".join(map(str, differences[:most]))
    more = f"; and {len(differences) - most} more" if len(differences) > most else ""
    return f"{len(differences)} of {edges} edges changed: {named}{more}"


def count_changes(before: AnyGenotype, after: AnyGenotype) -> str:
    """Says how many edges differ and at which nodes, in a short line; `SAME` if none does."""
    differences = changes(before, after)
    if not differences:
        return SAME
    edges = len(edges_of(before))
    places = []
    for cell in dict.fromkeys(each.cell for each in differences):
        nodes = sorted({each.node for each in differences if each.cell == cell})
        places.append(f"{CELL_TITLES[cell]}, node{'s' * (len(nodes) > 1)} {listed(nodes)}")
    return f"{len(differences)} of {edges} edges changed: {'; '.join(places)}"


def _sizes(genotype: AnyGenotype) -> list[tuple[str, int]]:
    """Returns the kind and the number of nodes of every cell."""
    return [(cell.kind, len(cell.nodes)) for cell in genotype.cells]


def _replaced(before: Pairs, after: Pairs) -> list[tuple]:
    """Returns pairs of a removed and an added edge; edges with equal inputs are paired first."""
    gone, come = list(before), list(after)
    for pair in before:
        if pair in come:
            gone.remove(pair)
            come.remove(pair)
    replaced = []
    for of_one_input in (True, False):
        for pair in list(gone):
            fitting = (each for each in come if each[1] == pair[1] or not of_one_input)
            if other := next(fitting, None):
                gone.remove(pair)
                come.remove(other)
                replaced.append((pair, other))
    return replaced
