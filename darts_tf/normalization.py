"""Batch normalisation whose second derivative is exact.

The stock Keras layer takes its moments from `tf.nn.moments`, which stops the gradient of the mean
inside the variance. First derivatives come out right, second ones do not, so the exact
architecture gradient (Liu et al. 2019, eq. 6) would be silently wrong. Here the gradient and the
gradient of the gradient are written in closed form: right, and a third fewer graph nodes.
"""

from __future__ import annotations

import contextlib
import threading

import keras
import tensorflow as tf

from darts_tf.constants import filled
from darts_tf.differentiation import custom_gradient
from darts_tf.keeping import keep

_state = threading.local()


@contextlib.contextmanager
def tracked_statistics(track: bool):
    """Within this block training passes move the running statistics, or leave them alone.

    The virtual steps of the bilevel gradient look at the network in places where it never goes:
    they must not leave a trace in its running mean and variance.
    """
    previous = tracking()
    _state.tracking = track
    try:
        yield
    finally:
        _state.tracking = previous


def tracking() -> bool:
    """Whether a training pass moves the running statistics now."""
    return getattr(_state, "tracking", True)


def normalize(x, epsilon, scale=None, offset=None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises over all axes but the last, then scales and shifts; twice differentiable.

    Args:
        x: `(batch, height, width, channels)`.
        epsilon: added to the variance.
        scale: factor of each channel `(channels,)`, in the type of the statistics; None for 1.
        offset: added to each channel `(channels,)`; None for 0. Needs a `scale`.

    Returns:
        `(z, mean, variance)`: with y the normalised `x`, `z = scale * y + offset`; and the batch's
        mean and unbiased variance `(channels,)`, which are not meant to be differentiated. They
        are float32 where `x` has 16 bits.
    """
    statistics = []  # beside the function: as outputs they would get gradients of zeros
    channels, dtype = x.shape[-1], _statistics_dtype(x)
    scaled = scale is not None
    scale = filled(1.0, (channels,), dtype) if scale is None else tf.cast(scale, dtype)
    offset = filled(0.0, (channels,), dtype) if offset is None else tf.cast(offset, dtype)

    @custom_gradient
    def forward(x, scale, offset):
        z = []  # not kept: with the statistics it costs little where a gradient reads it at all

        def compute():
            result, *kept = _forward_kernel(x, scale, offset, epsilon)
            z.append(result)
            return kept

        mean, variance, *reserved = keep(compute)
        statistics.extend((mean, variance))
        if not z:
            r = _inverse_deviation(x, variance, epsilon) * scale
            z.append(x * tf.cast(r, x.dtype) + tf.cast(offset - mean * r, x.dtype))

        def gradient(dz):
            return _gradient(dz, x, scale, mean, variance, epsilon, scaled, reserved)

        return z[0], gradient

    return forward(x, scale, offset), *statistics


def _gradient(dz, x, scale, mean, variance, epsilon, scaled, reserved):
    """Gradients along x, scale and offset, which can be differentiated along dz, x and scale.

    With y the normalised x, r = 1 / sqrt(var + ε), γ the scale and m(·) the mean over batch and
    places: dx = γ r (dz − m(dz) − y m(dz y)), dγ = Σ dz y, dβ = Σ dz.

    Mean and variance depend on `x`; the closed forms along `x` hold that dependence, so they get
    no gradient of their own.
    """
    sums = []  # dγ and dβ

    @custom_gradient
    def along_x(dz, x, scale):
        dx, *both = _backward_kernel(dz, x, scale, mean, variance, epsilon, reserved)
        sums.extend(both)

        def gradient(u):
            """With uc, dc centred, p = m(uc y), q = m(dc y) and S = m(uc dc) − p q.

            Along dz it is γ r (uc − p y), which is what the kernel gives for u; along γ, n r S;
            and along x, γ r² ((2 p q − S) y − q uc − p dc), which is written below with what is
            at hand: dx, the gradient along dz, and y = r (x − μ).
            """
            r, count = _inverse_deviation(x, variance, epsilon), _count(x)
            along_dz, *u_sums = _backward_kernel(u, x, scale, mean, variance, epsilon, reserved)
            (p, mean_u), (q, mean_dz) = ([s / count for s in both] for both in (u_sums, sums))
            s = _mean(_wide(u) * _wide(dz)) - mean_u * mean_dz - p * q
            of_x = -scale * r * r * r * s
            along_x = (
                tf.cast(of_x, x.dtype) * x
                - tf.cast(r * q, x.dtype) * along_dz
                - tf.cast(r * p, x.dtype) * dx
                - tf.cast(of_x * mean, x.dtype)
            )
            return along_dz, along_x, count * r * s

        return dx, gradient

    dx = along_x(dz, x, scale)
    if not scaled:
        return dx, *sums

    @custom_gradient
    def along_scale_and_offset(dz, x):
        """What the kernel gave already."""

        def gradient(a, b):
            """Of a Σ dz y + b Σ dz: a y + b along dz, a r (dc − q y) along x."""
            r, count = _inverse_deviation(x, variance, epsilon), _count(x)
            q, mean_dz = (s / count for s in sums)
            y = (_wide(x) - mean) * r
            along_x = a * r * (_wide(dz) - mean_dz - q * y)
            return tf.cast(a * y + b, dz.dtype), tf.cast(along_x, x.dtype)

        return [tf.identity(s) for s in sums], gradient

    return dx, *along_scale_and_offset(dz, x)


def _forward_kernel(x, scale, offset, epsilon):
    """Normalised, scaled and shifted x, mean, unbiased variance, what the backward kernel wants."""
    if x.dtype != tf.float64:
        none = filled(0.0, (0,))
        z, mean, variance, *reserved = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=none, variance=none, epsilon=epsilon
        )
        return z, mean, variance, *reserved
    mean = _mean(x)  # the fused kernel has no float64
    centered = x - mean
    variance = _mean(tf.square(centered))
    y = centered * tf.math.rsqrt(variance + epsilon)
    return scale * y + offset, mean, variance * _bessel(x)


def _backward_kernel(dz, x, scale, mean, variance, epsilon, reserved):
    """dx, dγ and dβ as `_gradient` says."""
    if x.dtype == tf.float64:
        r = _inverse_deviation(x, variance, epsilon)
        y = (x - mean) * r
        mean_dz, q = _mean(dz), _mean(dz * y)
        count = _count(x)
        return scale * r * (dz - mean_dz - q * y), count * q, count * mean_dz
    spaces = {f"reserve_space_{i}": space for i, space in enumerate(reserved, 1)}
    return tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=dz, x=x, scale=scale, epsilon=epsilon, **spaces
    )[:3]


def _statistics_dtype(x):
    return tf.float64 if x.dtype == tf.float64 else tf.float32


def _wide(x):
    """In the type of the statistics."""
    return tf.cast(x, _statistics_dtype(x))


def _mean(x):
    """Over all axes but the last: as the gradient of a bias, thrice as fast as `reduce_mean`."""
    return tf.raw_ops.BiasAddGrad(out_backprop=x) / _count(x)


def _count(x):
    """How many values a channel has."""
    dtype = _statistics_dtype(x)
    if x.shape.is_fully_defined():
        return filled(float(x.shape.num_elements() // x.shape[-1]), (), dtype)
    return tf.cast(tf.size(x) // x.shape[-1], dtype)


def _bessel(x):
    """Bessel's n / (n − 1), which makes a variance unbiased; 1 for a single value."""
    if x.shape.is_fully_defined():
        count = x.shape.num_elements() // x.shape[-1]
        return filled(count / max(count - 1, 1), (), _statistics_dtype(x))
    count = _count(x)
    return count / tf.maximum(count - 1, 1)


def _inverse_deviation(x, variance, epsilon):
    """The factor r = 1 / sqrt(biased variance + ε)."""
    return tf.math.rsqrt(variance / _bessel(x) + epsilon)


@keras.saving.register_keras_serializable("darts_tf")
class BatchNormalization(keras.layers.Layer):
    """Batch normalisation over `(batch, height, width, channels)` with the reference's conventions.

    Momentum is the weight of the past (0.9 here is 0.1 in PyTorch), and the running variance is
    the unbiased one.

    Args:
        affine: learn a scale and a shift; the cells of a search do without.
        momentum: weight of the past in the running statistics.
        epsilon: added to the variance.
    """

    def __init__(self, affine: bool = True, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(**{**kwargs, "autocast": False})
        self.affine = affine
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        """Creates the running statistics, and scale and shift where affine."""
        shape = input_shape[-1:]
        if self.affine:
            self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        statistics = {"shape": shape, "trainable": False}
        self.moving_mean = self.add_weight(initializer="zeros", name="moving_mean", **statistics)
        self.moving_variance = self.add_weight(
            initializer="ones", name="moving_variance", **statistics
        )

    def call(self, x, scale=None, training=False):
        """Normalises by the batch's statistics when training, else by the running ones.

        Args:
            x: `(batch, height, width, channels)`.
            scale: a further factor of each channel `(channels,)`, which costs nothing here.
            training: whether to use the batch's statistics, and to track them.
        """
        if not training:
            factor, shift = (
                part if scale is None else part * scale for part in self.inference_scale_and_shift()
            )
            return x * tf.cast(factor, x.dtype) + tf.cast(shift, x.dtype)
        offset = None
        if self.affine:
            offset = self.beta if scale is None else self.beta * scale
            scale = self.gamma if scale is None else self.gamma * scale
        y, mean, variance = normalize(x, self.epsilon, scale, offset)
        if tracking():
            self._track(self.moving_mean, mean)
            self._track(self.moving_variance, variance)
        return y

    def inference_scale_and_shift(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The layer at inference is `x * scale + shift`; both `(channels,)`."""
        scale = tf.math.rsqrt(self.moving_variance + self.epsilon)
        shift = -self.moving_mean * scale
        return (
            (scale * self.gamma, shift * self.gamma + self.beta) if self.affine else (scale, shift)
        )

    def _track(self, running, batch):
        share = filled(1 - self.momentum, (), running.dtype)
        value = tf.convert_to_tensor(running)
        running.assign(value + (tf.cast(batch, value.dtype) - value) * share)

    def compute_output_shape(self, input_shape):
        """Unchanged."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        own = {"affine": self.affine, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


def built_normalization(channels: int, affine: bool, name: str) -> BatchNormalization:
    """A normalisation of `channels` whose variables exist."""
    norm = BatchNormalization(affine=affine, name=name)
    norm.build((None, None, None, channels))
    return norm
