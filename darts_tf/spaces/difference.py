"""The edges that differ between two genotypes, in words."""

from __future__ import annotations

import dataclasses

from darts_tf.errors import InputError, listed
from darts_tf.spaces.cell import Pairs
from darts_tf.spaces.genotype import CELL_TITLES, Genotype, RecurrentGenotype, edge_words

SAME = "cells as before"
"""Description of two equal genotypes."""

_CELLS = {Genotype: {"normal": (2, 2), "reduce": (2, 2)}, RecurrentGenotype: {"recurrent": (1, 1)}}
"""Cells of each kind of genotype: the number of the first node, and the pairs per node."""


@dataclasses.dataclass(frozen=True)
class Change:
    """Replacement of an edge by another one.

    Attributes:
        cell: `normal`, `reduce` or `recurrent`.
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


def changes(
    before: Genotype | RecurrentGenotype, after: Genotype | RecurrentGenotype
) -> tuple[Change, ...]:
    """Returns the edges that differ, cell by cell and node by node.

    The order of a node's edges, which only ranks their strengths, is not compared.

    Raises:
        InputError: the genotypes differ in their kinds of cells or numbers of nodes.
    """
    cells = _CELLS[type(before)]
    if [_size(before, cell) for cell in cells] != [_size(after, cell) for cell in cells]:
        raise InputError(
            f"Expected two genotypes with the same nodes. Received: {before!r} and {after!r}"
        )
    differences = []
    for cell, (first, each) in cells.items():
        pairs = getattr(before, cell), getattr(after, cell)
        for place in range(0, len(pairs[0]), each):
            node = first + place // each
            ends = (part[place : place + each] for part in pairs)
            differences += [Change(cell, node, *edges) for edges in _replaced(*ends)]
    return tuple(differences)


def describe_changes(
    before: Genotype | RecurrentGenotype, after: Genotype | RecurrentGenotype, most: int = 3
) -> str:
    """Describes the edges that differ in one line, at most `most` of them; `SAME` if none does."""
    differences = changes(before, after)
    if not differences:
        return SAME
    edges = sum(_size(before, cell) for cell in _CELLS[type(before)])
    named = "; ".join(map(str, differences[:most]))
    more = f"; and {len(differences) - most} more" if len(differences) > most else ""
    return f"{len(differences)} of {edges} edges changed: {named}{more}"


def count_changes(before: Genotype | RecurrentGenotype, after) -> str:
    """Says how many edges differ and at which nodes, in a short line; `SAME` if none does."""
    differences = changes(before, after)
    if not differences:
        return SAME
    edges = sum(_size(before, cell) for cell in _CELLS[type(before)])
    places = []
    for cell in dict.fromkeys(each.cell for each in differences):
        nodes = sorted({each.node for each in differences if each.cell == cell})
        places.append(f"{CELL_TITLES[cell]}, node{'s' * (len(nodes) > 1)} {listed(nodes)}")
    return f"{len(differences)} of {edges} edges changed: {'; '.join(places)}"


def _size(genotype, cell: str) -> int:
    return len(getattr(genotype, cell, ()))


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
