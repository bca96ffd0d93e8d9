"""The edges that differ between two genotypes, in words."""

from __future__ import annotations

import dataclasses

from darts_tf.errors import InputError
from darts_tf.spaces.cell import Pairs
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype, edge_words

SAME = "cells as before"
"""What is said where nothing has changed."""

_CELLS = {Genotype: {"normal": (2, 2), "reduce": (2, 2)}, RecurrentGenotype: {"recurrent": (1, 1)}}
"""Cells of each kind of genotype: the number of their first node, and pairs of a node."""


@dataclasses.dataclass(frozen=True)
class Change:
    """An edge that has taken the place of another one.

    Attributes:
        cell: `normal`, `reduce` or `recurrent`.
        node: that both end in, by the number that edges which leave it give it.
        before: primitive and input state then.
        after: the same now.
    """

    cell: str
    node: int
    before: tuple[str, int]
    after: tuple[str, int]

    def __str__(self) -> str:
        """As in `normal node 2: sep_conv_3x3 from input 0 -> skip_connect from input 0`."""
        before, after = (edge_words(self.cell, *pair) for pair in (self.before, self.after))
        return f"{self.cell} node {self.node}: {before} -> {after}"


def changes(
    before: Genotype | RecurrentGenotype, after: Genotype | RecurrentGenotype
) -> tuple[Change, ...]:
    """The edges that differ, cell by cell and node by node.

    The order of a node's edges says how strong they are, and no more: it is not compared.

    Raises:
        InputError: one is of recurrent cells and the other is not, or has other numbers of nodes.
    """
    cells = _CELLS[type(before)]
    if [_size(before, cell) for cell in cells] != [_size(after, cell) for cell in cells]:
        raise InputError(
            f"Expected two genotypes with the same nodes. Received: {before!r} and {after!r}"
        )
    found = []
    for cell, (first, each) in cells.items():
        pairs = getattr(before, cell), getattr(after, cell)
        for place in range(0, len(pairs[0]), each):
            node = first + place // each
            ends = (part[place : place + each] for part in pairs)
            found += [Change(cell, node, *edges) for edges in _replaced(*ends)]
    return tuple(found)


def describe_changes(
    before: Genotype | RecurrentGenotype, after: Genotype | RecurrentGenotype, most: int = 3
) -> str:
    """A line on the edges that differ, at most so many of them by name; `SAME` where none does."""
    found = changes(before, after)
    if not found:
        return SAME
    edges = sum(_size(before, cell) for cell in _CELLS[type(before)])
    named = "; ".join(map(str, found[:most]))
    more = f"; and {len(found) - most} more" if len(found) > most else ""
    return f"{len(found)} of {edges} edges changed: {named}{more}"


def _size(genotype, cell: str) -> int:
    return len(getattr(genotype, cell, ()))


def _replaced(before: Pairs, after: Pairs) -> list[tuple]:
    """Edges that have gone, each beside one that has come: where there is one, of its own input."""
    gone, come = list(before), list(after)
    for pair in before:
        if pair in come:
            gone.remove(pair)
            come.remove(pair)
    found = []
    for of_one_input in (True, False):
        for pair in list(gone):
            fitting = (each for each in come if each[1] == pair[1] or not of_one_input)
            if other := next(fitting, None):
                gone.remove(pair)
                come.remove(other)
                found.append((pair, other))
    return found
