"""Gradient clipping and weight decay as in the authors' code, and SGD with both.

Weight decay is an L2 term in the gradient, added after clipping and before momentum or moments.
Keras' own `weight_decay` is decoupled from the gradient, which is a different algorithm.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.ops.constants import filled
from darts_tf.runtime.distribution import all_sum, assign, handle


def clip_then_decay(
    gradients,
    weights,
    clip_norm: float | None,
    weight_decay: float,
    norm: tf.Tensor | None = None,
    factor: tf.Tensor | None = None,
):
    """Clips by the global norm over all gradients, then adds `weight_decay * weights`.

    Args:
        gradients: one array per weight.
        weights: the weights, in the same order.
        clip_norm: maximum global norm; None for no clipping.
        weight_decay: strength of the L2 term.
        norm: the gradients' global norm, if it is known.
        factor: multiplies the result; with 0 the result is 0, even if gradients or weights are not
            finite.

    Returns:
        The list of gradients for an optimizer without weight decay.
    """
    times = tf.multiply if factor is None else tf.math.multiply_no_nan
    scale = factor
    if clip_norm is not None:
        norm = tf.linalg.global_norm(gradients) if norm is None else norm
        clip = clip_norm / tf.maximum(norm, filled(clip_norm, (), norm.dtype))
        scale = clip if factor is None else times(clip, factor)
    if scale is not None:
        gradients = [times(g, scale) for g in gradients]
    if not weight_decay:
        return gradients
    weights = [tf.convert_to_tensor(w) for w in weights]
    decay = filled(weight_decay, (), weights[0].dtype)
    decay = decay if factor is None else decay * factor
    return [g + times(w, decay) for g, w in zip(gradients, weights, strict=True)]


def clip(gradients, clip_norm: float):
    """Clips by the global norm.

    Returns:
        The clipped gradients, and their exact vector-Jacobian product, a function of the upstream
        gradients. If c < |g|, it maps v to c / |g| times the part of v that is orthogonal to g.
    """
    norm, scale = _norm_and_scale(gradients, clip_norm)

    def back(upstreams):
        pairs = list(zip(gradients, upstreams, strict=True))
        along = tf.add_n([tf.reduce_sum(g * v) for g, v in pairs])
        part = tf.where(scale < 1, tf.math.divide_no_nan(along, norm**2), tf.zeros_like(norm))
        return [scale * (v - part * g) for g, v in pairs]

    return [scale * g for g in gradients], back


def clip_to_and_fro(gradients, clip_norm: float):
    """Clips as `clip` does, with the derivative of the authors' recurrent search.

    The derivative clips the upstream gradients as well and multiplies them by c / |g|, which may
    exceed 1.
    """
    norm, scale = _norm_and_scale(gradients, clip_norm)

    def back(upstreams):
        clipped, _ = clip(upstreams, clip_norm)
        ratio = tf.math.divide_no_nan(filled(clip_norm, (), norm.dtype), norm)
        return [ratio * v for v in clipped]

    return [scale * g for g in gradients], back


def _norm_and_scale(gradients, clip_norm):
    norm = tf.linalg.global_norm(gradients)
    return norm, clip_norm / tf.maximum(norm, filled(clip_norm, (), norm.dtype))


def check_plain(optimizer: keras.optimizers.Optimizer) -> None:
    """Checks that an optimizer neither clips nor decays, which the trainer does itself.

    Raises:
        InputError: the optimizer clips gradients or decays weights.
    """
    own = ("weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "l2", "clip_norm")
    doubled = [name for name in own if getattr(optimizer, name, None)]
    if doubled:
        raise InputError(
            "Expected an optimizer that neither clips nor decays, which the trainer does. "
            f"Received: one with {', '.join(doubled)}"
        )


@keras.saving.register_keras_serializable("darts_tf")
class SGD(keras.optimizers.SGD):
    """SGD with momentum, gradient clipping and L2 regularisation as in the authors' code.

    Args:
        learning_rate: learning rate.
        momentum: factor of the previous velocity.
        l2: strength of the L2 term, added to the clipped gradient.
        clip_norm: maximum global norm of the gradients; None for no clipping.
    """

    def __init__(
        self, learning_rate=0.025, momentum=0.9, l2=3e-4, clip_norm=5.0, name="SGD", **kwargs
    ):
        super().__init__(learning_rate, momentum, name=name, **kwargs)
        if self.nesterov:
            raise InputError("Expected plain momentum. Received: nesterov=True")
        self.l2 = l2
        self.clip_norm = clip_norm

    def apply(self, grads, trainable_variables=None):
        """Updates the variables by these gradients, after summing them over all replicas."""
        if not self.built:
            self.build(trainable_variables)
        variables = trainable_variables or self._trainable_variables
        self.step(all_sum(grads), variables, variables, self.clip_norm, self.l2)

    def step(self, gradients, weights, variables, clip_norm, l2, norm=None, finite=True):
        """Updates the variables by gradients that are already summed over all replicas.

        Args:
            gradients: one array per variable.
            weights: values of the variables.
            variables: variables for which this optimizer was built.
            clip_norm: as in the class.
            l2: as in the class.
            norm: the gradients' global norm, if it is known.
            finite: a boolean scalar; if False, nothing changes, even if gradients are not finite.
        """
        dtype = gradients[0].dtype
        zero, one = (filled(number, (), dtype) for number in (0, 1))
        rate = tf.where(finite, -tf.cast(self.learning_rate, dtype), zero)
        changes = clip_then_decay(gradients, weights, clip_norm, l2, norm, rate)
        momentum = tf.where(finite, filled(self.momentum, (), dtype), one)
        descent = tf.where(finite, -one, zero)
        for variable, change in zip(variables, changes, strict=True):
            if self.momentum:  # as in Keras, the velocity includes the learning rate
                velocity = handle(self.momentums[self._get_variable_index(variable)])
                tf.raw_ops.ResourceApplyMomentum(
                    var=handle(variable), accum=velocity, lr=descent, grad=change, momentum=momentum
                )
            else:
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=handle(variable), alpha=descent, delta=change
                )
        iterations = tf.convert_to_tensor(self.iterations)
        assign(self.iterations, iterations + tf.cast(finite, iterations.dtype))

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "l2": self.l2, "clip_norm": self.clip_norm}
