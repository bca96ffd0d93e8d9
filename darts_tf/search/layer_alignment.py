"""Alignment of the cells that share alphas (Movahedi et al. 2023, Lambda-DARTS).

All cells of a kind share their alphas, but the loss has a gradient along the mixture weights of
each cell. Where these gradients disagree, cells near the output decide for all. The layer alignment
Λ is the mean cosine of all pairs of them; the weights descend L - λΛ.

The gradient of Λ along the weights is a central difference of ∇w L in the mixture weights of the
cells, along the derivatives of Λ, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from darts_tf.errors import InputError

RADIUS = 1e-4
"""Length ε₀ of the step of the difference to either side, as in the authors' code."""

_LEAST = 1e-30  # of the square of a norm that is divided by


def alignment(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns Λ = 2 / (L (L - 1)) Σ_{l<m} cos(g_l, g_m) of the gradients of L cells.

    Args:
        gradients: an array for each cell, all of one shape. The cosine with a zero array is 0.
    """
    count = len(gradients)
    units = [tf.math.l2_normalize(g, axis=None, epsilon=_LEAST) for g in gradients]
    total, each = tf.add_n(units), tf.add_n([tf.reduce_sum(u * u) for u in units])
    return (tf.reduce_sum(total * total) - each) / (count * (count - 1))


def alignment_steps(gradients: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
    """Returns Λ, the steps ε ∂Λ/∂g_l in the mixture weights of each cell, and ε.

    ε is `RADIUS` over the global norm of the derivatives; steps and ε are 0 if that is 0.

    Args:
        gradients: as in `alignment`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(gradients)
        value = alignment(gradients)
    derivatives = tape.gradient(value, gradients)
    norm = tf.linalg.global_norm(derivatives)
    epsilon = tf.math.divide_no_nan(tf.constant(RADIUS, norm.dtype), norm)
    return value, [epsilon * d for d in derivatives], epsilon


def aligned_gradients(
    gradients_at: Callable, gradients: Sequence, slopes: Sequence, weight: tf.Tensor
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Returns Λ, and ∇w (L - λΛ).

    Args:
        gradients_at: `gradients_at(steps)` returns ∇w L with the mixture weights of each cell moved
            by a step; calls run one after the other.
        gradients: ∇w L.
        slopes: gradients of the loss along the mixture weights of each cell.
        weight: λ.
    """
    value, steps, epsilon = alignment_steps(slopes)
    sides = [gradients_at(steps), gradients_at([-step for step in steps])]
    factor = tf.math.divide_no_nan(-tf.cast(weight, epsilon.dtype), 2 * epsilon)
    return value, [g + factor * (p - m) for g, p, m in zip(gradients, *sides, strict=True)]


def aligned_cells(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns the cells of the kind of which a supernet has most, normal ones if there are equal.

    The authors align the normal cells.

    Raises:
        InputError: a supernet without two cells of one kind.
    """
    kinds = {}
    for cell in getattr(network, "cells", ()):
        kinds.setdefault(cell.kind, []).append(cell)
    most = max(sorted(kinds.items()), key=lambda item: len(item[1]), default=(None, []))[1]
    if len(most) < 2:
        raise InputError(
            "Expected a supernet with two cells that share alphas, to align them. "
            f"Received: {len(most)}"
        )
    return most
