"""Relaxations of the choice of one operation per edge: from alphas to the weights of a mixture.

`RELAXATIONS` maps a name to a pure function `(alphas, temperature, seed) -> weights`, alphas and
weights `(edges, primitives)`. Adding a relaxation is a function and a line there, and a line in
`derivation.STRENGTHS`, by which cells are derived from it. Those in `SAMPLED` draw: they take a
temperature, and a seed, without which, at inference, nothing is drawn.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def softmax(alphas, temperature=None, seed=None):
    """Distributions over the primitives of each edge (Liu et al. 2019, eq. 2)."""
    del temperature, seed
    return tf.nn.softmax(alphas)


def sigmoid(alphas, temperature=None, seed=None):
    """1 / (1 + exp(-α)): operations do not compete (Chu et al. 2020, Fair DARTS)."""
    del temperature, seed
    return tf.sigmoid(alphas)


def gumbel(alphas, temperature, seed=None):
    """One operation an edge, drawn with the probabilities softmax(α) (Dong & Yang 2019, GDAS).

    Forward it is the one-hot vector of argmax(log p + g), p = softmax(α) and g Gumbel noise;
    backward it is softmax((log p + g) / τ), straight through.

    Args:
        alphas: `(edges, primitives)`.
        temperature: τ, a scalar.
        seed: of the noise, two int32; None for the most probable operation.
    """
    scores = tf.nn.log_softmax(alphas)
    if seed is not None:
        scores += gumbel_noise(scores.shape, seed, scores.dtype)
    relaxed = tf.nn.softmax(scores / tf.cast(temperature, scores.dtype))
    one_hot = tf.one_hot(tf.argmax(scores, -1), scores.shape[-1], dtype=scores.dtype)
    return one_hot + (relaxed - tf.stop_gradient(relaxed))  # which is exactly zero, forward


def gumbel_noise(shape, seed, dtype) -> tf.Tensor:
    """-log(-log u) of uniform u between 0 and 1, a function of the seed alone."""
    least = np.finfo(dtype.as_numpy_dtype).tiny
    uniform = tf.random.stateless_uniform(shape, seed, minval=least, maxval=1.0, dtype=dtype)
    return -tf.math.log(-tf.math.log(uniform))


RELAXATIONS = {"softmax": softmax, "sigmoid": sigmoid, "gumbel": gumbel}

SAMPLED = ("gumbel",)
"""Those that draw in every training step."""


def random_smoothing(weights, radius, seed):
    """Random smoothing: noise, uniform between -radius and radius, added to softmax(α).

    As in the authors' code the sums are brought back to distributions: cut off at 0 and 1 and
    divided by their sum; where nothing is left, the largest gets all.

    Args:
        weights: `(edges, primitives)`, each row a distribution.
        radius: ε, a scalar.
        seed: of the noise, two int32.
    """
    draws = tf.random.stateless_uniform(weights.shape, seed, -1.0, 1.0, weights.dtype)
    moved = weights + tf.cast(radius, weights.dtype) * draws
    cut = tf.clip_by_value(moved, 0.0, 1.0)
    total = tf.reduce_sum(cut, -1, keepdims=True)
    largest = tf.one_hot(tf.argmax(moved, -1), weights.shape[-1], dtype=weights.dtype)
    return tf.where(total > 0, tf.math.divide_no_nan(cut, total), largest)


PERTURBATIONS = {"random": random_smoothing}
