"""State dicts of PyTorch, for tests of imports."""

from __future__ import annotations

import numpy as np
from reference_names import network_shapes, random_state_dict

from darts_tf.spaces.zoo import GENOTYPES


def small_state(classes=10, stem="cifar", genotype="DARTS_V2", auxiliary=True) -> dict:
    """Returns float32 arrays of a network with 4 channels and 3 cells."""
    shapes = network_shapes(GENOTYPES[genotype], 4, 3, classes, stem=stem)
    arrays = random_state_dict(shapes)
    kept = {k: v for k, v in arrays.items() if auxiliary or not k.startswith("auxiliary_head")}
    return {name: np.asarray(array, np.float32) for name, array in kept.items()}


def write_npz(path, state):
    np.savez(path, **state)
    return path
