"""Averages of a network's variables over the steps of its training."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import tensorflow as tf

from darts_tf.runtime.distribution import assign

Pairs = list[tuple[keras.Variable, keras.Variable]]
"""Variables, each with its average."""


def averages(trainer: keras.Model, variables: Iterable[keras.Variable]) -> Pairs:
    """New averages, which are the trainer's and begin as the variables are."""
    pairs = []
    for variable in variables:
        average = trainer.add_weight(
            shape=variable.shape, dtype=variable.dtype, trainable=False, name="average"
        )
        average.assign(variable)
        pairs.append((variable, average))
    return pairs


def move(pairs: Pairs, share: tf.Tensor) -> None:
    """Takes what the variables are now into their averages, in a step.

    Args:
        pairs: from `averages`.
        share: how far they go there, from 0 to 1; with 0 they stay, whatever the variables are.
    """
    for variable, average in pairs:
        before = tf.convert_to_tensor(average)
        change = tf.convert_to_tensor(variable) - before
        assign(average, before + tf.math.multiply_no_nan(change, tf.cast(share, before.dtype)))


def take(pairs: Pairs) -> None:
    """Sets the variables to their averages."""
    for variable, average in pairs:
        variable.assign(average)
