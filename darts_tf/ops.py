"""The operations that primitives, stems and heads are made of.

Padding is symmetric as in the reference: TensorFlow's own SAME pads only bottom and right when
the stride is 2. All images are `(batch, height, width, channels)` with known height and width.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.constants import diagonal_blocks, integers, tiled_identity
from darts_tf.differentiation import custom_gradient
from darts_tf.keeping import keep, kept


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
    kernel = tf.cast(kernel, x.dtype)
    if stride == dilation == 2:
        # A window of dilation 2 at even places reads even places only. The op itself is silently
        # wrong when both are set.
        return _depthwise(every_other(x), kernel, 1, "SAME")
    if stride > 1:
        return _depthwise(pad(x, tuple(kernel.shape[:2])), kernel, stride, "VALID")
    if dilation == 1:
        return _depthwise(x, kernel, 1, "SAME")
    return _dilated(x, kernel, dilation)


def conv2d(x: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    """Convolution, worth keeping; `kernel` is `(rows, columns, in, out)`."""
    return kept(
        lambda x, kernel: tf.nn.conv2d(x, kernel, stride, padding), x, tf.cast(kernel, x.dtype)
    )


def every_other(x: tf.Tensor) -> tf.Tensor:
    """The even rows and columns."""
    # a pool of single places: the gradient of a slice is slow
    return tf.nn.avg_pool2d(x, 1, 2, "VALID")


def _dilated(x, kernel, dilation):
    """A dilated window never mixes the places of different residues: convolve each residue.

    The padding is part of the split into residues, which is how TFLite knows a dilation.
    """
    reach = [dilation * (size // 2) for size in kernel.shape[:2]]
    extra = [-size % dilation for size in x.shape[1:3]]
    block = [dilation, dilation]
    paddings = [[r, r + e] for r, e in zip(reach, extra, strict=True)]
    residues = tf.raw_ops.SpaceToBatchND(input=x, block_shape=block, paddings=paddings)
    y = _depthwise(residues, kernel, 1, "VALID")
    return tf.raw_ops.BatchToSpaceND(input=y, block_shape=block, crops=[[0, e] for e in extra])


STRIP = 3
"""Columns of a depthwise kernel up to which oneDNN's gradient is fast: 12 times, for 5 and 5."""


def _depthwise(x, kernel, stride, padding):
    """The bare op, with the gradient of a wide kernel taken in strips of columns.

    (`tf.nn.depthwise_conv2d` would wrap it in nodes for dilations.)
    """
    settings = {"strides": (1, stride, stride, 1), "padding": padding}

    def convolved(x, kernel):
        return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=kernel, **settings)

    def along_input(x, kernel, upstream):
        return tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=tf.shape(x), filter=kernel, out_backprop=upstream, **settings
        )

    @custom_gradient
    def along_kernel(x, upstream):
        def gradient(direction):
            return along_input(x, direction, upstream), convolved(x, direction)

        return _in_strips(x, upstream, kernel.shape, stride, padding), gradient

    @custom_gradient
    def forward(x, kernel):
        def gradient(upstream):
            return along_input(x, kernel, upstream), along_kernel(x, upstream)

        return convolved(x, kernel), gradient

    return convolved(x, kernel) if kernel.shape[1] <= STRIP else forward(x, kernel)


def _in_strips(x, upstream, shape, stride, padding):
    """The gradient along a depthwise kernel of this shape, some columns at a time."""
    rows, columns, channels, _ = shape
    with tf.control_dependencies([upstream]):  # else strips of x would wait in memory from early on
        x = tf.identity(x)
    x = pad(x, (rows, columns)) if padding == "SAME" else x
    reach = (upstream.shape[2] - 1) * stride
    strips = []
    for first in range(0, columns, STRIP):
        width = min(STRIP, columns - first)
        strip = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=x[:, :, first : first + reach + width],
            filter_sizes=(rows, width, channels, 1),
            out_backprop=upstream,
            strides=(1, stride, stride, 1),
            padding="VALID",
        )
        strips.append(strip)
    return tf.concat(strips, 1)


def shuffle(x: tf.Tensor, groups: int) -> tf.Tensor:
    """Deals the channels out anew: the first of every group, then the second of every group."""
    size = x.shape[-1] // groups
    parts = tf.reshape(x, integers(-1, *x.shape[1:3], groups, size))
    return tf.reshape(tf.transpose(parts, (0, 1, 2, 4, 3)), integers(-1, *x.shape[1:]))


def pointwise(x: tf.Tensor, kernel, training: bool = True) -> tf.Tensor:
    """1x1 convolution of groups that lie side by side in the channels.

    It is one product of matrices, the kernels along the diagonal of the second: with its gradients
    1.3 to 2.5 times faster on CPUs than convolutions, grouped or not, or batched products. At
    inference a discrete network keeps to the convolution, which phones know.

    Args:
        x: `(batch, height, width, groups * inputs)`.
        kernel: `(groups, inputs, outputs)`.
        training: whether gradients are wanted.

    Returns:
        `(batch, height, width, groups * outputs)`.
    """
    groups, inputs, outputs = kernel.shape
    kernel = tf.cast(kernel, x.dtype)
    if groups == 1 and not training:
        return tf.nn.conv2d(x, kernel[None], 1, "VALID")
    if groups > 1:
        blocks = tf.reshape(kernel, integers(groups, inputs, 1, outputs))
        kernel = blocks * diagonal_blocks(groups, kernel.dtype)
    matrix = tf.reshape(kernel, integers(groups * inputs, groups * outputs))
    return _times(x, matrix, worth_keeping=True)


def _times(x, matrix, worth_keeping):
    """Every place's channels times a matrix."""

    def rows(x):
        return tf.reshape(x, integers(-1, x.shape[-1]))

    def product(x, matrix, **transposed):
        y = tf.matmul(rows(x), matrix, **transposed)
        return tf.reshape(y, integers(-1, *x.shape[1:3], y.shape[-1]))

    @custom_gradient
    def forward(x, matrix):
        def gradient(upstream):
            along_x = product(upstream, matrix, transpose_b=True)
            return along_x, tf.matmul(rows(x), rows(upstream), transpose_a=True)

        y = keep(lambda: [product(x, matrix)])[0] if worth_keeping else product(x, matrix)
        return y, gradient

    return forward(x, matrix)


def spread(x: tf.Tensor, groups: int) -> tf.Tensor:
    """A copy for every group, side by side in the channels."""
    if groups == 1:
        return x

    @custom_gradient
    def forward(x):
        return tf.concat([x] * groups, -1), lambda upstream: folded(upstream, groups)

    return forward(x)


def folded(x: tf.Tensor, groups: int) -> tf.Tensor:
    """The sum of the groups side by side in the channels.

    Each of this and `spread` is the other's gradient.
    """

    @custom_gradient
    def forward(x):
        shape = integers(-1, *x.shape[1:3], groups, x.shape[-1] // groups)
        return tf.reduce_sum(tf.reshape(x, shape), 3), lambda upstream: spread(upstream, groups)

    return forward(x)


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
    matrices = tf.reshape(factors[:, None] * diagonals, (len(xs) * channels, width))
    return _times(tf.concat(xs, -1), tf.cast(matrices, xs[0].dtype), worth_keeping=False)


def add_kernel(layer: keras.layers.Layer, size: int, inputs: int, outputs: int, name: str):
    """A square convolution kernel `(size, size, inputs, outputs)` as a weight of `layer`."""
    initializer = fan_in_uniform(size * size * inputs)
    return layer.add_weight(shape=(size, size, inputs, outputs), initializer=initializer, name=name)
