"""Folding of batch normalizations into the convolutions before them.

At inference a normalization is `x * scale + shift`. Scaling the outputs of a convolution is the
same as scaling its kernel, so that only the shift remains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import tensorflow as tf

from darts_tf.layers.normalization import BatchNormalization
from darts_tf.layers.primitives import (
    Conv7x1And1x7,
    FactorizedReduce,
    NormalizedConv,
    ReLUConvBN,
    SeparableConv,
)
from darts_tf.layers.stems import Stem
from darts_tf.models.network import GenotypeNetwork

KERNELS = {
    Stem: ("kernels",),
    ReLUConvBN: ("kernel",),
    FactorizedReduce: ("kernel_even", "kernel_odd"),
    SeparableConv: ("pointwise",),
    Conv7x1And1x7: ("kernel_column",),
    NormalizedConv: ("kernel",),
}
"""Attributes with the kernels directly before each layer's normalization.

If there are several, their outputs are concatenated before one normalization. A layer with several
`norms` has a list of kernels. A layer that is not listed keeps its normalization, which is as
correct but slower.
"""


@dataclasses.dataclass(frozen=True)
class Shift:
    """Remainder of a folded normalization: adds `values`, `(channels,)`."""

    values: tf.Tensor

    def __call__(self, x, scale=None, training=False):
        """Returns `x + values`, `(batch, height, width, channels)`."""
        return tf.nn.bias_add(x, self.values)


def fold_normalizations(network: GenotypeNetwork) -> None:
    """Folds all normalizations in place.

    Results at inference stay the same up to rounding; the network can no longer be trained.
    """
    for layer in network.parts:
        fold(layer)


def fold(layer: keras.layers.Layer) -> None:
    """Folds the normalizations of one layer in place; layers not in `KERNELS` stay unchanged."""
    for block in getattr(layer, "blocks", ()):
        fold(block)
    names = KERNELS.get(type(layer), ())
    if names and hasattr(layer, "norms"):
        kernels = getattr(layer, *names)
        pairs = zip(kernels, layer.norms, strict=True)
        layer.norms = [_fold([kernel], norm) for kernel, norm in pairs]
    elif names:
        layer.norm = _fold([getattr(layer, name) for name in names], layer.norm)


def _fold(kernels: Sequence[keras.Variable], norm: BatchNormalization) -> Shift:
    """Scales the kernels' output channels, their last axis, and returns the shift."""
    scale, shift = norm.inference_scale_and_shift()
    scales = tf.split(scale, [kernel.shape[-1] for kernel in kernels])
    for kernel, part in zip(kernels, scales, strict=True):
        kernel.assign(kernel * part)
    return Shift(tf.convert_to_tensor(shift))
