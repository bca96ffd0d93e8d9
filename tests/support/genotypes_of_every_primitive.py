"""Genotypes with every primitive there is."""

from __future__ import annotations

from darts_tf.spaces.cell import ALL_PRIMITIVES, NONE
from darts_tf.spaces.genotype import Genotype

PLAIN = tuple((name, 0) for name in ALL_PRIMITIVES if name != NONE)
NODES = tuple(range(2, 2 + len(PLAIN) // 2 + 1))
PAIRS = (*PLAIN, ("max_pool_3x3", NODES[-2]))
# the last node reads the one before it: XNNPACK concatenates five states at most
EVERYTHING = Genotype(PAIRS, (*NODES[:-2], NODES[-1]), PAIRS, NODES[::-2])
"""Every primitive there is, in both cells."""
