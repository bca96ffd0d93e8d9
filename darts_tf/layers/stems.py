"""First layers, from an image to the first states of a stack of cells."""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.layers.normalization import built_normalization
from darts_tf.ops.images import add_kernel, pad

MINIMUM_SIZE = {"cifar": 8, "imagenet": 64}
"""Rows and columns an image needs so that 2x2 places are left after all reductions."""


MINIMUM_CHANNELS = {"cifar": 1, "imagenet": 2}
"""Channels of the first cell; the ImageNet stem's first convolution has half of them."""

USUAL_SIZE = {"cifar": 32, "imagenet": 224}
"""Rows and columns of the images that a stem is made for."""

USUAL_CLASSES = {"cifar": 10, "imagenet": 1000}
"""Classes of those images."""


def check_image_size(height: int | None, width: int | None, stem: str) -> None:
    """Refuses images that the network can't reduce; None stands for a size not known yet.

    Raises:
        InputError: too small.
    """
    minimum = MINIMUM_SIZE[stem]
    if any(size is not None and size < minimum for size in (height, width)):
        raise InputError(
            f"Expected images of at least {minimum}x{minimum} pixels for the {stem} stem. "
            f"Received: {height}x{width}"
        )


def check_images(images: tf.Tensor, stem: str, channels: int) -> None:
    """Refuses what is not a batch of images for a network.

    Raises:
        InputError: not `(batch, height, width, channels)`, or too small.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[-1] != channels:
        raise InputError(
            f"Expected images (batch, height, width, {channels}). Received: shape={shape}"
        )
    check_image_size(*shape[1:3], stem)


class Stem(keras.layers.Layer):
    """Image to first states: a 3x3 convolution, or three of stride 2 for large images.

    Args:
        kind: `"cifar"` or `"imagenet"`.
        channels: of the output.
    """

    def __init__(self, kind: str, channels: int):
        super().__init__()
        self.kind = kind
        self.channels = channels
        self.strides = [1] if kind == "cifar" else [2, 2, 2]
        self.outputs = [channels] if kind == "cifar" else [channels // 2, channels, channels]

    def build(self, input_shape):
        """Creates kernels and normalisations."""
        self.kernels, self.norms = [], []
        inputs = input_shape[-1]
        for i, outputs in enumerate(self.outputs):
            self.kernels.append(add_kernel(self, 3, inputs, outputs, f"kernel_{i}"))
            self.norms.append(built_normalization(outputs, True, f"norm_{i}"))
            inputs = outputs

    def call(self, images, training=False):
        """One state, or `(s0, s1)` for ImageNet: the second is half the size of the first."""
        outputs, x = [], images
        for i, stride in enumerate(self.strides):
            x = pad(tf.nn.relu(x) if i else x, (3, 3))
            x = tf.nn.conv2d(x, self.kernels[i], stride, "VALID")
            x = self.norms[i](x, training=training)
            outputs.append(x)
        return outputs[0] if self.kind == "cifar" else (outputs[1], outputs[2])
