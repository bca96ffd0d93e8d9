"""Batch normalisations folded into the convolutions before them.

At inference a normalisation is `x * scale + shift`. To scale the outputs of a convolution is to
scale its kernel, so that only the shift is left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import tensorflow as tf

from darts_tf.layers.normalization import BatchNormalization
from darts_tf.layers.primitives import Conv7x1And1x7, FactorizedReduce, ReLUConvBN, SeparableConv
from darts_tf.layers.stems import Stem
from darts_tf.models.network import Network

KERNELS = {
    Stem: ("kernels",),
    ReLUConvBN: ("kernel",),
    FactorizedReduce: ("kernel_even", "kernel_odd"),
    SeparableConv: ("pointwise",),
    Conv7x1And1x7: ("kernel_column",),
}
"""The kernels right before each layer's normalisation; several stand side by side before one.

A layer with `norms` in the plural has a list of kernels. One that is not here keeps its
normalisation, which is as right, but slower.
"""


@dataclasses.dataclass(frozen=True)
class Shift:
    """What is left of a normalisation: adds `values`, `(channels,)`."""

    values: tf.Tensor

    def __call__(self, x, scale=None, training=False):
        """Shifted `x`, `(batch, height, width, channels)`."""
        return tf.nn.bias_add(x, self.values)


def fold_normalizations(network: Network) -> None:
    """Changes the network in place to one of the same results at inference, unfit for training."""
    for layer in _layers(network):
        fold(layer)


def fold(layer: keras.layers.Layer) -> None:
    """The same for one layer; what has no normalisation stays as it is."""
    names = KERNELS.get(type(layer), ())
    if names and hasattr(layer, "norms"):
        kernels = getattr(layer, *names)
        pairs = zip(kernels, layer.norms, strict=True)
        layer.norms = [_fold([kernel], norm) for kernel, norm in pairs]
    elif names:
        layer.norm = _fold([getattr(layer, name) for name in names], layer.norm)


def _layers(network: Network) -> list[keras.layers.Layer]:
    cells = ((cell.preprocess0, cell.preprocess1, *cell.ops) for cell in network.cells)
    return [network.stem, *(layer for cell in cells for layer in cell)]


def _fold(kernels: Sequence[keras.Variable], norm: BatchNormalization) -> Shift:
    """Scales the kernels' output channels, their last axis, and returns the shift."""
    scale, shift = norm.inference_scale_and_shift()
    scales = tf.split(scale, [kernel.shape[-1] for kernel in kernels])
    for kernel, part in zip(kernels, scales, strict=True):
        kernel.assign(kernel * part)
    return Shift(tf.convert_to_tensor(shift))
