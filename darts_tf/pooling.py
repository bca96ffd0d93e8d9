"""Pools over windows of places, all of which lie inside the image. Images are channels-last."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import tensorflow as tf

from darts_tf.differentiation import custom_gradient
from darts_tf.ops import pad


def max_pool(x: tf.Tensor, stride: int) -> tf.Tensor:
    """3x3 maximum over the places inside the image."""
    # a mirrored border repeats values that the window holds already: the maximum is unchanged
    return _maximum(pad(x, (3, 3), "SYMMETRIC"), 3, stride)


def _maximum(x, size, stride):
    """Of windows without padding, with a second derivative of our own.

    TensorFlow's is zero in graphs where the padding is SAME, XLA's compares and returns in 16 bits.
    """
    settings = {
        "ksize": (1, size, size, 1),
        "strides": (1, stride, stride, 1),
        "padding": "VALID",
    }

    @custom_gradient
    def forward(x):
        y = tf.raw_ops.MaxPool(input=x, **settings)

        @custom_gradient
        def along(upstream):
            gradient = tf.raw_ops.MaxPoolGrad(
                orig_input=x, orig_output=y, grad=upstream, **settings
            )
            return gradient, lambda direction: _at_maximum(x, direction, size, stride)

        return y, along

    return forward(x)


def _at_maximum(x, values, size, stride):
    """`values` where `x` is largest in a window; of equals the first, row by row."""
    rows, columns = ((s - size) // stride * stride + 1 for s in x.shape[1:3])
    best = chosen = None
    for i, j in itertools.product(range(size), repeat=2):
        place = (slice(None), slice(i, i + rows, stride), slice(j, j + columns, stride))
        here, value = x[place], values[place]
        if best is None:
            best, chosen = here, value
        else:
            chosen = tf.where(here > best, value, chosen)
            best = tf.maximum(here, best)
    return chosen


def halve(x: tf.Tensor) -> tf.Tensor:
    """2x2 maximum over the places inside the image, with a stride of 2."""
    border = [[0, 0], *([0, size % 2] for size in x.shape[1:3]), [0, 0]]
    return _maximum(tf.pad(x, border, "SYMMETRIC"), 2, 2)


def avg_pool(x: tf.Tensor, stride: int) -> tf.Tensor:
    """3x3 mean over the places inside the image: padding does not count."""
    if stride == 1:
        return tf.nn.avg_pool2d(x, 3, 1, "SAME")
    mean_of_nine = tf.nn.avg_pool2d(pad(x, (3, 3)), 3, stride, "VALID")
    return mean_of_nine * tf.constant(_nine_over_inside(*x.shape[1:3], stride), x.dtype)


@functools.lru_cache
def _nine_over_inside(height: int, width: int, stride: int) -> np.ndarray:
    """9 / (places of each 3x3 window that lie inside the image), `(1, height', width', 1)`."""

    def inside(size):
        centers = np.arange(0, size, stride)
        return np.minimum(centers + 1, size - 1) - np.maximum(centers - 1, 0) + 1

    return 9.0 / np.outer(inside(height), inside(width))[None, :, :, None]
