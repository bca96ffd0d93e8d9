"""Optimizers of the alphas."""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.configs import ArchConfig
from darts_tf.training.optimizers import Adam


@keras.saving.register_keras_serializable("darts_tf")
class SharedAdam(Adam):
    """Adam with one second moment for all elements of a variable.

    With m and v the moments, d elements, and rate η:

        m = β1·m + (1 − β1)·g; v = β2·v + (1 − β2)·|g|²/d;
        w = w − η · m/(1 − β1^t) / (√(v/(1 − β2^t)) + epsilon), at step t.

    Adam divides each element by the root of its own second moment. An alpha whose gradient is small
    and noisy then moves as far as one whose gradient is large, so that noise chooses operations.
    Here alphas move in proportion to their gradients, and the learning rate keeps its meaning:
    the root mean square of a step in one direction (as in the blocks of Adam-mini, Zhang et al.
    2024, arXiv 2406.16793).

    Args:
        learning_rate: learning rate η.
        beta_1: decay β1 of the first moment.
        beta_2: decay β2 of the second moment.
        epsilon: added to the root of the corrected second moment.
        name: name of the optimizer.
        **kwargs: further arguments of `Adam`.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        name="SharedAdam",
        **kwargs,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name=name, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        """Updates a variable, as Keras' `apply` asks for it."""
        dtype = variable.dtype
        gradient, rate, step, beta_1, beta_2, epsilon = (
            tf.cast(value, dtype)
            for value in (
                *(gradient, learning_rate, self.iterations + 1),
                *(self.beta_1, self.beta_2, self.epsilon),
            )
        )
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        m = first + (1 - beta_1) * (gradient - first)
        v = second + (1 - beta_2) * (tf.reduce_mean(gradient**2) - second)
        self.assign(first, m)
        self.assign(second, v)
        corrected = tf.sqrt(v / (1 - beta_2**step)) + epsilon
        self.assign_sub(variable, rate * m / (1 - beta_1**step) / corrected)


OPTIMIZERS = {"each": Adam, "shared": SharedAdam}
"""Classes of Adam by the setting `arch_second_moment`."""


def arch_optimizer(config: ArchConfig) -> keras.optimizers.Optimizer:
    """Returns the optimizer of the alphas."""
    rates = (config.arch_learning_rate, config.arch_beta_1, config.arch_beta_2)
    return OPTIMIZERS[config.arch_second_moment](*rates)
