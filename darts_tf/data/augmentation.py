"""Random augmentation of training images, as pure functions of random numbers."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from darts_tf.data import cropping, jitter
from darts_tf.data.jitter import ColorJitter
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Settings of the augmentation of training images; the default changes nothing.

    Attributes:
        crop_padding: black pixels added on every side before a random crop of the original size.
        flip: mirror half of the images left to right.
        cutout: side in pixels of the square that is set to 0 (DeVries and Taylor 2017).
        random_resized_crop: resize a random window of the encoded image, as for ImageNet.
        color_jitter: ranges of the color changes; needs `random_resized_crop`. None for no change.

    Raises:
        InputError: a negative number of pixels, both kinds of crop, or `color_jitter` without
            `random_resized_crop`.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0
    random_resized_crop: bool = False
    color_jitter: ColorJitter | None = None

    def __post_init__(self):
        for name in ("crop_padding", "cutout"):
            value = getattr(self, name)
            if value < 0:
                raise InputError(f"`{name}` expected 0 or more pixels. Received: {name}={value}")
        if self.random_resized_crop and self.crop_padding:
            received = f"crop_padding={self.crop_padding} beside it"
            raise InputError(
                f"`random_resized_crop` expected as the only crop. Received: {received}"
            )
        if self.color_jitter and not self.random_resized_crop:
            raise InputError("`color_jitter` expected random_resized_crop. Received: none")


DRAWS = 5
"""Random numbers per image: row and column of the crop, flip, row and column of the cutout."""


def augment(
    images: tf.Tensor, draws: tf.Tensor, augmentation: Augmentation, preprocessing: Preprocessing
) -> tf.Tensor:
    """Crops, flips, normalises and cuts out, in the order of the authors' code.

    Args:
        images: uint8, `(batch, height, width, channels)`.
        draws: float32 in [0, 1), `(batch, DRAWS)`.
        augmentation: the settings; the default returns exactly the normalised images.
        preprocessing: normalises the images.

    Returns:
        float32, `(batch, height, width, channels)`.
    """
    padding = augmentation.crop_padding
    if padding or augmentation.flip:
        offsets = tf.cast(draws[:, :2] * (2 * padding + 1), tf.int32)
        flips = tf.logical_and(augmentation.flip, draws[:, 2] < 0.5)
        images = crop_and_flip(images, offsets, flips, padding)
    images = preprocessing.normalize(images)
    if augmentation.cutout:
        size = tf.constant([preprocessing.height, preprocessing.width], tf.float32)
        images = cut_out(images, tf.cast(draws[:, 3:] * size, tf.int32), augmentation.cutout)
    return images


ENCODED_DRAWS = 3 + cropping.DRAWS + jitter.DRAWS
"""Random numbers per encoded image: flip, row and column of the cutout, the crop's, the colors'."""


def augment_encoded(
    encoded: tf.Tensor, draws: tf.Tensor, augmentation: Augmentation, preprocessing: Preprocessing
) -> tf.Tensor:
    """Decodes a random window of one image, resizes, flips, jitters colors and normalises it.

    Args:
        encoded: bytes of a JPEG, PNG, GIF, BMP or WEBP file, a scalar string.
        draws: float32 in [0, 1), `(ENCODED_DRAWS,)`.
        augmentation: settings with `random_resized_crop`.
        preprocessing: normalises the image; must have three channels.

    Returns:
        float32, `(height, width, 3)`.
    """
    flip, hole, window, colors = tf.split(draws, (1, 2, cropping.DRAWS, jitter.DRAWS))
    height, width = preprocessing.height, preprocessing.width
    image = cropping.random_resized_crop(encoded, window, height, width)
    flipped = tf.logical_and(augmentation.flip, flip[0] < 0.5)
    image = tf.cond(flipped, lambda: tf.reverse(image, [1]), lambda: image)
    if augmentation.color_jitter:
        image = jitter.color_jitter(image, colors, augmentation.color_jitter)
    image = preprocessing.normalize(image)
    if augmentation.cutout:
        centre = tf.cast(hole * (height, width), tf.int32)
        image = cut_out(image[None], centre[None], augmentation.cutout)[0]
    return image


def crop_and_flip(
    images: tf.Tensor, offsets: tf.Tensor, flips: tf.Tensor, padding: int
) -> tf.Tensor:
    """Pads with zeros, crops to the original size at `offsets`, and mirrors if `flips`.

    Args:
        images: `(batch, height, width, channels)`.
        offsets: int32, `(batch, 2)`, row and column in the padded image, 0 to `2 * padding`.
        flips: bool, `(batch,)`, True to mirror an image left to right.
        padding: pixels on every side.
    """
    _, height, width, _ = images.shape
    columns = tf.range(width)
    columns = tf.where(flips[:, None], width - 1 - columns, columns) + offsets[:, 1:]
    rows = tf.range(height) + offsets[:, :1]
    images = tf.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    images = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(images, columns, axis=2, batch_dims=1)


def cut_out(images: tf.Tensor, centres: tf.Tensor, side: int) -> tf.Tensor:
    """Sets a square to 0, clipped at the image's borders. After normalisation 0 is the mean.

    Args:
        images: `(batch, height, width, channels)`.
        centres: int32, `(batch, 2)`, row and column; the square begins `side // 2` before it.
        side: side of the square in pixels.
    """
    _, height, width, _ = images.shape
    first = centres - side // 2
    rows = _within(tf.range(height), first[:, :1], side)
    columns = _within(tf.range(width), first[:, 1:], side)
    hidden = tf.logical_and(rows[:, :, None], columns[:, None, :])
    return tf.where(hidden[..., None], tf.zeros((), images.dtype), images)


def _within(positions: tf.Tensor, first: tf.Tensor, length: int) -> tf.Tensor:
    return tf.logical_and(positions >= first, positions < first + length)
