"""Matrix products with the channels of every position: 1x1 convolutions and weighted sums.

All images are `(batch, height, width, channels)` with known height and width.
"""

from __future__ import annotations

import tensorflow as tf

from darts_tf.ops.bilinear import bilinear
from darts_tf.ops.constants import diagonal_blocks, integers, tiled_identity
from darts_tf.ops.images import joined


def pointwise(x: tf.Tensor, kernel, training: bool = True) -> tf.Tensor:
    """Computes a 1x1 convolution per group; groups lie side by side in the channels.

    On CPUs matrix products are faster than convolutions, grouped or not. Below `APART` channels it
    is one product with a block-diagonal matrix, otherwise one product per group. At inference a
    network with a single group uses the convolution, which phones support.

    Args:
        x: `(batch, height, width, groups * inputs)`.
        kernel: `(groups, inputs, outputs)`.
        training: True if gradients are needed.

    Returns:
        `(batch, height, width, groups * outputs)`.
    """
    kernel = tf.cast(kernel, x.dtype)
    if kernel.shape[0] == 1 and not training:
        return tf.nn.conv2d(x, kernel[None], 1, "VALID")
    return _products(x, kernel, worth_keeping=True)


def weighted_sums(xs: list[tf.Tensor], factors: tf.Tensor) -> tf.Tensor:
    """Computes a weighted sum of all `xs` per group.

    Args:
        xs: tensors of one shape, `(batch, height, width, channels)`.
        factors: weight of each tensor per group and channel, `(len(xs), groups * channels)`.

    Returns:
        `(batch, height, width, groups * channels)`.
    """
    channels, width = xs[0].shape[-1], factors.shape[-1]
    diagonals = tiled_identity(channels, width // channels, factors.dtype)
    matrix = tf.reshape(factors[:, None] * diagonals, (1, len(xs) * channels, width))
    return _products(joined(xs), tf.cast(matrix, xs[0].dtype), worth_keeping=False)


APART = 128
"""Number of channels from which one matrix product per group is used: 1.3 to 2 times faster.

With fewer channels, one product with a block-diagonal matrix is faster than the transpositions.
"""


def _products(x, kernel, worth_keeping):
    """Multiplies the channels of each group, at every position, by the group's matrix."""
    apart = kernel.shape[0] > 1 and x.shape[-1] >= APART
    form = (_apart if apart else _together)(*kernel.shape, x.shape[1:3])
    return bilinear(*form, worth_keeping=worth_keeping)(x, kernel)


def _rows(x):
    return tf.reshape(x, integers(-1, x.shape[-1]))


def _together(groups, inputs, outputs, size):
    """Returns the three functions for `bilinear`, with one block-diagonal matrix of the kernels."""

    def matrix(kernel):
        if groups > 1:
            blocks = tf.reshape(kernel, integers(groups, inputs, 1, outputs))
            kernel = blocks * diagonal_blocks(groups, kernel.dtype)
        return tf.reshape(kernel, integers(groups * inputs, groups * outputs))

    def image(rows):
        return tf.reshape(rows, integers(-1, *size, rows.shape[-1]))

    def along_kernel(upstream, x):
        gradient = tf.matmul(_rows(x), _rows(upstream), transpose_a=True)
        if groups > 1:
            gradient = tf.reshape(gradient, integers(groups, inputs, groups, outputs))
            gradient = tf.reduce_sum(gradient * diagonal_blocks(groups, x.dtype), 2)
        return tf.reshape(gradient, integers(groups, inputs, outputs))

    return (
        lambda x, kernel: image(tf.matmul(_rows(x), matrix(kernel))),
        lambda kernel, upstream: image(
            tf.matmul(_rows(upstream), matrix(kernel), transpose_b=True)
        ),
        along_kernel,
    )


def _apart(groups, inputs, outputs, size):
    """Returns the three functions for `bilinear`, with one matrix product per group."""
    by_group = {}

    def group_by_group(x):
        if x.ref() not in by_group:  # several gradients read the same tensor
            rows = tf.reshape(x, integers(-1, groups, x.shape[-1] // groups))
            by_group[x.ref()] = tf.transpose(rows, integers(1, 0, 2))
        return by_group[x.ref()]

    def image(rows):
        rows = tf.transpose(rows, integers(1, 0, 2))
        return tf.reshape(rows, integers(-1, *size, groups * rows.shape[-1]))

    return (
        lambda x, kernel: image(tf.matmul(group_by_group(x), kernel)),
        lambda kernel, upstream: image(
            tf.matmul(group_by_group(upstream), kernel, transpose_b=True)
        ),
        lambda upstream, x: tf.matmul(
            group_by_group(x), group_by_group(upstream), transpose_a=True
        ),
    )
