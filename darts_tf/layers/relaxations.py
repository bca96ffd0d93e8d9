"""Relaxations of the choice of one operation per edge: maps of alphas to mixture weights.

`RELAXATIONS` maps a name to a pure function `(alphas, temperature, seed) -> weights`; alphas and
weights are `(edges, primitives)`. To add a relaxation, write a function, add it there, and add an
entry to `derivation.STRENGTHS`, by which cells are derived. Relaxations in `SAMPLED` are random:
they use a temperature and a seed. Without a seed, at inference, they draw nothing.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def softmax(alphas, temperature=None, seed=None):
    """Computes a distribution over the primitives of each edge (Liu et al. 2019, eq. 2)."""
    del temperature, seed
    return tf.nn.softmax(alphas)


def sigmoid(alphas, temperature=None, seed=None):
    """Computes 1 / (1 + exp(-α)); operations do not compete (Chu et al. 2020, Fair DARTS)."""
    del temperature, seed
    return tf.sigmoid(alphas)


def gumbel(alphas, temperature, seed=None):
    """Draws one operation per edge with probabilities softmax(α) (Dong & Yang 2019, GDAS).

    The forward value is the one-hot vector of argmax(log p + g), where p = softmax(α) and g is
    Gumbel noise. The gradient is that of softmax((log p + g) / τ) (straight-through).

    Args:
        alphas: `(edges, primitives)`.
        temperature: τ, a scalar.
        seed: seed of the noise, int32, `(2,)`; None for the most probable operation.
    """
    scores = tf.nn.log_softmax(alphas)
    if seed is not None:
        scores += gumbel_noise(scores.shape, seed, scores.dtype)
    relaxed = tf.nn.softmax(scores / tf.cast(temperature, scores.dtype))
    one_hot = tf.one_hot(tf.argmax(scores, -1), scores.shape[-1], dtype=scores.dtype)
    return one_hot + (relaxed - tf.stop_gradient(relaxed))  # the difference is exactly zero


def gumbel_noise(shape, seed, dtype) -> tf.Tensor:
    """Returns -log(-log u) of u uniform in (0, 1), a pure function of the seed."""
    least = np.finfo(dtype.as_numpy_dtype).tiny
    uniform = tf.random.stateless_uniform(shape, seed, minval=least, maxval=1.0, dtype=dtype)
    return -tf.math.log(-tf.math.log(uniform))


RELAXATIONS = {"softmax": softmax, "sigmoid": sigmoid, "gumbel": gumbel}
"""Relaxations by name: functions `(alphas, temperature, seed) -> weights`."""

SAMPLED = ("gumbel",)
"""Relaxations that draw a sample in every training step."""


def random_smoothing(weights, radius, seed):
    """Adds noise, uniform between -radius and radius, to softmax(α) (random smoothing).

    As in the authors' code the results are made distributions again: they are clipped to [0, 1] and
    divided by their sum. If all are clipped to 0, the largest gets weight 1.

    Args:
        weights: `(edges, primitives)`, each row a distribution.
        radius: ε, a scalar.
        seed: seed of the noise, int32, `(2,)`.
    """
    draws = tf.random.stateless_uniform(weights.shape, seed, -1.0, 1.0, weights.dtype)
    moved = weights + tf.cast(radius, weights.dtype) * draws
    cut = tf.clip_by_value(moved, 0.0, 1.0)
    total = tf.reduce_sum(cut, -1, keepdims=True)
    largest = tf.one_hot(tf.argmax(moved, -1), weights.shape[-1], dtype=weights.dtype)
    return tf.where(total > 0, tf.math.divide_no_nan(cut, total), largest)


PERTURBATIONS = {"random": random_smoothing}
"""Perturbations of mixture weights by name: functions `(weights, radius, seed) -> weights`."""
