"""Conversion of a dataset's batches to arrays, and comparison of two lists of them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def collected(batches: tf.data.Dataset) -> list:
    return [tf.nest.map_structure(np.asarray, batch) for batch in batches.as_numpy_iterator()]


def assert_same(batches, expected):
    assert len(batches) == len(expected)
    for one, other in zip(batches, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)
