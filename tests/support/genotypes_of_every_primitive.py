"""Genotypes with every primitive there is."""

from __future__ import annotations

from darts_tf.spaces.cell import ALL_PRIMITIVES, NONE
from darts_tf.spaces.genotype import Genotype

PLAIN = tuple((name, 0) for name in ALL_PRIMITIVES if name != NONE)
PAIRS = (*PLAIN, *PLAIN[: len(PLAIN) % 2])
NODES = tuple(range(2, 2 + len(PAIRS) // 2))
EVERYTHING = Genotype(PAIRS, NODES, PAIRS, NODES[::-2])
"""Every primitive there is, in both cells."""
