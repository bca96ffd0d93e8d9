"""Perturbations of the mixtures' weights in the weights' step (Chen & Hsieh 2020, SmoothDARTS).

A perturbation is a pure function `(weights, radius, seed) -> weights` of softmaxed alphas
`(edges, primitives)`; `PERTURBATIONS` names them. The network's weights learn at perturbed
mixtures, so that the loss is smooth around the alphas; the alphas learn at mixtures as they are.
"""

from __future__ import annotations

import tensorflow as tf


def random(weights, radius, seed):
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


PERTURBATIONS = {"random": random}
