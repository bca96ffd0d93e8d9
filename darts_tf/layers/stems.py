"""Stems: the first layers of a network, from an image to the inputs of the first cell."""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.layers.normalization import built_normalization
from darts_tf.ops.images import add_kernel, pad, strided

MINIMUM_SIZE = {"cifar": 8, "imagenet": 64}
"""Minimum height and width of images; 2x2 positions remain after all reductions."""


MINIMUM_CHANNELS = {"cifar": 1, "imagenet": 2}
"""Minimum channels of the first cell; the ImageNet stem's first convolution has half of them."""

USUAL_SIZE = {"cifar": 32, "imagenet": 224}
"""Height and width of the images for which a stem is designed."""

USUAL_CLASSES = {"cifar": 10, "imagenet": 1000}
"""Number of classes of the dataset for which a stem is designed."""


def check_image_size(height: int | None, width: int | None, stem: str) -> None:
    """Checks that images are large enough for all reductions; None is an unknown size.

    Raises:
        InputError: the images are too small.
    """
    minimum = MINIMUM_SIZE[stem]
    if any(size is not None and size < minimum for size in (height, width)):
        raise InputError(
            f"Expected images of at least {minimum}x{minimum} pixels for the {stem} stem. "
            f"Received: {height}x{width}"
        )


def check_images(images: tf.Tensor, stem: str, channels: int) -> None:
    """Checks that a tensor is a batch of images for a network.

    Raises:
        InputError: the shape is not `(batch, height, width, channels)`, or images are too small.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[-1] != channels:
        raise InputError(
            f"Expected images (batch, height, width, {channels}). Received: shape={shape}"
        )
    check_image_size(*shape[1:3], stem)


class Stem(keras.layers.Layer):
    """Stem of a network: a 3x3 convolution, or three of stride 2 for large images.

    Args:
        kind: `"cifar"` or `"imagenet"`.
        channels: channels of the output.
    """

    def __init__(self, kind: str, channels: int):
        super().__init__()
        self.kind = kind
        self.channels = channels
        self.strides = [1] if kind == "cifar" else [2, 2, 2]
        self.outputs = [channels] if kind == "cifar" else [channels // 2, channels, channels]

    def build(self, input_shape):
        """Creates kernels and normalisations; a second call only notes the shape."""
        if self.built:
            return
        self.kernels, self.norms = [], []
        inputs = input_shape[-1]
        for i, outputs in enumerate(self.outputs):
            self.kernels.append(add_kernel(self, 3, inputs, outputs, f"kernel_{i}"))
            self.norms.append(built_normalization(outputs, True, f"norm_{i}"))
            inputs = outputs

    def compute_output_shape(self, input_shape):
        """Returns the shape of the state, or of both states for ImageNet."""
        shapes = [input_shape]
        for stride, channels in zip(self.strides, self.outputs, strict=True):
            shapes.append(strided(shapes[-1], stride, channels))
        return shapes[1] if self.kind == "cifar" else tuple(shapes[2:])

    def call(self, images, training=False):
        """Returns one state, or `(s0, s1)` for ImageNet, where s1 is half the size of s0."""
        outputs, x = [], images
        for i, stride in enumerate(self.strides):
            x = pad(tf.nn.relu(x) if i else x, (3, 3))
            x = tf.nn.conv2d(x, self.kernels[i], stride, "VALID")
            x = self.norms[i](x, training=training)
            outputs.append(x)
        return outputs[0] if self.kind == "cifar" else (outputs[1], outputs[2])
