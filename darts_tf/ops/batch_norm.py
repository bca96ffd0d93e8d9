"""Batch normalisation with exact first and second derivatives.

The stock Keras layer takes its moments from `tf.nn.moments`, which stops the gradient of the mean
inside the variance. Its first derivatives are correct, its second ones are not, so the exact
architecture gradient (Liu et al. 2019, eq. 6) would be silently wrong. Here the gradient and the
gradient of the gradient are written in closed form, which also takes fewer passes over memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from darts_tf.ops.autodiff import custom_gradient, keep
from darts_tf.ops.constants import filled


def normalize(
    x, epsilon, scale=None, offset=None, total: Callable | None = None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises over all axes but the last, then scales and shifts; twice differentiable.

    Args:
        x: `(batch, height, width, channels)`.
        epsilon: added to the variance.
        scale: factor per channel, `(channels,)`, in the dtype of the statistics; None for 1.
        offset: added per channel, `(channels,)`; None for 0. Needs a `scale`.
        total: sums a list of tensors over all replicas, if `x` is one replica's part of a batch
            that is normalised as a whole; None if `x` is the whole batch. The gradients with
            respect to scale and offset are this replica's shares.

    Returns:
        `(z, mean, variance)`: `z = scale * y + offset`, where y is the normalised `x`; and the
        batch's mean and unbiased variance, `(channels,)`, which must not be differentiated. They
        are float32 if `x` has 16 bits.
    """
    statistics = []  # not outputs of `forward`, which would give them gradients of zeros
    channels, dtype = x.shape[-1], _statistics_dtype(x)
    scaled = scale is not None
    scale = filled(1.0, (channels,), dtype) if scale is None else tf.cast(scale, dtype)
    offset = filled(0.0, (channels,), dtype) if offset is None else tf.cast(offset, dtype)

    @custom_gradient
    def forward(x, scale, offset):
        z = []  # not kept: it is cheap to compute again, and gradients seldom read it

        def compute():
            result, mean, unbiased, count, *reserved = _forward_kernel(
                x, scale, offset, epsilon, total
            )
            z.append(result)
            return [unbiased, *_Batch.of(mean, unbiased, count, epsilon), *reserved]

        unbiased, *kept = keep(compute)
        batch, reserved = _Batch(*kept[:4]), kept[4:]
        statistics.extend((batch.mean, unbiased))
        if not z:
            z.append(_affine(x, scale, offset, batch, epsilon))

        def gradient(dz):
            return _gradient(dz, x, scale, batch, epsilon, scaled, reserved, total)

        return z[0], gradient

    return forward(x, scale, offset), *statistics


class _Batch(NamedTuple):
    """Statistics of a batch per channel, over all positions of all images."""

    mean: tf.Tensor
    variance: tf.Tensor  # biased
    r: tf.Tensor  # 1 / sqrt(variance + ε)
    count: tf.Tensor  # number of values per channel, a scalar

    @classmethod
    def of(cls, mean, unbiased, count, epsilon):
        """Makes the statistics from the mean and an unbiased variance."""
        variance = unbiased / _bessel(count)
        return cls(mean, variance, tf.math.rsqrt(variance + epsilon), count)


def _gradient(dz, x, scale, batch, epsilon, scaled, reserved, total):
    """Returns gradients for x, scale and offset, differentiable in dz, x and scale.

    With y the normalised x, r = 1 / sqrt(var + ε), γ the scale and m(·) the mean over batch and
    positions: dx = γ r (dz − m(dz) − y m(dz y)), dγ = Σ dz y, dβ = Σ dz. If several replicas share
    a batch, means are over the whole batch, and dγ and dβ are sums over this replica's part.

    Mean and variance depend on `x`. The closed form for `x` contains that dependence, so they get
    no gradient of their own.
    """
    sums = []  # dγ and dβ
    kernel = _backward_kernel if total is None else functools.partial(_backward_in_parts, total)

    @custom_gradient
    def backward(dz, x, scale):
        dx, *both = keep(lambda: [*kernel(dz, x, scale, batch, epsilon, reserved)])
        both, of_all = both[:2], both[-2:]
        sums.extend(both)

        def gradient(u, *of_sums):
            """Returns the gradients of Σ u dx (+ Σ a dγ + b dβ with a scale) for dz, x and scale.

            Let uc, dc be u, dz centred, p = m(uc y), q = m(dc y) and S = m(uc dc) − p q.
            The first sum has these gradients. For dz: A = γ r (uc − p y), which is the kernel's
            result for u. For γ: Σ u dx / γ. For x: γ r² ((2 p q − S) y − q uc − p dc), computed
            from known tensors as −γ r² S y − q r A − p r dx.
            The second sum adds a y + b for dz, and a r (dc − q y) for x.
            """
            along_dz, *u_both = kernel(u, x, scale, batch, epsilon, reserved)
            u_both, u_of_all = u_both[:2], u_both[-2:]
            (p, mean_u), (q, mean_dz) = ([s / batch.count for s in t] for t in (u_of_all, of_all))
            product = _sum(_wide(u) * _wide(dz))
            product_of_all = product if total is None else total([product])[0]
            s = product_of_all / batch.count - mean_u * mean_dz - p * q
            r = batch.r
            slope, shift = -scale * r * r * s, tf.zeros_like(s)
            terms = [_times(along_dz, -q * r), _times(dx, -p * r)]
            if scaled:
                a, b = of_sums
                slope, shift = slope - a * r * q, -a * r * mean_dz
                terms.append(_times(dz, a * r))
                along_dz += _affine(x, a, b, batch, epsilon)
            along_x = tf.add_n([_affine(x, slope, shift, batch, epsilon), *terms])
            return along_dz, along_x, r * (product - mean_dz * u_both[1] - q * u_both[0])

        return [dx, *both] if scaled else dx, gradient

    if scaled:
        return backward(dz, x, scale)
    return backward(dz, x, scale), *sums


def _affine(x, scale, offset, batch, epsilon):
    """Returns `scale * y + offset`, where y is the normalised x."""
    if x.dtype != tf.float64:
        return tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=batch.mean,
            variance=batch.variance,
            epsilon=epsilon,
            is_training=False,
        )[0]
    return (x - batch.mean) * batch.r * scale + offset  # the fused kernel has no float64


def _times(x, factors):
    """Multiplies in the dtype of x."""
    return x * tf.cast(factors, x.dtype)


def _forward_kernel(x, scale, offset, epsilon, total):
    """Returns `(z, mean, unbiased variance, count, *reserved)`.

    The reserved tensors are intermediate results of the fused kernel for its gradient.
    """
    if x.dtype != tf.float64 and total is None:
        none = filled(0.0, (0,))
        z, mean, variance, *reserved = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=none, variance=none, epsilon=epsilon
        )
        return z, mean, variance, _count(x), *reserved
    total = total or list
    wide = _wide(x)
    summed, count = total([_sum(wide), _count(x)])
    mean = summed / count
    (squares,) = total([_sum(tf.square(wide - mean))])
    unbiased = squares / count * _bessel(count)
    z = _affine(x, scale, offset, _Batch.of(mean, unbiased, count, epsilon), epsilon)
    return z, mean, unbiased, count


def _backward_kernel(dz, x, scale, batch, epsilon, reserved):
    """Returns dx, dγ and dβ as defined in `_gradient`."""
    if x.dtype == tf.float64:
        return _backward_in_parts(list, dz, x, scale, batch, epsilon, reserved)[:3]
    spaces = {f"reserve_space_{i}": space for i, space in enumerate(reserved, 1)}
    return tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=dz, x=x, scale=scale, epsilon=epsilon, **spaces
    )[:3]


def _backward_in_parts(total, dz, x, scale, batch, epsilon, reserved):
    """Returns dx, dγ and dβ as defined in `_gradient`, then dγ and dβ of the whole batch."""
    mean, _, r, count = batch
    wide = _wide(dz)
    y = (_wide(x) - mean) * r
    both = [_sum(wide * y), _sum(wide)]
    d_scale, d_offset = of_all = total(both)
    dx = scale * r * (wide - (d_offset + d_scale * y) / count)
    return tf.cast(dx, x.dtype), *both, *of_all


def _statistics_dtype(x):
    return tf.float64 if x.dtype == tf.float64 else tf.float32


def _wide(x):
    """Casts to the dtype of the statistics."""
    return tf.cast(x, _statistics_dtype(x))


def _sum(x):
    """Sums over all axes but the last. A bias gradient is three times as fast as `reduce_sum`."""
    return tf.raw_ops.BiasAddGrad(out_backprop=x)


def _count(x):
    """Returns the number of values per channel."""
    dtype = _statistics_dtype(x)
    if x.shape.is_fully_defined():
        return filled(float(x.shape.num_elements() // x.shape[-1]), (), dtype)
    return tf.cast(tf.size(x) // x.shape[-1], dtype)


def _bessel(count):
    """Returns Bessel's correction n / (n − 1) for an unbiased variance; 1 for a single value."""
    return count / tf.maximum(count - 1, 1)
