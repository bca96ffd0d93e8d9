"""Operations with weights: convolutions with what goes before and after them."""

from __future__ import annotations

import math

import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.operation import Primitive
from darts_tf.ops.convolution import conv2d, depthwise
from darts_tf.ops.images import fan_in_uniform, halved, pad, relu
from darts_tf.ops.matmul import pointwise


class ReLUConvBN(Primitive):
    """ReLU, 1x1 convolution, normalisation: brings a cell's input to the cell's channels."""

    reads = "rectified"

    def build(self, input_shape):
        """Creates kernel and normalisation."""
        self.kernel = self._add_pointwise(input_shape[-1], self.channels, "kernel")
        self.norm = self._add_norm("norm")

    def call(self, x, training=False):
        """`(batch, height, width, any)` to `(batch, height, width, channels)`."""
        return self.norm(pointwise(x, self.kernel, training), training=training)

    def macs(self, height, width):
        """One product per weight and place."""
        return height * width * math.prod(self.kernel.shape)

    def elementwise(self, height, width):
        """See `Primitive`."""
        return height * width * (self.kernel.shape[1] + 2 * self.channels)


class FactorizedReduce(Primitive):
    """Halves the size without losing places: even rows and columns beside odd ones.

    `skip_connect` at stride 2, and what brings a cell's input down after a reduction cell. The
    second half of the channels sees the image from its second row and column on.
    """

    reads = "rectified"

    def build(self, input_shape):
        """Creates both kernels and the normalisation of their outputs side by side."""
        inputs, half = input_shape[-1], self.channels // 2
        self.kernel_even = self._add_pointwise(inputs, half, "kernel_even")
        self.kernel_odd = self._add_pointwise(inputs, self.channels - half, "kernel_odd")
        self.norm = self._add_norm("norm")

    def call(self, x, scale=None, training=False):
        """`(batch, height, width, any)` to `(batch, height / 2, width / 2, groups * channels)`.

        All groups read the same.
        """
        both = training or self.groups > 1
        y = self._both_halves(x) if both else self._one_after_the_other(x)
        return self.norm(y, scale=scale, training=training)

    def _both_halves(self, x):
        """One convolution by kernels of 2x2 places: half of them use the first, half the last.

        It needs no slice of `x`, whose gradient is slow.
        """
        even, odd = (tf.transpose(k, (1, 0, 2)) for k in (self.kernel_even, self.kernel_odd))
        first = tf.pad(even, [[0, 0], [0, 0], [0, odd.shape[-1]]])
        last = tf.pad(odd, [[0, 0], [0, 0], [even.shape[-1], 0]])
        nothing = tf.zeros_like(first)
        outputs = self.groups * self.channels
        kernel = tf.reshape([first, nothing, nothing, last], (2, 2, x.shape[-1], outputs))
        return conv2d(x, kernel, 2, "SAME")  # an odd size lacks the last odd place: zero

    def _one_after_the_other(self, x):
        """Without the zeros, for inference."""
        extra = [size % 2 for size in x.shape[1:3]]
        odd = x[:, 1:, 1:]
        odd = tf.pad(odd, [[0, 0], *([0, e] for e in extra), [0, 0]]) if any(extra) else odd
        kernels = (self.kernel_even, self.kernel_odd)
        halves = [
            conv2d(part, kernel[0][None, None], 2, "VALID")
            for part, kernel in zip((x, odd), kernels, strict=True)
        ]
        return tf.concat(halves, -1)

    def macs(self, height, width):
        """One product per weight and place of the output."""
        kernels = math.prod(self.kernel_even.shape) + math.prod(self.kernel_odd.shape)
        return halved(height, 2) * halved(width, 2) * kernels

    def elementwise(self, height, width):
        """See `Primitive`."""
        rectified = height * width * self.kernel_even.shape[1]
        return rectified + 2 * halved(height, 2) * halved(width, 2) * self.channels


class SeparableConv(Primitive):
    """`sep_conv` (two rounds) and `dil_conv` (one, dilated): ReLU, depthwise, 1x1, normalisation.

    Args:
        kernel_size: rows and columns of the depthwise kernel.
        dilation: distance of its taps.
        rounds: how often the sequence is applied; the stride belongs to the first.
    """

    reads = "spread"

    def __init__(self, *args, kernel_size: int, dilation: int = 1, rounds: int = 1, **kwargs):
        super().__init__(*args, **kwargs)
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.rounds = rounds

    def build(self, input_shape):
        """Creates depthwise and pointwise kernels and the normalisations, round by round."""
        size, channels = self.kernel_size, self.channels
        shape = (size, size, self.groups * channels, 1)
        self.depthwise, self.pointwise, self.norms = [], [], []
        for i in range(self.rounds):
            initializer = fan_in_uniform(size * size)
            self.depthwise.append(
                self.add_weight(shape=shape, initializer=initializer, name=f"depthwise_{i}")
            )
            self.pointwise.append(self._add_pointwise(channels, channels, f"pointwise_{i}"))
            self.norms.append(self._add_norm(f"norm_{i}"))

    def call(self, x, scale=None, training=False):
        """`(batch, height, width, groups * channels)`, divided by the stride."""
        for i in range(self.rounds):
            stride, last = (self.stride if i == 0 else 1), i == self.rounds - 1
            x = relu(x) if i else x
            x = depthwise(x, self.depthwise[i], stride, self.dilation, training)
            x = pointwise(x, self.pointwise[i], training)
            x = self.norms[i](x, scale=scale if last else None, training=training)
        return x

    def macs(self, height, width):
        """One product per weight and place of the output, each round."""
        places = halved(height, self.stride) * halved(width, self.stride)
        per_place = self.groups * self.channels * (self.kernel_size**2 + self.channels)
        return self.rounds * places * per_place

    def elementwise(self, height, width):
        """See `Primitive`."""
        places = halved(height, self.stride) * halved(width, self.stride)
        rectified = height * width + (self.rounds - 1) * places
        return self.groups * self.channels * (rectified + 2 * self.rounds * places)


class Conv7x1And1x7(Primitive):
    """`conv_7x1_1x7`: ReLU, a 1x7 and a 7x1 convolution, normalisation (AmoebaNet's).

    Only for discrete networks: it has no groups.

    Raises:
        InputError: several groups.
    """

    reads = "rectified"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.groups != 1:
            raise InputError(f"Expected one group for conv_7x1_1x7. Received: groups={self.groups}")

    def build(self, input_shape):
        """Creates both kernels and the normalisation."""
        channels = self.channels
        initializer = fan_in_uniform(7 * channels)
        shape = {
            "kernel_row": (1, 7, channels, channels),
            "kernel_column": (7, 1, channels, channels),
        }
        for name, size in shape.items():
            setattr(self, name, self.add_weight(shape=size, initializer=initializer, name=name))
        self.norm = self._add_norm("norm")

    def call(self, x, scale=None, training=False):
        """The stride goes along the columns first, then along the rows."""
        x = conv2d(pad(x, (1, 7)), self.kernel_row, (1, self.stride), "VALID")
        x = conv2d(pad(x, (7, 1)), self.kernel_column, (self.stride, 1), "VALID")
        return self.norm(x, scale=scale, training=training)

    def macs(self, height, width):
        """One product per weight and place of each convolution's output."""
        rows, columns = halved(height, self.stride), halved(width, self.stride)
        return 7 * self.channels**2 * columns * (height + rows)

    def elementwise(self, height, width):
        """See `Primitive`."""
        places = halved(height, self.stride) * halved(width, self.stride)
        return self.channels * (height * width + 2 * places)
