"""The operations that primitives, stems and heads are made of.

Padding is symmetric as in the reference: TensorFlow's own SAME pads only bottom and right when
the stride is 2. All images are `(batch, height, width, channels)` with known height and width.
"""

from __future__ import annotations

import functools

import keras
import numpy as np
import tensorflow as tf


def fan_in_uniform(fan_in: int) -> keras.initializers.Initializer:
    """Uniform in ±1/sqrt(fan_in), the reference's initialisation of every kernel and bias."""
    bound = fan_in**-0.5
    return keras.initializers.RandomUniform(-bound, bound)


def halved(size: int, stride: int) -> int:
    """Rows or columns left after a stride."""
    return -(-size // stride)


def pad(x: tf.Tensor, kernel: tuple[int, int], mode: str = "CONSTANT") -> tf.Tensor:
    """Pads all sides so that VALID windows of `kernel` are centred on the places of `x`."""
    rows, columns = kernel[0] // 2, kernel[1] // 2
    return tf.pad(x, [[0, 0], [rows, rows], [columns, columns], [0, 0]], mode)


def depthwise(x: tf.Tensor, kernel, stride: int = 1, dilation: int = 1) -> tf.Tensor:
    """Depthwise convolution with symmetric zero padding; `kernel` is `(rows, columns, in, 1)`."""
    if stride == dilation == 2:
        # A window of dilation 2 at even places reads even places only. The op itself is silently
        # wrong when both are set.
        return _depthwise_same(x[:, ::2, ::2], kernel)
    if stride > 1:
        x = pad(x, tuple(kernel.shape[:2]))
        return _depthwise_op(x, kernel, stride, "VALID")
    if dilation == 1:
        return _depthwise_same(x, kernel)
    return _dilated(x, kernel, dilation)


def _depthwise_same(x, kernel):
    return _depthwise_op(x, kernel, 1, "SAME")


def _depthwise_op(x, kernel, stride, padding):
    """The bare op: `tf.nn.depthwise_conv2d` wraps it in nodes for dilations."""
    kernel, strides = tf.convert_to_tensor(kernel), (1, stride, stride, 1)
    return tf.raw_ops.DepthwiseConv2dNative(
        input=x, filter=kernel, strides=strides, padding=padding
    )


def _dilated(x, kernel, dilation):
    """A dilated window never mixes the places of different residues: convolve each residue.

    The padding is part of the split into residues, which is how TFLite knows a dilation.
    """
    reach = [dilation * (size // 2) for size in kernel.shape[:2]]
    extra = [-size % dilation for size in x.shape[1:3]]
    block = [dilation, dilation]
    paddings = [[r, r + e] for r, e in zip(reach, extra, strict=True)]
    residues = tf.raw_ops.SpaceToBatchND(input=x, block_shape=block, paddings=paddings)
    y = _depthwise_op(residues, kernel, 1, "VALID")
    return tf.raw_ops.BatchToSpaceND(input=y, block_shape=block, crops=[[0, e] for e in extra])


def max_pool(x: tf.Tensor, stride: int) -> tf.Tensor:
    """3x3 maximum over the places inside the image."""
    # A mirrored border repeats values that the window holds already: the maximum is unchanged.
    # (The op's own padding loses the second derivative: explicit padding has none, and that of
    # SAME comes out as zero in a graph.)
    return tf.nn.max_pool2d(pad(x, (3, 3), "SYMMETRIC"), 3, stride, "VALID")


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


def pointwise(x: tf.Tensor, kernel, stride: int = 1) -> tf.Tensor:
    """1x1 convolution of groups that lie side by side in the channels.

    Args:
        x: `(batch, height, width, groups * inputs)`.
        kernel: `(groups, inputs, outputs)`.
        stride: places skipped.

    Returns:
        `(batch, height / stride, width / stride, groups * outputs)`, sizes rounded up.
    """
    groups, inputs, outputs = kernel.shape
    if groups == 1:
        return tf.nn.conv2d(x, tf.reshape(kernel, (1, 1, inputs, outputs)), stride, "VALID")
    # TensorFlow's grouped convolution has no gradient on CPUs (but through oneDNN).
    x = x[:, ::stride, ::stride] if stride > 1 else x
    y = tf.einsum("pgi,gio->pgo", tf.reshape(x, (-1, groups, inputs)), kernel)
    return tf.reshape(y, (-1, *x.shape[1:3], groups * outputs))


def add_kernel(layer: keras.layers.Layer, size: int, inputs: int, outputs: int, name: str):
    """A square convolution kernel `(size, size, inputs, outputs)` as a weight of `layer`."""
    initializer = fan_in_uniform(size * size * inputs)
    return layer.add_weight(shape=(size, size, inputs, outputs), initializer=initializer, name=name)
