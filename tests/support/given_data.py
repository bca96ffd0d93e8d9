"""Small data sets in the forms that programs have: arrays of colored images, one-node cells."""

from __future__ import annotations

import numpy as np

from darts_tf.spaces.genotype import Genotype

ONE_NODE = Genotype(
    normal=(("sep_conv_3x3", 0), ("skip_connect", 1)),
    normal_concat=(2,),
    reduce=(("max_pool_3x3", 0), ("skip_connect", 1)),
    reduce_concat=(2,),
)
"""Cells whose networks are built and traced in a moment."""


def colored_arrays(count: int = 30, size: int = 8, classes: int = 3, seed: int = 0):
    """Returns images uint8 `(count, size, size, 3)`, each bright in the channel of its class."""
    labels = np.arange(count) % classes
    dark = np.random.default_rng(seed).integers(0, 80, (count, size, size, 3))
    bright = 170 * (np.arange(3) == labels[:, None])[:, None, None]
    return (dark + bright).astype(np.uint8), labels
