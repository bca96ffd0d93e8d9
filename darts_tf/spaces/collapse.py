"""Detection of collapsed searches from their cells. Plain data, no TensorFlow.

Skip connections train faster than operations with weights, so that DARTS can end with cells that
consist mostly of them. The supernet's accuracy does not show this (Zela et al. 2020).
"""

from __future__ import annotations

from darts_tf.spaces.cell import SKIP, Pairs
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype

WEIGHTLESS = (SKIP, "max_pool_3x3", "avg_pool_3x3")
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


def describe_collapse(genotype: Genotype | RecurrentGenotype) -> str:
    """Describes in a sentence why a genotype is degenerate; returns "" if it is not.

    Degenerate are normal cells in which more than half of the operations are skip connections, or
    which have no operation with weights, and recurrent cells without a nonlinear activation. No
    published cell is degenerate. Reduction cells without weights are common and work well.
    """
    if isinstance(genotype, RecurrentGenotype):
        linear = all(activation == "identity" for activation, _ in genotype.recurrent)
        return "all activations of the cell are the identity: it is linear" if linear else ""
    skips, edges = count_skips(genotype.normal), len(genotype.normal)
    if skips > edges / 2:
        return f"the normal cell is {skips} of {edges} skip connections"
    if all(primitive in WEIGHTLESS for primitive, _ in genotype.normal):
        return "the normal cell has pools and skip connections alone, nothing that learns"
    return ""
