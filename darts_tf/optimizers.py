"""Gradient clipping and weight decay with the reference's meaning.

Decay is an L2 term in the gradient, added after clipping and before momentum or moments. Keras'
own `weight_decay` is decoupled from the gradient, which is a different algorithm.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.constants import filled
from darts_tf.distribution import all_sum, handle


def clip_then_decay(
    gradients, weights, clip_norm: float | None, weight_decay: float, norm: tf.Tensor | None = None
):
    """Clips by the global norm over all gradients, then adds `weight_decay * weights`.

    Args:
        gradients: one array per weight.
        weights: the arrays they belong to.
        clip_norm: largest global norm; None for no clipping.
        weight_decay: strength of the L2 term.
        norm: the gradients' global norm, where it is known.

    Returns:
        The list of gradients to hand to an optimizer that has no decay of its own.
    """
    if clip_norm is not None:
        norm = tf.linalg.global_norm(gradients) if norm is None else norm
        scale = clip_norm / tf.maximum(norm, filled(clip_norm, (), norm.dtype))
        gradients = [scale * g for g in gradients]
    if not weight_decay:
        return gradients
    decay = filled(weight_decay, (), tf.convert_to_tensor(weights[0]).dtype)
    return [g + decay * tf.convert_to_tensor(w) for g, w in zip(gradients, weights, strict=True)]


@keras.saving.register_keras_serializable("darts_tf")
class SGD(keras.optimizers.SGD):
    """SGD with momentum that clips and decays as the reference does.

    Args:
        learning_rate: of the step.
        momentum: share of the last update that is kept.
        l2: strength of the L2 term, added to the clipped gradient.
        clip_norm: largest global norm of the gradients; None for no clipping.
    """

    def __init__(
        self, learning_rate=0.025, momentum=0.9, l2=3e-4, clip_norm=5.0, name="SGD", **kwargs
    ):
        super().__init__(learning_rate, momentum, name=name, **kwargs)
        self.l2 = l2
        self.clip_norm = clip_norm

    def apply(self, grads, trainable_variables=None):
        """One update of the variables by these gradients, summed over all replicas first."""
        self.apply_summed(all_sum(grads), trainable_variables)

    def apply_summed(self, grads, trainable_variables=None):
        """The same by gradients that are sums over all replicas already."""
        variables = trainable_variables or self._trainable_variables
        self._rate = tf.convert_to_tensor(self.learning_rate)  # read once, not for every variable
        super().apply(clip_then_decay(grads, variables, self.clip_norm, self.l2), variables)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Nothing, in place of Keras' sum over the replicas, which comes after the clipping."""
        return grads_and_vars

    def update_step(self, gradient, variable, learning_rate):
        """Keras' own step with momentum, as the one operation that TensorFlow has for it."""
        if not self.momentum or self.nesterov:
            super().update_step(gradient, variable, learning_rate)
            return
        velocity = self.momentums[self._get_variable_index(variable)]
        dtype = gradient.dtype
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=handle(variable),
            accum=handle(velocity),
            lr=tf.cast(self._rate, dtype),
            grad=gradient,
            momentum=filled(self.momentum, (), dtype),
        )

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "l2": self.l2, "clip_norm": self.clip_norm}
