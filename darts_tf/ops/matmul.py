"""Products of every place's channels with matrices: 1x1 convolutions and weighted sums.

All images are `(batch, height, width, channels)` with known height and width.
"""

from __future__ import annotations

import tensorflow as tf

from darts_tf.ops.bilinear import bilinear
from darts_tf.ops.constants import diagonal_blocks, integers, tiled_identity
from darts_tf.ops.images import joined


def pointwise(x: tf.Tensor, kernel, training: bool = True) -> tf.Tensor:
    """1x1 convolution of groups that lie side by side in the channels.

    Products of matrices are faster on CPUs than convolutions, grouped or not: one product with the
    kernels along the diagonal, or from `APART` on one for each group. At inference a discrete
    network keeps to the convolution, which phones know.

    Args:
        x: `(batch, height, width, groups * inputs)`.
        kernel: `(groups, inputs, outputs)`.
        training: whether gradients are wanted.

    Returns:
        `(batch, height, width, groups * outputs)`.
    """
    kernel = tf.cast(kernel, x.dtype)
    if kernel.shape[0] == 1 and not training:
        return tf.nn.conv2d(x, kernel[None], 1, "VALID")
    return _products(x, kernel, worth_keeping=True)


def weighted_sums(xs: list[tf.Tensor], factors: tf.Tensor) -> tf.Tensor:
    """For every group the sum of all `xs`, each with a factor.

    Args:
        xs: all of one shape `(batch, height, width, channels)`.
        factors: `(len(xs), groups * channels)`.

    Returns:
        `(batch, height, width, groups * channels)`.
    """
    channels, width = xs[0].shape[-1], factors.shape[-1]
    diagonals = tiled_identity(channels, width // channels, factors.dtype)
    matrix = tf.reshape(factors[:, None] * diagonals, (1, len(xs) * channels, width))
    return _products(joined(xs), tf.cast(matrix, xs[0].dtype), worth_keeping=False)


APART = 128
"""Channels of all groups from which on they are multiplied one by one: 1.3 to 2 times faster.

With fewer, a product with zeros beside the kernels is faster than the transpositions.
"""


def _products(x, kernel, worth_keeping):
    """Every group's channels at every place times its matrix of the kernel."""
    apart = kernel.shape[0] > 1 and x.shape[-1] >= APART
    form = (_apart if apart else _together)(*kernel.shape, x.shape[1:3])
    return bilinear(*form, worth_keeping=worth_keeping)(x, kernel)


def _rows(x):
    return tf.reshape(x, integers(-1, x.shape[-1]))


def _together(groups, inputs, outputs, size):
    """The kernels along the diagonal of one matrix. See `bilinear` for the three functions."""

    def matrix(kernel):
        if groups > 1:
            blocks = tf.reshape(kernel, integers(groups, inputs, 1, outputs))
            kernel = blocks * diagonal_blocks(groups, kernel.dtype)
        return tf.reshape(kernel, integers(groups * inputs, groups * outputs))

    def image(rows):
        return tf.reshape(rows, integers(-1, *size, rows.shape[-1]))

    def along_kernel(upstream, x):
        found = tf.matmul(_rows(x), _rows(upstream), transpose_a=True)
        if groups > 1:
            found = tf.reshape(found, integers(groups, inputs, groups, outputs))
            found = tf.reduce_sum(found * diagonal_blocks(groups, x.dtype), 2)
        return tf.reshape(found, integers(groups, inputs, outputs))

    return (
        lambda x, kernel: image(tf.matmul(_rows(x), matrix(kernel))),
        lambda kernel, upstream: image(
            tf.matmul(_rows(upstream), matrix(kernel), transpose_b=True)
        ),
        along_kernel,
    )


def _apart(groups, inputs, outputs, size):
    """One product a group, of the groups' places one after the other."""
    arranged = {}

    def group_by_group(x):
        if x.ref() not in arranged:  # a gradient reads the same as another
            places = tf.reshape(x, integers(-1, groups, x.shape[-1] // groups))
            arranged[x.ref()] = tf.transpose(places, integers(1, 0, 2))
        return arranged[x.ref()]

    def image(places):
        places = tf.transpose(places, integers(1, 0, 2))
        return tf.reshape(places, integers(-1, *size, groups * places.shape[-1]))

    return (
        lambda x, kernel: image(tf.matmul(group_by_group(x), kernel)),
        lambda kernel, upstream: image(
            tf.matmul(group_by_group(upstream), kernel, transpose_b=True)
        ),
        lambda upstream, x: tf.matmul(
            group_by_group(x), group_by_group(upstream), transpose_a=True
        ),
    )
