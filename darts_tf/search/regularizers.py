"""Regularisers of the alphas: terms that are added to the validation loss in their update.

A regulariser is a pure function of the network's alphas that returns a scalar; the trainer holds
its weight. Alphas are a list of arrays `(edges, primitives)`; arrays `(edges,)`, the alphas of
whole edges, are ignored.
"""

from __future__ import annotations

import tensorflow as tf

from darts_tf.layers.relaxations import concentrations


def beta_decay(alphas):
    """Returns the mean of log Σ exp(α) over all edges (Ye et al. 2022, β-DARTS).

    It keeps the alphas from growing.
    """
    return tf.reduce_mean(tf.reduce_logsumexp(_of_operations(alphas), -1))


def zero_one(alphas):
    """Returns -1/N Σ (σ(α) - 0.5)² over all N alphas (Chu et al. 2020, Fair DARTS, L_0-1).

    It pulls the sigmoids towards 0 and 1.
    """
    return -tf.reduce_mean(tf.square(tf.sigmoid(_of_operations(alphas)) - 0.5))


def concentration(alphas):
    """Returns ½ Σ (β - 1)², β = elu(α) + 1, over all alphas (Chen et al. 2021, DrNAS).

    It is the squared distance to the concentration 1, that of uniformly distributed weights.
    """
    return tf.reduce_sum(tf.square(concentrations(_of_operations(alphas)) - 1)) / 2


REGULARIZERS = {"beta-decay": beta_decay, "zero-one": zero_one, "concentration": concentration}
"""Regularisers by name."""


def _of_operations(alphas):
    return tf.concat([a for a in alphas if len(a.shape) == 2], 0)
