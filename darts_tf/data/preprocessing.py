"""Decoding, resizing and normalisation: from encoded bytes to a network's input."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import numbers

import numpy as np
import tensorflow as tf

from darts_tf.data.header import bounded, is_transparent_webp, orientation, upright
from darts_tf.errors import InputError, shown
from darts_tf.runtime.strict_json import parse_json


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Conversion of an image to the input of a network; saved with every trained network.

    Attributes:
        height: height of the network's input in pixels.
        width: width of the network's input in pixels.
        channels: 1 (grayscale) or 3 (RGB).
        mean: mean per channel, on the 0..1 scale.
        std: standard deviation per channel, on the 0..1 scale.
        shorter_side: length in pixels to which an image's shorter side is resized before its
            centre is cropped, which keeps its aspect ratio; None resizes the whole image to
            height and width.

    Raises:
        InputError: a size that is not positive, another number of channels, statistics of another
            length, or a shorter side that is smaller than the input.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shorter_side: int | None = None

    def __post_init__(self):
        if not all(_is_integer(side) and side > 0 for side in (self.height, self.width)):
            size = f"height={shown(self.height)}, width={shown(self.width)}"
            raise InputError(f"Expected a positive height and width. Received: {size}")
        if not _is_integer(self.channels) or self.channels not in (1, 3):
            received = f"channels={shown(self.channels)}"
            raise InputError(f"`channels` expected 1 or 3. Received: {received}")
        for name in ("mean", "std"):
            object.__setattr__(self, name, self._checked(name, getattr(self, name)))
        if min(self.std) <= 0:
            raise InputError(f"`std` expected positive numbers. Received: std={self.std}")
        side, least = self.shorter_side, max(self.height, self.width)
        if side is not None and (not _is_integer(side) or side < least):
            expected = f"an integer, {least} (height and width) or more, or null"
            received = f"shorter_side={shown(side)}"
            raise InputError(f"`shorter_side` expected {expected}. Received: {received}")

    def _checked(self, name: str, values) -> tuple[float, ...]:
        is_list = isinstance(values, list | tuple) and len(values) == self.channels
        if not is_list or not all(map(_is_finite, values)):
            expected = f"{self.channels} numbers, one a channel"
            raise InputError(f"`{name}` expected {expected}. Received: {name}={shown(values)}")
        return tuple(map(float, values))

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        """Normalises images by the training set's mean and standard deviation.

        Args:
            images: uint8 or float, `(..., channels)`, values 0 to 255.

        Returns:
            float32, the same shape: `(images / 255 - mean) / std`.
        """
        # constants for a whole row if its length is known: TensorFlow broadcasts three slowly
        row = tf.TensorShape(images.shape)[-2:]
        shape = row.as_list() if row.is_fully_defined() else [self.channels]
        mean = np.broadcast_to(255.0 * np.array(self.mean), shape)
        scale = np.broadcast_to(1.0 / (255.0 * np.array(self.std)), shape)
        mean, scale = (tf.constant(values, tf.float32) for values in (mean, scale))
        return (tf.cast(images, tf.float32) - mean) * scale

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes one image to the network's size and channels; works inside a graph.

        Args:
            encoded: scalar string, bytes of a JPEG, PNG, GIF (its first frame), BMP or WEBP file.

        Returns:
            uint8, `(height, width, channels)`.

        Raises:
            tf.errors.InvalidArgumentError: as `decode_rgb`.
        """
        # resized first: a photo of 100 million pixels would take 2 GB in the integers of `to_gray`
        image = fit(decode_rgb(encoded), self.height, self.width, self.shorter_side)
        if self.channels == 1:
            image = to_gray(image)
        return tf.ensure_shape(image, (self.height, self.width, self.channels))

    def to_dict(self) -> dict:
        """Returns the fields as plain JSON values for `from_dict`."""
        values = {**dataclasses.asdict(self), "mean": list(self.mean), "std": list(self.std)}
        if self.shorter_side is None:  # the format from before this field existed
            del values["shorter_side"]
        return values

    @classmethod
    def from_dict(cls, values: dict) -> Preprocessing:
        """Makes an instance from `to_dict`'s result; InputError on missing or unknown fields."""
        expected = {field.name for field in dataclasses.fields(cls)}
        optional = {"shorter_side"}
        if not isinstance(values, dict) or set(values) | optional != expected:
            received = shown(list(values)) if isinstance(values, dict) else type(values).__name__
            raise InputError(f"Expected the fields {sorted(expected)}. Received: {received}")
        return cls(**values)

    def to_json(self) -> str:
        """Returns the fields as a JSON object."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes) -> Preprocessing:
        """Makes an instance from `to_json`'s result; InputError if the text is something else."""
        return cls.from_dict(parse_json(text))


def _is_integer(value) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_finite(value) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer larger than any float
        return False


# The decoder's default is a faster, less accurate inverse DCT than other decoders use.
_JPEG = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}


# a function of its own graph: traced once in a process, not for every dataset and export
@tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
def decode_rgb(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes the bytes of a JPEG, PNG, GIF, BMP or WEBP file to uint8 `(height, width, 3)`.

    Photos are rotated by their EXIF orientation. Gray values are repeated, transparency is dropped,
    only an animation's first frame is read.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are not such a file, are truncated, or declare
            more than `header.MAX_PIXELS` pixels, which are not decoded.
    """
    # TensorFlow's errors contain only the name of the operation that failed
    with tf.name_scope("expected_a_whole_JPEG_PNG_GIF_BMP_or_WEBP_file"):
        encoded = bounded(encoded)
        first_frame = functools.partial(tf.io.decode_image, encoded, expand_animations=False)
        image = tf.case(
            [
                (tf.io.is_jpeg(encoded), lambda: tf.io.decode_jpeg(encoded, **_JPEG)),
                (is_transparent_webp(encoded), lambda: first_frame(channels=4)[..., :3]),
            ],
            default=lambda: first_frame(channels=3),
        )
        return upright(image, orientation(encoded))


def decode_jpeg_window(encoded: tf.Tensor, window: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Decodes a window of a JPEG file as stored, faster than all of it and with equal results.

    Args:
        encoded: the file's bytes.
        window: first row and column, height and width, int32, `(4,)`.
        size: height and width of the stored image, int32, `(2,)`.
    """
    # The decoder interpolates colors between neighbours, which edge pixels lack. It does not
    # interpolate rows of only two color samples (four pixels). So a border is decoded as well.
    first, last = window[:2], window[:2] + window[2:]
    wider = tf.maximum(first - 4, 0)
    decoded = tf.concat([wider, tf.minimum(last + 4, size) - wider], 0)
    image = tf.image.decode_and_crop_jpeg(encoded, decoded, **_JPEG)
    return crop(image, tf.concat([first - wider, window[2:]], 0))


def crop(image: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """Returns the pixels inside a window of (first row, first column, height, width)."""
    top, left, height, width = tf.unstack(window)
    return image[top : top + height, left : left + width]


def to_gray(images: tf.Tensor) -> tf.Tensor:
    """Computes the luma (ITU-R 601-2) of uint8 RGB images: `(..., 3)` to `(..., 1)`.

    Gray pixels keep their value.
    """
    # 16-bit fixed point; the weights add up to 1.
    weights = tf.constant([19595, 38470, 7471])
    luma = tf.reduce_sum(tf.cast(images, tf.int32) * weights, axis=-1, keepdims=True)
    return tf.cast((luma + 2**15) // 2**16, tf.uint8)


def resize(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes uint8 images (bilinear, antialiased) and rounds; the same size changes nothing."""
    resized = tf.image.resize(images, (height, width), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def fit(image: tf.Tensor, height: int, width: int, shorter_side: int | None) -> tf.Tensor:
    """Brings a uint8 image to a size: `Preprocessing.shorter_side` decides how."""
    if shorter_side is None:
        return resize(image, height, width)
    return centre_crop(resize_shorter(image, shorter_side), height, width)


def resize_shorter(image: tf.Tensor, side: int) -> tf.Tensor:
    """Resizes a uint8 image `(height, width, channels)` to a shorter side of `side` pixels.

    The longer side is rounded down, as torchvision does.
    """
    size = tf.shape(image)[:2]
    height, width = tf.unstack(size * side // tf.reduce_min(size))
    return resize(image, height, width)


def centre_crop(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Crops the centre of an image of at least this size; half pixels are rounded to even."""
    spare = tf.cast(tf.shape(image)[:2] - [height, width], tf.float32)
    first = tf.cast(tf.round(spare / 2), tf.int32)
    return crop(image, tf.concat([first, [height, width]], 0))


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Computes mean and standard deviation of every channel over all images and pixels.

    Args:
        images: uint8, `(n, height, width, channels)`.

    Returns:
        `(mean, std)` on the 0..1 scale, one number per channel. A deviation of less than one gray
        level is set to one gray level, so that constant images can be normalised.
    """
    values = np.arange(256) / 255.0
    mean, std = [], []
    for channel in range(images.shape[-1]):
        # exact, and without a copy of the images in a wider dtype
        counts = sum(np.bincount(i[..., channel].ravel(), minlength=256) for i in images)
        shares = counts / counts.sum()
        mean.append(float(shares @ values))
        std.append(float(max(np.sqrt(shares @ (values - mean[-1]) ** 2), 1 / 255)))
    return tuple(mean), tuple(std)
