"""What all candidate operations share, and what they are shown of a state."""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.normalization import built_normalization
from darts_tf.ops.images import fan_in_uniform, halved, relu, spread


def views(state: tf.Tensor, groups: int = 1) -> dict[str, tf.Tensor]:
    """What primitives read of a state `(batch, height, width, channels)`.

    `state` itself; `rectified`, what is left above zero; and `spread`, a rectified copy for every
    group, side by side in the channels.
    """
    rectified = relu(state)
    return {"state": state, "rectified": rectified, "spread": spread(rectified, groups)}


class Primitive(keras.layers.Layer):
    """What all primitives share: same channels in and out, and the stride's output size.

    One with weights is called with `scale`, a factor of each channel of the output, or None: the
    softmaxed alphas, which a normalisation at the end multiplies for nothing. It is float32 under
    mixed precision, as the weights are, which the operations cast.

    Args:
        channels: of one group.
        stride: 1 or 2.
        affine: whether the normalisations have scale and shift.
        groups: independent copies, side by side in the channels: the edges of a search that leave
            one state. A discrete network has one.

    Attributes:
        weightless: whether it gives the same on every edge, having no weights of its own.
        reads: which of `views` it is called on.
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
        """`(batch, height / stride, width / stride, groups * channels)`, rounded up."""
        batch, height, width, _ = input_shape
        sizes = (None if s is None else halved(s, self.stride) for s in (height, width))
        return (batch, *sizes, self.groups * self.channels)

    def macs(self, height: int, width: int) -> int:
        """Multiply-accumulates for one image of this size at the input."""
        return 0

    def elementwise(self, height: int, width: int) -> int:
        """Two for every normalised value and one for every rectified one, for one image."""
        return 0

    def _add_pointwise(self, inputs, outputs, name):
        shape = (self.groups, inputs, outputs)
        return self.add_weight(shape=shape, initializer=fan_in_uniform(inputs), name=name)

    def _add_norm(self, name):
        return built_normalization(self.groups * self.channels, self.affine, name)
