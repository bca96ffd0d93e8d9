"""Tensor functions that primitives, stems and heads are made of.

Padding is symmetric as in the reference: TensorFlow's own SAME pads only bottom and right when
the stride is 2. All images are `(batch, height, width, channels)` with known height and width.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.ops.autodiff import custom_gradient
from darts_tf.ops.constants import integers
from darts_tf.ops.xnnpack import for_xnnpack


def fan_in_uniform(fan_in: int) -> keras.initializers.Initializer:
    """Returns an initializer, uniform in ±1/sqrt(fan_in), the authors' for all weights."""
    bound = fan_in**-0.5
    return keras.initializers.RandomUniform(-bound, bound)


def halved(size: int, stride: int) -> int:
    """Returns the number of rows or columns after a stride."""
    return -(-size // stride)


def strided(shape, stride: int, channels: int) -> tuple[int | None, ...]:
    """Returns the shape of a batch of images after a stride; None is an unknown size."""
    batch, *size, _ = shape
    return (batch, *(n if n is None else halved(n, stride) for n in size), channels)


def pad(x: tf.Tensor, kernel: tuple[int, int], mode: str = "CONSTANT") -> tf.Tensor:
    """Pads all sides so that VALID windows of size `kernel` are centred on the positions of `x`."""
    rows, columns = kernel[0] // 2, kernel[1] // 2
    return tf.pad(x, [[0, 0], [rows, rows], [columns, columns], [0, 0]], mode)


def every_other(x: tf.Tensor) -> tf.Tensor:
    """Returns the even rows and columns."""
    if for_xnnpack():
        ones = tf.ones((1, 1, x.shape[-1], 1), x.dtype)
        return tf.nn.depthwise_conv2d(x, ones, (1, 2, 2, 1), "VALID")
    # a pool with windows of one position: the gradient of a slice is slow
    return tf.nn.avg_pool2d(x, 1, 2, "VALID")


def relu(x: tf.Tensor) -> tf.Tensor:
    """ReLU whose second derivative is absent (None) instead of a tensor of zeros."""

    @custom_gradient
    def forward(x):
        y = tf.raw_ops.Relu(features=x)

        @custom_gradient
        def along(upstream):
            return tf.raw_ops.ReluGrad(gradients=upstream, features=y), along

        return y, along

    return forward(x)


def shuffle(x: tf.Tensor, groups: int) -> tf.Tensor:
    """Reorders the channels: the first of every group, then the second of every group, etc."""
    size = x.shape[-1] // groups
    parts = tf.reshape(x, integers(-1, *x.shape[1:3], groups, size))
    return tf.reshape(tf.transpose(parts, (0, 1, 2, 4, 3)), integers(-1, *x.shape[1:]))


def spread(x: tf.Tensor, groups: int) -> tf.Tensor:
    """Repeats `x` once per group, side by side in the channels."""
    if groups == 1:
        return x

    @custom_gradient
    def forward(x):
        return tf.concat([x] * groups, -1), lambda upstream: folded(upstream, groups)

    return forward(x)


def folded(x: tf.Tensor, groups: int) -> tf.Tensor:
    """Sums the groups that lie side by side in the channels.

    `folded` and `spread` are each other's gradients.
    """

    @custom_gradient
    def forward(x):
        shape = integers(-1, *x.shape[1:3], groups, x.shape[-1] // groups)
        return tf.reduce_sum(tf.reshape(x, shape), 3), lambda upstream: spread(upstream, groups)

    return forward(x)


def joined(xs: list[tf.Tensor]) -> tf.Tensor:
    """Concatenates along the channels. Its gradient is one split instead of TensorFlow's slices."""
    sizes = integers(*(x.shape[-1] for x in xs))

    @custom_gradient
    def forward(*xs):
        return tf.concat(xs, -1), lambda upstream: tf.split(upstream, sizes, -1)

    return forward(*xs)


def add_kernel(layer: keras.layers.Layer, size: int, inputs: int, outputs: int, name: str):
    """Adds a convolution kernel `(size, size, inputs, outputs)` to the weights of `layer`."""
    initializer = fan_in_uniform(size * size * inputs)
    return layer.add_weight(shape=(size, size, inputs, outputs), initializer=initializer, name=name)
