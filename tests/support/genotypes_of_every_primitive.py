"""Genotypes with every primitive there is."""

from __future__ import annotations

from darts_tf.spaces.cell import ALL_PRIMITIVES, NONE
from darts_tf.spaces.genotype import Genotype

PLAIN = tuple((name, 0) for name in ALL_PRIMITIVES if name != NONE)
EVERYTHING = Genotype((*PLAIN, PLAIN[0]), (2, 3, 4, 5, 6), (*PLAIN, PLAIN[0]), (2, 4, 6))
"""Every primitive there is, in both cells."""
