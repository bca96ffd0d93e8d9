"""Convolutions, some with faster gradients than TensorFlow's.

Padding is symmetric as in the reference: TensorFlow's own SAME pads only bottom and right when
the stride is 2. All images are `(batch, height, width, channels)` with known height and width.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from darts_tf.ops.bilinear import bilinear
from darts_tf.ops.constants import integers
from darts_tf.ops.images import every_other, pad
from darts_tf.ops.xnnpack import for_xnnpack

STRIP = 3
"""Largest number of kernel columns for which oneDNN's depthwise kernel gradient is fast.

For a 5x5 kernel, strips of this width are 12 times faster than the whole kernel at once.
"""

TAPS = 25
"""Largest number of depthwise kernel elements with which XNNPACK is fast.

A 7x7 kernel takes 5 times longer as one operation than divided into rows.
"""


def conv2d(x: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    """Convolves `x` with `kernel` `(rows, columns, in, out)`; the result is worth keeping.

    `padding` is "SAME" or "VALID"; `stride` is one number or (rows, columns).
    """
    raw, shape, size = tf.raw_ops, integers(*kernel.shape), tf.shape(x)
    settings = {"strides": (1, *np.broadcast_to(stride, 2), 1), "padding": padding}
    return bilinear(
        lambda x, kernel: raw.Conv2D(input=x, filter=kernel, **settings),
        lambda kernel, upstream: raw.Conv2DBackpropInput(
            input_sizes=size, filter=kernel, out_backprop=upstream, **settings
        ),
        lambda upstream, x: raw.Conv2DBackpropFilter(
            input=x, filter_sizes=shape, out_backprop=upstream, **settings
        ),
        worth_keeping=True,
    )(x, tf.cast(kernel, x.dtype))


def depthwise(
    x: tf.Tensor, kernel, stride: int = 1, dilation: int = 1, training: bool = True
) -> tf.Tensor:
    """Computes a depthwise convolution with symmetric zero padding.

    Args:
        x: `(batch, height, width, channels)`.
        kernel: `(rows, columns, channels, 1)`, odd numbers of rows and columns.
        stride: distance between the centres of neighbouring windows.
        dilation: distance between neighbouring elements of a window. If both `stride` and
            `dilation` exceed 1, both must be 2.
        training: True if gradients are needed. At inference a dilated convolution is written with
            operations that all devices support.
    """
    kernel = tf.cast(kernel, x.dtype)
    if stride == dilation == 2:
        # A window of dilation 2 at an even position reads even positions only. The op itself is
        # silently wrong when both are set.
        x, stride, dilation = every_other(x), 1, 1
    if for_xnnpack() and kernel.shape[0] * kernel.shape[1] > TAPS:
        return _in_rows(pad(x, tuple(kernel.shape[:2])), kernel, stride)
    if stride > 1:
        return _strided(pad(x, tuple(kernel.shape[:2])), kernel, stride)
    filtered = functools.partial(_filtered, dilation=dilation, native=training)
    shape = kernel.shape
    return bilinear(
        filtered,
        lambda kernel, upstream: filtered(upstream, tf.reverse(kernel, integers(0, 1))),
        lambda upstream, x: _along_kernel(x, upstream, shape, dilation),
    )(x, kernel)


def _in_rows(x, kernel, stride):
    """Convolves with some of the kernel's rows at a time, without padding and dilation."""
    rows, columns = kernel.shape[:2]
    positions, step = x.shape[1] - rows + 1, TAPS // columns
    total = None
    for first in range(0, rows, step):
        part = kernel[first : first + step]
        window_rows = x[:, first : first + positions + part.shape[0] - 1]
        y = tf.nn.depthwise_conv2d(window_rows, part, (1, stride, stride, 1), "VALID")
        total = y if total is None else total + y
    return total


def _strided(x, kernel, stride):
    """Convolves with a stride and without padding."""
    size, shape = tf.shape(x), kernel.shape
    settings = {"strides": (1, stride, stride, 1), "padding": "VALID"}
    return bilinear(
        lambda x, kernel: tf.raw_ops.DepthwiseConv2dNative(input=x, filter=kernel, **settings),
        lambda kernel, upstream: tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=size, filter=kernel, out_backprop=upstream, **settings
        ),
        lambda upstream, x: _in_strips(x, upstream, shape, stride),
    )(x, kernel)


def _filtered(x, kernel, dilation, native):
    """Convolves at stride 1 with zero padding, so that the size does not change.

    A dilation that is not native is split into undilated convolutions of its residues.
    """
    if dilation == 1 or for_xnnpack() or (native and knows_dilation(x.dtype)):
        return _at_once(x, kernel, dilation)
    y = tf.raw_ops.DepthwiseConv2dNative(
        input=_residues(x, dilation, kernel.shape),
        filter=kernel,
        strides=(1, 1, 1, 1),
        padding="VALID",
    )
    crops = [[0, -size % dilation] for size in x.shape[1:3]]
    return tf.raw_ops.BatchToSpaceND(input=y, block_shape=[dilation] * 2, crops=crops)


def _at_once(x, kernel, dilation):
    """Convolves in one operation: correct without a dilation, or if `knows_dilation`."""
    return tf.raw_ops.DepthwiseConv2dNative(
        input=x,
        filter=kernel,
        strides=(1, 1, 1, 1),
        padding="SAME",
        dilations=(1, dilation, dilation, 1),
    )


def _residues(x, dilation, shape=(1, 1)):
    """Pads with zeros, and makes an image of the positions of each residue modulo the dilation.

    A dilated window never mixes positions of different residues. The padding is part of the split,
    the form in which converters recognise a dilation.
    """
    reach = [dilation * (size // 2) for size in shape[:2]]
    paddings = [[r, r + -size % dilation] for r, size in zip(reach, x.shape[1:3], strict=True)]
    return tf.raw_ops.SpaceToBatchND(input=x, block_shape=[dilation] * 2, paddings=paddings)


@functools.cache
def knows_dilation(dtype: tf.DType) -> bool:
    """Returns True if TensorFlow's dilated depthwise convolution is correct here, at stride 1.

    oneDNN's is, and is three times faster than one by residues. Other kernels reject or ignore a
    dilation.
    """
    with tf.init_scope():
        x = tf.reshape(tf.range(2 * 6 * 5 * 3, dtype=tf.float32) % 7, (2, 6, 5, 3))
        kernel = tf.reshape(tf.range(27, dtype=tf.float32) % 5, (3, 3, 3, 1))
        expected = _filtered(x, kernel, 2, native=False)
        dilated = tf.function(_at_once, autograph=False)
        try:
            computed = dilated(tf.cast(x, dtype), tf.cast(kernel, dtype), 2)
        except tf.errors.UnimplementedError:
            return False
        return bool(tf.reduce_all(computed == tf.cast(expected, dtype)))


def _along_kernel(x, upstream, shape, dilation):
    if dilation > 1:
        x, upstream = (_residues(t, dilation) for t in (x, upstream))
    return _in_strips(x, upstream, shape, padded=True)


def _in_strips(x, upstream, shape, stride=1, padded=False):
    """Computes the gradient for a depthwise kernel of this shape, some columns at a time.

    Args:
        x: the image that the windows read, without its zero padding if `padded`.
        upstream: one value per window and channel.
        shape: shape of the kernel.
        stride: stride of the windows.
        padded: if True, `x` is padded with zeros so that a window is centred on each position.
    """
    rows, columns, channels, _ = shape
    settings = {"strides": (1, stride, stride, 1), "out_backprop": upstream}
    if columns <= STRIP:
        return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=x,
            filter_sizes=integers(*shape),
            padding="SAME" if padded else "VALID",
            **settings,
        )
    with tf.control_dependencies([upstream]):  # otherwise strips of x are made early and kept
        x = tf.identity(x)
    reach = (upstream.shape[2] - 1) * stride + STRIP
    above, before = (rows // 2, columns // 2) if padded else (0, 0)
    gradients = []
    for first in [*range(0, columns - STRIP, STRIP), columns - STRIP]:
        strip = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=_columns(x, first - before, first - before + reach, above),
            filter_sizes=integers(rows, STRIP, channels, 1),
            padding="VALID",
            **settings,
        )
        overlap = STRIP * len(gradients) - first  # the last strip may overlap the one before it
        gradients.append(strip[:, overlap:] if overlap else strip)
    return tf.concat(gradients, 1)


def _columns(x, first, last, above):
    """Returns columns `first` to `last` of an image, with zeros outside it.

    `above` rows of zeros are added above and below.
    """
    height, width = x.shape[1:3]
    start, end = max(first, 0), min(last, width)
    if (start, end) != (0, width):
        x = tf.slice(x, integers(0, 0, start, 0), integers(-1, -1, end - start, -1))
    missing = [[0, 0], [above, above], [start - first, last - end], [0, 0]]
    return tf.pad(x, missing) if any(map(any, missing)) else x
