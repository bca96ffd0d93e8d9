"""Random changes of an image's colours, by the formulas of torchvision's ColorJitter."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from darts_tf.errors import InputError

DRAWS = 8
"""Random numbers that an image needs: a factor of each change, and a key that puts it in order."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in gray (ITU-R 601-2)."""


@dataclasses.dataclass(frozen=True)
class ColorJitter:
    """How much colours are changed; the defaults are those of DARTS' ImageNet training.

    Attributes:
        brightness: x, for factors between 1 - x and 1 + x of all values.
        contrast: the same, of the distance from the image's mean gray.
        saturation: the same, of the distance from each pixel's gray.
        hue: x, for rotations between -x and x of a full turn.

    Raises:
        InputError: a number outside 0 to 1, or a hue outside 0 to 0.5.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.2

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            largest = 0.5 if name == "hue" else 1.0
            if not 0 <= value <= largest:
                raise InputError(f"`{name}` expected 0 to {largest}. Received: {name}={value}")


def color_jitter(image: tf.Tensor, draws: tf.Tensor, jitter: ColorJitter) -> tf.Tensor:
    """Changes brightness, contrast, saturation and hue of one image, in random order.

    Args:
        image: float32, `(height, width, 3)`, values 0 to 255.
        draws: float32 in [0, 1), `(DRAWS,)`.
        jitter: how much.

    Returns:
        float32, the same shape and range.
    """
    limits = np.array(dataclasses.astuple(jitter), np.float32)
    amounts = UNCHANGED + (2 * draws[:4] - 1) * limits
    for kind in tf.unstack(tf.argsort(draws[4:])):
        changed = [functools.partial(change, image, amounts[i]) for i, change in enumerate(CHANGES)]
        image = tf.switch_case(kind, changed)
    return image


def brighten(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies all values."""
    return _in_range(image * factor)


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance of all values from the mean of the image in gray."""
    mean = tf.tensordot(tf.reduce_mean(image, (0, 1)), LUMA, 1)
    return _in_range(image * factor + (1 - factor) * mean)


def saturate(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance of all values from their pixel in gray."""
    # A matrix for every pixel's three values: several times as fast as operations on one at a time.
    mixed = factor * np.eye(3, dtype=np.float32) + (1 - factor) * LUMA[:, None]
    pixels = tf.matmul(tf.reshape(image, (-1, 3)), mixed)
    return _in_range(tf.reshape(pixels, image.shape))


def turn_hue(image: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Adds to the hue of hue, saturation and value, in full turns."""
    return tf.raw_ops.AdjustHue(images=image, delta=turn)


CHANGES = (brighten, contrast, saturate, turn_hue)
"""In the order of `ColorJitter`'s fields."""
UNCHANGED = np.array([1, 1, 1, 0], np.float32)
"""What each of them is given to change nothing."""


def _in_range(image: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(image, 0.0, 255.0)
