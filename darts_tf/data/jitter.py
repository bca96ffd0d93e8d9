"""Random color changes of an image, by the formulas of torchvision's ColorJitter."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from darts_tf.errors import InputError

DRAWS = 8
"""Random numbers per image: the amount of each change, and a sort key of each for their order."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in a pixel's gray value (ITU-R 601-2)."""


@dataclasses.dataclass(frozen=True)
class ColorJitter:
    """Ranges of the color changes; the defaults are those of DARTS' ImageNet training.

    Attributes:
        brightness: x; all values are multiplied by a factor between 1 - x and 1 + x.
        contrast: x; the distance of all values from the image's mean gray is multiplied by a
            factor between 1 - x and 1 + x.
        saturation: x; the distance of all values from their pixel's gray is multiplied by a factor
            between 1 - x and 1 + x.
        hue: x; hues are rotated by between -x and x full turns.

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
        jitter: ranges of the changes.

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
    """Multiplies all values by `factor`."""
    return _in_range(image * factor)


def contrast(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance of all values from the image's mean gray by `factor`."""
    mean = tf.tensordot(tf.reduce_mean(image, (0, 1)), LUMA, 1)
    return _in_range(image * factor + (1 - factor) * mean)


def saturate(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance of all values from their pixel's gray by `factor`."""
    # a product with a 3x3 matrix: several times as fast as operations per channel
    mixed = factor * np.eye(3, dtype=np.float32) + (1 - factor) * LUMA[:, None]
    pixels = tf.matmul(tf.reshape(image, (-1, 3)), mixed)
    return _in_range(tf.reshape(pixels, image.shape))


def turn_hue(image: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Adds `turn`, in full turns, to the hue of every pixel (HSV)."""
    return tf.raw_ops.AdjustHue(images=image, delta=turn)


CHANGES = (brighten, contrast, saturate, turn_hue)
"""Functions `(image, amount)`, in the order of `ColorJitter`'s fields."""
UNCHANGED = np.array([1, 1, 1, 0], np.float32)
"""Amounts with which the functions of `CHANGES` change nothing."""


def _in_range(image: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(image, 0.0, 255.0)
