"""Variational ("locked") dropout: one mask for all time steps (Gal & Ghahramani 2016)."""

from __future__ import annotations

import tensorflow as tf

from darts_tf.runtime.distribution import replica


def seeds(generator, count: int, move: bool = True) -> list[tf.Tensor]:
    """Returns seeds for `count` draws, derived from the next seed of a Keras `SeedGenerator`.

    They are a pure function of the generator's state and of the replica's number.

    Args:
        generator: the generator.
        count: number of seeds.
        move: whether the generator moves on, so that the next call returns other seeds.
    """
    seed = generator.next() if move else tf.convert_to_tensor(generator.state)
    seed = tf.cast(seed, tf.int32)
    seed = tf.random.experimental.stateless_fold_in(seed, replica())
    return tf.unstack(tf.random.experimental.stateless_split(seed, count))


def mask(shape, rate: float, seed: tf.Tensor, dtype) -> tf.Tensor:
    """Returns a mask that is 0 with probability `rate`, and 1 / (1 - rate) elsewhere."""
    draws = tf.random.stateless_uniform(shape, seed)
    return tf.cast(tf.floor(1 - rate + draws) / (1 - rate), dtype)
