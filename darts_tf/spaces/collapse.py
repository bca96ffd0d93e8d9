"""Signs that a search collapses, read from its alphas and its cells. Plain data, no TensorFlow.

Skip connections train faster than operations with weights, so that DARTS may end with cells of
little else, which the supernet's accuracy does not show (Zela et al. 2020).
"""

from __future__ import annotations

from darts_tf.spaces.cell import SKIP, Pairs
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype

WEIGHTLESS = (SKIP, "max_pool_3x3", "avg_pool_3x3")
"""Operations that learn nothing."""

COLLAPSED = (
    "this search has collapsed; --stop-eigenvalue, --stop-skips and --max-skips of darts-tf search "
    "protect from this"
)
"""What is to be said of a degenerate cell that a search has come to by itself."""

BOUNDED = "a small budget does that"
"""What is to be said of one that was derived within a budget."""


def count_skips(pairs: Pairs) -> int:
    """Skip connections among the (primitive, input) pairs of a cell."""
    return sum(primitive == SKIP for primitive, _ in pairs)


def describe_collapse(genotype: Genotype | RecurrentGenotype) -> str:
    """What is degenerate about a cell, in a sentence; empty where nothing is.

    That is a normal cell of which more than half are skip connections, or which has no operation
    with weights; or a recurrent cell without a nonlinear activation. No published cell is.
    Reduction cells without weights are common and good.
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
