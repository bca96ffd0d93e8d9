"""Pooling over the positions inside the image: padding does not count. Images are channels-last."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from darts_tf.ops.autodiff import custom_gradient
from darts_tf.ops.constants import integers
from darts_tf.ops.images import pad
from darts_tf.ops.xnnpack import for_xnnpack


def max_pool(x: tf.Tensor, stride: int) -> tf.Tensor:
    """Computes the 3x3 maximum over the positions inside the image."""
    if stride == 1:
        return _maximum(x, 3, 1, "SAME")
    # a mirrored border repeats values that are already in the window: the maximum is unchanged
    x = _edges_repeated(x) if for_xnnpack() else pad(x, (3, 3), "SYMMETRIC")
    return _maximum(x, 3, stride)


def _edges_repeated(x):
    """Pads one position on each side with the edge values, by slices and concatenations."""
    x = tf.concat([x[:, :1], x, x[:, -1:]], 1)
    return tf.concat([x[:, :, :1], x, x[:, :, -1:]], 2)


def _maximum(x, size, stride, padding="VALID"):
    """Computes the maximum of each window, with our own second derivative.

    TensorFlow's is zero in graphs if the padding is SAME. XLA's compares and returns in 16 bits.
    """
    settings = {
        "ksize": (1, size, size, 1),
        "strides": (1, stride, stride, 1),
        "padding": padding,
    }

    def along_direction(direction):
        if padding == "VALID":
            return _at_maximum(x, direction, size, stride)
        windows = [pad(t, (size, size), "SYMMETRIC") for t in (x, direction)]
        return _at_maximum(*windows, size, stride)

    @custom_gradient
    def forward(x):
        y = tf.raw_ops.MaxPool(input=x, **settings)

        @custom_gradient
        def along(upstream):
            gradient = tf.raw_ops.MaxPoolGrad(
                orig_input=x, orig_output=y, grad=upstream, **settings
            )
            return gradient, along_direction

        return y, along

    return forward(x)


def _at_maximum(x, values, size, stride):
    """Returns `values` where `x` is largest in each window; of equals the first, row by row."""
    for axis in (2, 1):  # the largest in each row of a window, then the largest of these
        parts = zip(*(_positions(t, axis, size, stride) for t in (x, values)), strict=True)
        x, values = next(parts)
        for here, value in parts:
            values = tf.where(here > x, value, values)
            x = tf.maximum(here, x)
    return values


def _positions(x, axis, size, stride):
    """Yields the first position of every window along an axis, then the second, and so on."""
    length = (x.shape[axis] - size) // stride * stride + 1
    for first in range(size):
        begin, end, strides = [0, 0, 0], [0, *x.shape[1:3]], [1, 1, 1]
        begin[axis], end[axis], strides[axis] = first, first + length, stride
        yield tf.raw_ops.StridedSlice(
            input=x,
            begin=integers(*begin),
            end=integers(*end),
            strides=integers(*strides),
            begin_mask=1,
            end_mask=1,
        )


def halve(x: tf.Tensor) -> tf.Tensor:
    """Computes the 2x2 maximum over the positions inside the image, with a stride of 2."""
    border = [[0, 0], *([0, size % 2] for size in x.shape[1:3]), [0, 0]]
    return _maximum(tf.pad(x, border, "SYMMETRIC"), 2, 2)


def avg_halve(x: tf.Tensor) -> tf.Tensor:
    """Computes the 2x2 mean over the positions inside the image, with a stride of 2."""
    if not for_xnnpack():
        return tf.nn.avg_pool2d(x, 2, 2, "SAME")
    odd = [size % 2 for size in x.shape[1:3]]
    quarters = tf.fill((2, 2, x.shape[-1], 1), tf.constant(1 / 4, x.dtype))
    padded = tf.pad(x, [[0, 0], *([0, more] for more in odd), [0, 0]])
    y = tf.nn.depthwise_conv2d(padded, quarters, (1, 2, 2, 1), "VALID")
    factors = [np.ones(size) for size in y.shape[1:3]]
    for factor, more in zip(factors, odd, strict=True):
        factor[-1] += more  # half of the last window is padding
    return y * tf.constant(np.outer(*factors)[None, :, :, None], x.dtype) if any(odd) else y


def avg_pool(x: tf.Tensor, stride: int) -> tf.Tensor:
    """Computes the 3x3 mean over the positions inside the image: padding does not count."""
    if stride == 1 and not for_xnnpack():
        return tf.nn.avg_pool2d(x, 3, 1, "SAME")
    nine_over_inside = tf.constant(_nine_over_inside(*x.shape[1:3], stride), x.dtype)
    return _mean_of_nine(pad(x, (3, 3)), stride) * nine_over_inside


def _mean_of_nine(x, stride):
    """Computes the mean of 3x3 windows, without padding."""
    if for_xnnpack():  # XNNPACK has no average pooling of integers
        ninths = tf.fill((3, 3, x.shape[-1], 1), tf.constant(1 / 9, x.dtype))
        return tf.nn.depthwise_conv2d(x, ninths, (1, stride, stride, 1), "VALID")
    return tf.nn.avg_pool2d(x, 3, stride, "VALID")


@functools.lru_cache
def _nine_over_inside(height: int, width: int, stride: int) -> np.ndarray:
    """Returns 9 / (number of positions of each 3x3 window inside the image).

    Returns:
        `(1, height', width', 1)`, where height' and width' are the sizes after the stride.
    """

    def inside(size):
        centers = np.arange(0, size, stride)
        return np.minimum(centers + 1, size - 1) - np.maximum(centers - 1, 0) + 1

    return 9.0 / np.outer(inside(height), inside(width))[None, :, :, None]
