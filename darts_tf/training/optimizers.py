"""Gradient clipping, weight decay, SGD and Adam as in the authors' code, by PyTorch's rules.

Weight decay is an L2 term in the gradient, added after clipping and before momentum or moments.
Keras' own `weight_decay` is decoupled from the gradient, which is a different algorithm.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.ops.constants import filled
from darts_tf.runtime.distribution import assign, handle

CLIP_EPSILON = 1e-6
"""Number that PyTorch adds to the global norm before it divides by it."""


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
        clip_norm: maximum global norm c; None for no clipping. As in PyTorch, gradients are
            multiplied by min(1, c / (norm + 1e-6)).
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
        clip = _scale(norm, clip_norm)
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
        gradients. If g is clipped, it maps v to c / (|g| + δ) times v less its part along g,
        g · ⟨g, v⟩ / (|g| (|g| + δ)), with δ as in `CLIP_EPSILON`.
    """
    norm = tf.linalg.global_norm(gradients)
    scale = _scale(norm, clip_norm)

    def back(upstreams):
        pairs = list(zip(gradients, upstreams, strict=True))
        along = tf.add_n([tf.reduce_sum(g * v) for g, v in pairs])
        square = norm * (norm + filled(CLIP_EPSILON, (), norm.dtype))
        part = tf.where(scale < 1, tf.math.divide_no_nan(along, square), tf.zeros_like(norm))
        return [scale * (v - part * g) for g, v in pairs]

    return [scale * g for g in gradients], back


def clip_to_and_fro(gradients, clip_norm: float):
    """Clips as `clip` does, with the derivative of the authors' recurrent search.

    The derivative clips the upstream gradients as well and multiplies them by c / (|g| + δ), which
    may exceed 1.
    """
    norm = tf.linalg.global_norm(gradients)
    scale = _scale(norm, clip_norm)

    def back(upstreams):
        clipped, _ = clip(upstreams, clip_norm)
        ratio = clip_norm / (norm + filled(CLIP_EPSILON, (), norm.dtype))
        return [ratio * v for v in clipped]

    return [scale * g for g in gradients], back


def _scale(norm, clip_norm):
    """Returns the factor that clips gradients of a global norm: min(1, c / (|g| + δ))."""
    norm += filled(CLIP_EPSILON, (), norm.dtype)
    return clip_norm / tf.maximum(norm, filled(clip_norm, (), norm.dtype))


def check_plain(optimizer: keras.optimizers.Optimizer) -> None:
    """Checks that an optimizer neither clips nor decays, which the trainer does itself.

    Raises:
        InputError: the optimizer clips gradients or decays weights.
    """
    own = ("weight_decay", "clipnorm", "global_clipnorm", "clipvalue")
    doubled = [name for name in own if getattr(optimizer, name, None)]
    if doubled:
        raise InputError(
            "Expected an optimizer that neither clips nor decays, which the trainer does. "
            f"Received: one with {', '.join(doubled)}"
        )


@keras.saving.register_keras_serializable("darts_tf")
class SGD(keras.optimizers.SGD):
    """SGD with momentum by PyTorch's rule, as in the authors' code.

    velocity = momentum · velocity + gradient; w = w − learning_rate · velocity.

    The velocity of Keras' SGD contains the learning rate of the steps before. Both agree as long as
    the rate is constant; where a schedule changes it, they do not. Everything else is as in Keras.

    Args:
        learning_rate: learning rate.
        momentum: factor of the previous velocity.
        name: name of the optimizer.
        **kwargs: further arguments of `keras.optimizers.SGD`.

    Raises:
        InputError: `momentum` outside [0, 1), or Nesterov momentum.
    """

    def __init__(self, learning_rate=0.01, momentum=0.0, name="SGD", **kwargs):
        _check_below_1(momentum=momentum)
        super().__init__(learning_rate, float(momentum), name=name, **kwargs)
        if self.nesterov:
            raise InputError("Expected plain momentum. Received: nesterov=True")

    def update_step(self, gradient, variable, learning_rate):
        """Updates a variable, as Keras' `apply` asks for it."""
        dtype = tf.as_dtype(variable.dtype)
        gradient, rate = (_dense(value, dtype) for value in (gradient, learning_rate))
        self._update(variable, gradient, rate, filled(self.momentum, (), dtype))

    def step(self, gradients, weights, variables, clip_norm, l2, norm=None, finite=True):
        """Updates the variables by gradients that are already summed over all replicas.

        Args:
            gradients: one array per variable.
            weights: values of the variables.
            variables: variables for which this optimizer was built.
            clip_norm: as in `clip_then_decay`.
            l2: `weight_decay` of `clip_then_decay`.
            norm: the gradients' global norm, if it is known.
            finite: a boolean scalar; if False, nothing changes, even if gradients are not finite.
        """
        dtype = gradients[0].dtype
        zero, one = (filled(number, (), dtype) for number in (0, 1))
        factor = tf.where(finite, one, zero)
        changes = clip_then_decay(gradients, weights, clip_norm, l2, norm, factor)
        rate = tf.where(finite, tf.cast(self.learning_rate, dtype), zero)
        momentum = tf.where(finite, filled(self.momentum, (), dtype), one)
        for variable, change in zip(variables, changes, strict=True):
            self._update(variable, change, rate, momentum)
        iterations = tf.convert_to_tensor(self.iterations)
        assign(self.iterations, iterations + tf.cast(finite, iterations.dtype))

    def _update(self, variable, gradient, rate, momentum):
        """Updates a variable and its velocity in one operation."""
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(
                var=handle(variable), alpha=rate, delta=gradient
            )
            return
        velocity = self.momentums[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyMomentum(
            var=handle(variable), accum=handle(velocity), lr=rate, grad=gradient, momentum=momentum
        )


@keras.saving.register_keras_serializable("darts_tf")
class Adam(keras.optimizers.Adam):
    """Adam by PyTorch's rule (Kingma & Ba 2015, algorithm 1), as in the authors' code.

    m = β1·m + (1 − β1)·g; v = β2·v + (1 − β2)·g²;
    w = w − learning_rate · m/(1 − β1^t) / (√(v/(1 − β2^t)) + epsilon), at step t.

    Keras' Adam adds epsilon before the second moment is corrected: its epsilon is, at the first
    steps, up to 1/√(1 − β2) times as large. Everything else is as in Keras.

    Args:
        learning_rate: learning rate.
        beta_1: decay β1 of the first moment.
        beta_2: decay β2 of the second moment.
        epsilon: added to the root of the corrected second moment.
        name: name of the optimizer.
        **kwargs: further arguments of `keras.optimizers.Adam`.

    Raises:
        InputError: a decay outside [0, 1), `epsilon` not above 0, or AMSGrad.
    """

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, name="Adam", **kwargs
    ):
        _check_below_1(beta_1=beta_1, beta_2=beta_2)
        if not epsilon > 0:
            raise InputError(f"Expected epsilon above 0. Received: {epsilon=}")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name=name, **kwargs)
        if self.amsgrad:
            raise InputError("Expected Adam without AMSGrad. Received: amsgrad=True")

    def update_step(self, gradient, variable, learning_rate):
        """Updates a variable, as Keras' `apply` asks for it."""
        dtype = tf.as_dtype(variable.dtype)
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations, dtype) + filled(1, (), dtype)
        betas = [filled(beta, (), dtype) for beta in (self.beta_1, self.beta_2)]
        powers = [beta**step for beta in betas]
        # the operation adds its epsilon to √v, before the correction √(1 − β2^t)
        correction = tf.sqrt(filled(1, (), dtype) - powers[1])
        tf.raw_ops.ResourceApplyAdam(
            var=handle(variable),
            m=handle(self._momentums[index]),
            v=handle(self._velocities[index]),
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=_dense(learning_rate, dtype),
            beta1=betas[0],
            beta2=betas[1],
            epsilon=filled(self.epsilon, (), dtype) * correction,
            grad=_dense(gradient, dtype),
        )


def _dense(value, dtype):
    """Returns a tensor of a type, also of the slices that are the gradient of an embedding."""
    return tf.cast(tf.convert_to_tensor(value), dtype)


def _check_below_1(**settings):
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise InputError(f"Expected {name} in [0, 1). Received: {name}={value!r}")
