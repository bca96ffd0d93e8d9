"""Detection of collapsed searches from their cells. Plain data, no TensorFlow.

Skip connections train faster than operations with weights, so that DARTS can end with cells that
consist mostly of them. The supernet's accuracy does not show this (Zela et al. 2020).
"""

from __future__ import annotations

from darts_tf.spaces.cell import NONE, SKIP, Pairs
from darts_tf.spaces.genotype import AnyGenotype, DiscreteCell

WEIGHTLESS = (NONE, SKIP, "max_pool_3x3", "avg_pool_3x3")
"""Operations without weights."""

COLLAPSED = (
    "this search has collapsed; --stop-eigenvalue, --stop-skips and --max-skips of darts-tf search "
    "protect from this"
)
"""Advice for a degenerate cell that a search has derived without constraints."""

BOUNDED = "a small budget does that"
"""Explanation for a degenerate cell that was derived within a budget."""


def count_skips(pairs: Pairs) -> int:
    """Returns the number of skip connections among the (primitive, input) pairs of a cell."""
    return sum(primitive == SKIP for primitive, _ in pairs)


def describe_collapse(genotype: AnyGenotype) -> str:
    """Describes in a sentence why a genotype is degenerate; returns "" if it is not.

    Degenerate are normal cells, and cells of one kind for a whole network, in which more than half
    of the operations are skip connections, which have no operation with weights, or whose output
    does not depend on their input; and recurrent cells without a nonlinear activation. No published
    cell is degenerate. Reduction cells without weights are common and work well.
    """
    cell = genotype.cells[0]
    if genotype.on_text:
        linear = all(activation == "identity" for activation, _ in cell.pairs)
        return "all activations of the cell are the identity: it is linear" if linear else ""
    skips, edges = count_skips(cell.pairs), len(cell.pairs)
    if skips > edges / 2:
        return f"the {cell.title} is {skips} of {edges} skip connections"
    if not is_connected(cell):
        return f"the output of the {cell.title} does not depend on its input"
    if all(primitive in WEIGHTLESS for primitive, _ in cell.pairs):
        return f"the {cell.title} has pools and skip connections alone, nothing that learns"
    return ""


def is_connected(cell: DiscreteCell) -> bool:
    """Returns whether operations other than `none` lead from an input to the output."""
    reached = set(range(cell.inputs))
    for primitive, source, target in cell.edges:
        if primitive != NONE and source in reached:
            reached.add(target)
    return not reached.isdisjoint(cell.concat)
