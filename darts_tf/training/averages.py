"""Running averages of a network's variables over training steps."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import tensorflow as tf

from darts_tf.runtime.distribution import assign

Pairs = list[tuple[keras.Variable, keras.Variable]]
"""Pairs of a variable and its average."""


def averages(trainer: keras.Model, variables: Iterable[keras.Variable]) -> Pairs:
    """Makes averages, as weights of the trainer, that start at the variables' values."""
    pairs = []
    for variable in variables:
        average = trainer.add_weight(
            shape=variable.shape, dtype=variable.dtype, trainable=False, name="average"
        )
        average.assign(variable)
        pairs.append((variable, average))
    return pairs


def move(pairs: Pairs, share: tf.Tensor) -> None:
    """Moves the averages towards the variables' current values, in a training step.

    Computes average ← average + share · (variable − average).

    Args:
        pairs: pairs from `averages`.
        share: scalar from 0 to 1; 0 keeps the averages, even if variables are not finite.
    """
    for variable, average in pairs:
        before = tf.convert_to_tensor(average)
        change = tf.convert_to_tensor(variable) - before
        assign(average, before + tf.math.multiply_no_nan(change, tf.cast(share, before.dtype)))


def take(pairs: Pairs) -> None:
    """Sets the variables to their averages."""
    for variable, average in pairs:
        variable.assign(average)
