"""Primitives: candidate operations of the convolutional space (Liu et al. 2019, sec. 3.1.1).

`PRIMITIVES` maps a name to `(channels, stride, affine, groups) -> layer`. In a search layers are
not affine and have a group per edge that leaves a state. To add a primitive, write a layer and add
an entry to `PRIMITIVES`.

A layer's attribute `reads` names the view of a state that it takes; `views` computes all views once
for all layers. At stride 1 a layer keeps the spatial size, otherwise it divides it by `stride`,
rounding up. `macs(height, width)` counts its multiply-accumulates for one image of that size at its
input.
"""

from __future__ import annotations

import collections
import functools
import math

import keras
import tensorflow as tf

from darts_tf import registry
from darts_tf.errors import InputError
from darts_tf.layers.normalization import built_normalization, tracking
from darts_tf.ops import dropout
from darts_tf.ops.convolution import conv2d, depthwise
from darts_tf.ops.images import add_kernel, fan_in_uniform, halved, pad, relu, spread
from darts_tf.ops.matmul import pointwise
from darts_tf.ops.pooling import avg_pool, max_pool
from darts_tf.spaces.cell import NOISE


def views(state: tf.Tensor, groups: int = 1) -> dict[str, tf.Tensor]:
    """Computes the views of a state `(batch, height, width, channels)` that primitives read.

    Returns:
        `state`, the state itself; `rectified`, its ReLU; and `spread`, a copy of its ReLU for every
        group, side by side in the channels.
    """
    rectified = relu(state)
    return {"state": state, "rectified": rectified, "spread": spread(rectified, groups)}


class Primitive(keras.layers.Layer):
    """Base class of primitives, with equal channels of input and output.

    A primitive with weights is called with `scale`, a factor per channel of the output, or None.
    It holds the softmaxed alphas, which a normalisation at the end applies at no extra cost. Under
    mixed precision `scale` and weights are float32, and the operations cast them.

    Args:
        channels: channels of one group.
        stride: 1 or 2.
        affine: True if the normalisations have scale and shift.
        groups: number of independent copies, side by side in the channels: the edges of a search
            that leave one state. A discrete network has one.

    Attributes:
        weightless: True if the primitive has no weights and so computes the same on every edge.
        reads: name of the view of a state that it takes, see `views`.
    """

    weightless = False
    reads = "state"

    def __init__(
        self, channels: int, stride: int = 1, affine: bool = True, groups: int = 1, **kwargs
    ):
        super().__init__(autocast=False, **kwargs)  # `scale` stays in float32
        self.channels = channels
        self.stride = stride
        self.affine = affine
        self.groups = groups

    def compute_output_shape(self, input_shape):
        """Returns `(batch, height / stride, width / stride, groups * channels)`, rounded up."""
        batch, height, width, _ = input_shape
        sizes = (None if s is None else halved(s, self.stride) for s in (height, width))
        return (batch, *sizes, self.groups * self.channels)

    def macs(self, height: int, width: int) -> int:
        """Returns the multiply-accumulates for one image of this size at the input."""
        return 0

    def elementwise(self, height: int, width: int) -> int:
        """Returns the elementwise operations for one image: 2 per normalised, 1 per ReLU value."""
        return 0

    def group_axis(self, weight: keras.Variable) -> int:
        """Returns the axis of a weight along which the groups lie side by side."""
        del weight
        return 0

    def grouped_weights(self) -> list[tuple[int, list[keras.Variable], tuple[int, ...]]]:
        """Returns `(groups, weights, axes)`: groups lie side by side along an axis of each weight.

        A primitive with separate layers for its groups has an entry for each layer.
        """
        weights = list(self.trainable_variables)
        return [(self.groups, weights, tuple(map(self.group_axis, weights)))]

    def _add_pointwise(self, inputs, outputs, name):
        shape = (self.groups, inputs, outputs)
        return self.add_weight(shape=shape, initializer=fan_in_uniform(inputs), name=name)

    def _add_norm(self, name):
        return built_normalization(self.groups * self.channels, self.affine, name)


class ReLUConvBN(Primitive):
    """ReLU, 1x1 convolution and normalisation: maps a cell's input to the cell's channels."""

    reads = "rectified"

    def build(self, input_shape):
        """Creates kernel and normalisation."""
        self.kernel = self._add_pointwise(input_shape[-1], self.channels, "kernel")
        self.norm = self._add_norm("norm")

    def call(self, x, training=False):
        """Maps `(batch, height, width, any)` to `(batch, height, width, channels)`."""
        return self.norm(pointwise(x, self.kernel, training), training=training)

    def macs(self, height, width):
        """Counts one multiply-accumulate per weight and position."""
        return height * width * math.prod(self.kernel.shape)

    def elementwise(self, height, width):
        """Counts elementwise operations, see `Primitive`."""
        return height * width * (self.kernel.shape[1] + 2 * self.channels)


class FactorizedReduce(Primitive):
    """Factorized reduction: halves the size by two strided 1x1 convolutions side by side.

    It is `skip_connect` at stride 2, and the preprocessing of a cell's larger input after a
    reduction cell. The first half of the channels reads even rows and columns, the second half odd
    ones.
    """

    reads = "rectified"

    def build(self, input_shape):
        """Creates both kernels and the normalisation of their outputs side by side."""
        inputs, half = input_shape[-1], self.channels // 2
        self.kernel_even = self._add_pointwise(inputs, half, "kernel_even")
        self.kernel_odd = self._add_pointwise(inputs, self.channels - half, "kernel_odd")
        self.norm = self._add_norm("norm")

    def call(self, x, scale=None, training=False):
        """Maps `(batch, height, width, any)` to `(batch, height / 2, width / 2, outputs)`.

        All groups read the same input; outputs = groups * channels.
        """
        both = training or self.groups > 1
        y = self._both_halves(x) if both else self._one_after_the_other(x)
        return self.norm(y, scale=scale, training=training)

    def _both_halves(self, x):
        """Computes both halves as one convolution with 2x2 kernels.

        Half of the kernels are zero except for the first position, half except for the last. So it
        needs no slice of `x`, whose gradient is slow.
        """
        even, odd = (tf.transpose(k, (1, 0, 2)) for k in (self.kernel_even, self.kernel_odd))
        first = tf.pad(even, [[0, 0], [0, 0], [0, odd.shape[-1]]])
        last = tf.pad(odd, [[0, 0], [0, 0], [even.shape[-1], 0]])
        nothing = tf.zeros_like(first)
        outputs = self.groups * self.channels
        kernel = tf.reshape([first, nothing, nothing, last], (2, 2, x.shape[-1], outputs))
        return conv2d(x, kernel, 2, "SAME")  # for odd sizes the last odd position is zero padding

    def _one_after_the_other(self, x):
        """Computes each half separately, without multiplying by zeros, for inference."""
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
        """Counts one multiply-accumulate per weight and position of the output."""
        kernels = math.prod(self.kernel_even.shape) + math.prod(self.kernel_odd.shape)
        return halved(height, 2) * halved(width, 2) * kernels

    def elementwise(self, height, width):
        """Counts elementwise operations, see `Primitive`."""
        rectified = height * width * self.kernel_even.shape[1]
        return rectified + 2 * halved(height, 2) * halved(width, 2) * self.channels


class NormalizedConv(Primitive):
    """`nor_conv_1x1` and `nor_conv_3x3`: ReLU, convolution without bias, normalisation.

    Dong and Yang 2020, section 2.1. The input may have any number of channels; all groups read the
    same input, so that they are one convolution.

    Args:
        kernel_size: rows and columns of the kernel.
    """

    reads = "rectified"

    def __init__(self, *args, kernel_size: int, **kwargs):
        super().__init__(*args, **kwargs)
        self.kernel_size = kernel_size

    def build(self, input_shape):
        """Creates kernel and normalisation."""
        outputs = self.groups * self.channels
        self.kernel = add_kernel(self, self.kernel_size, input_shape[-1], outputs, "kernel")
        self.norm = self._add_norm("norm")

    def group_axis(self, weight):
        """Returns the axis of a weight along which the groups lie, see `Primitive`."""
        return len(weight.shape) - 1

    def call(self, x, scale=None, training=False):
        """Maps `(batch, height, width, any)` to `(batch, rows, columns, groups * channels)`.

        rows = height / stride and columns = width / stride, rounded up.
        """
        if self.stride == 1:
            x = conv2d(x, self.kernel, 1, "SAME")
        else:
            x = conv2d(pad(x, (self.kernel_size,) * 2), self.kernel, self.stride, "VALID")
        return self.norm(x, scale=scale, training=training)

    def macs(self, height, width):
        """Counts one multiply-accumulate per weight and position of the output."""
        positions = halved(height, self.stride) * halved(width, self.stride)
        return positions * math.prod(self.kernel.shape)

    def elementwise(self, height, width):
        """Counts elementwise operations, see `Primitive`."""
        positions = halved(height, self.stride) * halved(width, self.stride)
        rectified = height * width * self.kernel.shape[2]
        return rectified + 2 * positions * self.groups * self.channels


class SeparableConv(Primitive):
    """Separable convolution: ReLU, depthwise convolution, 1x1 convolution, normalisation.

    `sep_conv` has two rounds of these, `dil_conv` one round with a dilation.

    Args:
        kernel_size: rows and columns of the depthwise kernel.
        dilation: distance between neighbouring elements of the depthwise kernel.
        rounds: number of times that the sequence is applied; only the first has the stride.
    """

    reads = "spread"

    def __init__(self, *args, kernel_size: int, dilation: int = 1, rounds: int = 1, **kwargs):
        super().__init__(*args, **kwargs)
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.rounds = rounds

    def build(self, input_shape):
        """Creates depthwise kernels, pointwise kernels and normalisations of every round."""
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

    def group_axis(self, weight):
        """Returns the axis of a weight along which the groups lie, see `Primitive`."""
        return 2 if any(weight is kernel for kernel in self.depthwise) else 0

    def call(self, x, scale=None, training=False):
        """Returns `(batch, height / stride, width / stride, groups * channels)`."""
        for i in range(self.rounds):
            stride, last = (self.stride if i == 0 else 1), i == self.rounds - 1
            x = relu(x) if i else x
            x = depthwise(x, self.depthwise[i], stride, self.dilation, training)
            x = pointwise(x, self.pointwise[i], training)
            x = self.norms[i](x, scale=scale if last else None, training=training)
        return x

    def macs(self, height, width):
        """Counts one multiply-accumulate per weight and position of the output, per round."""
        positions = halved(height, self.stride) * halved(width, self.stride)
        per_position = self.groups * self.channels * (self.kernel_size**2 + self.channels)
        return self.rounds * positions * per_position

    def elementwise(self, height, width):
        """Counts elementwise operations, see `Primitive`."""
        positions = halved(height, self.stride) * halved(width, self.stride)
        rectified = height * width + (self.rounds - 1) * positions
        return self.groups * self.channels * (rectified + 2 * self.rounds * positions)


class Conv7x1And1x7(Primitive):
    """`conv_7x1_1x7`: ReLU, a 1x7 and a 7x1 convolution, normalisation (AmoebaNet's).

    Only for discrete networks, since it supports one group only.

    Raises:
        InputError: `groups` exceeds 1.
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
        """Convolves along the columns, then along the rows, each with the stride."""
        x = conv2d(pad(x, (1, 7)), self.kernel_row, (1, self.stride), "VALID")
        x = conv2d(pad(x, (7, 1)), self.kernel_column, (self.stride, 1), "VALID")
        return self.norm(x, scale=scale, training=training)

    def macs(self, height, width):
        """Counts one multiply-accumulate per weight and position of each convolution's output."""
        rows, columns = halved(height, self.stride), halved(width, self.stride)
        return 7 * self.channels**2 * columns * (height + rows)

    def elementwise(self, height, width):
        """Counts elementwise operations, see `Primitive`."""
        positions = halved(height, self.stride) * halved(width, self.stride)
        return self.channels * (height * width + 2 * positions)


class Zero(Primitive):
    """`none`: no connection. It has a share of the softmax and its output is zero."""

    weightless = True

    def call(self, x, training=False):
        """Returns zeros of the output's shape."""
        return tf.zeros_like(x[:, :: self.stride, :: self.stride])


class Noise(Primitive):
    """`noise`: standard Gaussian noise in place of the input (Zela et al. 2020, space S4).

    It is drawn in training and at inference, anew for every edge. The draws are a function of a
    seed, a variable, which moves where running statistics do: in the training step of the weights.
    So all other passes of a step of a search see the same noise, and evaluations are repeatable.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._seed = keras.random.SeedGenerator()

    def call(self, x, scale=None, training=False):
        """Returns noise of the shape `(batch, height / stride, width / stride, outputs)`.

        outputs = groups * channels.
        """
        batch, height, width = tf.unstack(tf.shape(x)[:3])
        outputs = self.groups * self.channels
        shape = (batch, halved(height, self.stride), halved(width, self.stride), outputs)
        (seed,) = dropout.seeds(self._seed, 1, move=training and tracking())
        y = tf.random.stateless_normal(shape, seed, dtype=x.dtype)
        y = tf.ensure_shape(y, self.compute_output_shape(x.shape))
        return y if scale is None else y * tf.cast(scale, y.dtype)


class Identity(Primitive):
    """`skip_connect` at stride 1: the identity."""

    weightless = True

    def call(self, x, training=False):
        """Returns `x`."""
        return x


class Pool(Primitive):
    """`max_pool_3x3` and `avg_pool_3x3`; normalised in a search, not in a discrete network.

    Args:
        kind: `"max"` or `"avg"`.
        normalize: True to add a batch normalisation after the pool.
    """

    weightless = True

    def __init__(self, *args, kind: str, normalize: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.kind = kind
        self.normalize = normalize

    def build(self, input_shape):
        """Creates the normalisation if `normalize` is set."""
        self.norm = self._add_norm("norm") if self.normalize else None

    def call(self, x, training=False):
        """Pools `x` and, if `normalize` is set, normalises it."""
        x = {"max": max_pool, "avg": avg_pool}[self.kind](x, self.stride)
        return self.norm(x, training=training) if self.norm else x


def _skip(channels, stride, affine, groups=1):
    return (Identity if stride == 1 else FactorizedReduce)(channels, stride, affine, groups)


def _pool(kind):
    """Makes the entry of a pool, which is normalised if not `affine`, i.e. in a search."""
    return lambda channels, stride, affine, groups=1: Pool(
        channels, stride, affine, groups, kind=kind, normalize=not affine
    )


def _separable(**settings):
    return functools.partial(SeparableConv, **settings)


_BUILT_IN = {
    "none": Zero,
    "max_pool_3x3": _pool("max"),
    "avg_pool_3x3": _pool("avg"),
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(kernel_size=3, rounds=2),
    "sep_conv_5x5": _separable(kernel_size=5, rounds=2),
    "sep_conv_7x7": _separable(kernel_size=7, rounds=2),
    "dil_conv_3x3": _separable(kernel_size=3, dilation=2),
    "dil_conv_5x5": _separable(kernel_size=5, dilation=2),
    "conv_7x1_1x7": Conv7x1And1x7,
    NOISE: Noise,
    "nor_conv_1x1": functools.partial(NormalizedConv, kernel_size=1),
    "nor_conv_3x3": functools.partial(NormalizedConv, kernel_size=3),
}

PRIMITIVES = collections.ChainMap(registry.PRIMITIVES, _BUILT_IN)
"""Built-in and registered primitives: functions `(channels, stride, affine, groups) -> layer`."""
