"""Relaxations of the choice of one operation per edge: maps of alphas to mixture weights.

`RELAXATIONS` maps a name to a pure function `(alphas, temperature, seed) -> weights`; alphas and
weights are `(edges, primitives)`. To add a relaxation, write a function, add it there, and add an
entry to `derivation.STRENGTHS`, by which cells are derived. Relaxations in `SAMPLED` are random:
they use a seed, and those in `TEMPERED` a temperature. Without a seed, at inference, they draw
nothing.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from darts_tf.spaces.search_spaces import Space


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
    return -tf.math.log(-log_uniform(shape, seed, dtype))


def log_uniform(shape, seed, dtype) -> tf.Tensor:
    """Returns log u of u uniform in (0, 1), a pure function of the seed."""
    least = np.finfo(dtype.as_numpy_dtype).tiny
    return tf.math.log(tf.random.stateless_uniform(shape, seed, least, 1.0, dtype))


def concentrations(alphas) -> tf.Tensor:
    """Returns β = elu(α) + 1 > 0, the parameters of a Dirichlet distribution (Chen et al. 2021).

    For negative α it is exp(α), without the cancellation of elu(α) + 1.
    """
    return tf.nn.relu(alphas) + tf.exp(tf.minimum(alphas, 0))


def dirichlet(alphas, temperature=None, seed=None):
    """Draws the weights of each edge from Dirichlet(elu(α) + 1) (Chen et al. 2021, DrNAS).

    A row of the sample is g / Σg with independent g of Gamma(β). The logarithm of g is drawn, as
    log h + log(u) / β with h of Gamma(β + 1) and uniform u (Marsaglia & Tsang 2000), so that
    nothing underflows at small β. The gradient is the reparameterised one; that of h is implicit
    (Figurnov et al. 2018). A second derivative along the alphas is not available.

    Args:
        alphas: `(edges, primitives)`.
        temperature: not used.
        seed: seed of the sample, int32, `(2,)`; None for the mean, β / Σβ.
    """
    del temperature
    beta = concentrations(alphas)
    if seed is None:
        return beta / tf.reduce_sum(beta, -1, keepdims=True)
    first, second = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    gamma = tf.random.stateless_gamma(beta.shape, first, alpha=beta + 1, dtype=beta.dtype)
    return tf.nn.softmax(tf.math.log(gamma) + log_uniform(beta.shape, second, beta.dtype) / beta)


def over_edges(alphas, space: Space):
    """Returns the softmax over the edges into each node (Xu et al. 2020, eq. 3).

    Args:
        alphas: `(edges,)`, one for each edge as a whole.
        space: search space, which has the edges into each node.
    """
    sizes = [into.stop - into.start for into in space.rows_by_node]
    return tf.concat([tf.nn.softmax(part) for part in tf.split(alphas, sizes)], 0)


RELAXATIONS = {"softmax": softmax, "sigmoid": sigmoid, "gumbel": gumbel, "dirichlet": dirichlet}
"""Relaxations by name: functions `(alphas, temperature, seed) -> weights`."""

SAMPLED = ("gumbel", "dirichlet")
"""Relaxations that draw a sample in every training step."""

TEMPERED = ("gumbel",)
"""Relaxations whose samples have a temperature."""

UNCOMPILED = ("dirichlet",)
"""Relaxations that XLA cannot compile, since it lacks a sampler of gamma distributions."""


def random_smoothing(weights, radius, seed):
    """Adds noise, uniform between -radius and radius, to softmax(α) (random smoothing).

    The results are made distributions again, as in the authors' code.

    Args:
        weights: `(edges, primitives)`, each row a distribution.
        radius: ε, a scalar.
        seed: seed of the noise, int32, `(2,)`.
    """
    draws = tf.random.stateless_uniform(weights.shape, seed, -1.0, 1.0, weights.dtype)
    return to_distributions(weights + tf.cast(radius, weights.dtype) * draws)


def to_distributions(moved):
    """Makes each row a distribution: it is clipped to [0, 1] and divided by its sum.

    If all of a row are clipped to 0, the largest gets weight 1.
    """
    cut = tf.clip_by_value(moved, 0.0, 1.0)
    total = tf.reduce_sum(cut, -1, keepdims=True)
    largest = tf.one_hot(tf.argmax(moved, -1), moved.shape[-1], dtype=moved.dtype)
    return tf.where(total > 0, tf.math.divide_no_nan(cut, total), largest)


PERTURBATIONS = {"random": random_smoothing}
"""Perturbations of mixture weights by name: functions `(weights, radius, seed) -> weights`."""

ADVERSARIAL = "adversarial"
"""Perturbation that depends on the loss, so that the trainer makes it, not the supernet."""
