"""Regularisers of the alphas: what is added to the valid loss that they descend.

`REGULARIZERS` maps a name to a pure function of the network's alphas that gives a scalar, whose
weight the trainer holds. Alphas are a list of arrays `(edges, primitives)`; those of whole edges,
`(edges,)`, are left out.
"""

from __future__ import annotations

import tensorflow as tf


def beta_decay(alphas):
    """Mean over all edges of log Σ exp(α): keeps alphas from growing (Ye et al. 2022, β-DARTS)."""
    return tf.reduce_mean(tf.reduce_logsumexp(_of_operations(alphas), -1))


def zero_one(alphas):
    """-1/N Σ (σ(α) - 0.5)²: draws sigmoids to 0 and 1 (Chu et al. 2020, Fair DARTS, L_0-1)."""
    return -tf.reduce_mean(tf.square(tf.sigmoid(_of_operations(alphas)) - 0.5))


REGULARIZERS = {"beta-decay": beta_decay, "zero-one": zero_one}


def _of_operations(alphas):
    return tf.concat([a for a in alphas if len(a.shape) == 2], 0)
