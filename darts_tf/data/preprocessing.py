"""From encoded bytes to a network's input: decoding, resizing, normalisation."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers

import numpy as np
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.names import shown
from darts_tf.parsing import parse_json


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the input of a network. Kept beside every trained network.

    Attributes:
        height: of the network's input, pixels.
        width: of the network's input, pixels.
        channels: 1 (gray) or 3 (RGB).
        mean: per channel, on the 0..1 scale.
        std: per channel, on the 0..1 scale.

    Raises:
        InputError: a size that is not positive, other channels, statistics that do not fit them.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

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

    def _checked(self, name: str, values) -> tuple[float, ...]:
        is_list = isinstance(values, list | tuple) and len(values) == self.channels
        if not is_list or not all(map(_is_finite, values)):
            expected = f"{self.channels} numbers, one a channel"
            raise InputError(f"`{name}` expected {expected}. Received: {name}={shown(values)}")
        return tuple(map(float, values))

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        """Scales images to zero mean and unit deviation of the training set.

        Args:
            images: uint8 or float, `(..., channels)`, values 0 to 255.

        Returns:
            float32, the same shape: `(images / 255 - mean) / std`.
        """
        mean = tf.constant(255.0 * np.array(self.mean), tf.float32)
        scale = tf.constant(1.0 / (255.0 * np.array(self.std)), tf.float32)
        return (tf.cast(images, tf.float32) - mean) * scale

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes one image to the network's size and channels; works inside a graph.

        Args:
            encoded: scalar string, a JPEG, PNG, GIF (its first frame) or BMP file's bytes.

        Returns:
            uint8, `(height, width, channels)`.

        Raises:
            tf.errors.InvalidArgumentError: the bytes are no such file, or a truncated one.
        """
        image = decode_rgb(encoded)
        if self.channels == 1:
            image = to_gray(image)
        image = resize(image, self.height, self.width)
        return tf.ensure_shape(image, (self.height, self.width, self.channels))

    def to_dict(self) -> dict:
        """The fields as plain JSON values; `from_dict` reads them."""
        return {**dataclasses.asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: dict) -> Preprocessing:
        """Builds what `to_dict` wrote. Raises InputError where a field is missing or unknown."""
        expected = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, dict) or set(values) != expected:
            received = shown(list(values)) if isinstance(values, dict) else type(values).__name__
            raise InputError(f"Expected the fields {sorted(expected)}. Received: {received}")
        return cls(**values)

    def to_json(self) -> str:
        """The fields as a JSON object."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes) -> Preprocessing:
        """Builds what `to_json` wrote. Raises InputError where the text is something else."""
        return cls.from_dict(parse_json(text))


def _is_integer(value) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_finite(value) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float is as large as
        return False


def decode_rgb(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, PNG, GIF or BMP file's bytes to uint8 `(height, width, 3)`.

    Gray is repeated, transparency is dropped, of an animation the first frame is taken.
    """
    return tf.cond(
        tf.io.is_jpeg(encoded),
        # The op's own default is a faster, less accurate inverse DCT than other decoders use.
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )


def to_gray(images: tf.Tensor) -> tf.Tensor:
    """Luma of uint8 RGB images (ITU-R 601-2): `(..., 3)` to `(..., 1)`, gray stays as it is."""
    # 16-bit fixed point; the weights add up to 1.
    weights = tf.constant([19595, 38470, 7471])
    luma = tf.reduce_sum(tf.cast(images, tf.int32) * weights, axis=-1, keepdims=True)
    return tf.cast((luma + 2**15) // 2**16, tf.uint8)


def resize(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes uint8 images (bilinear, antialiased) and rounds; the same size changes nothing."""
    resized = tf.image.resize(images, (height, width), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel over all images and pixels.

    Args:
        images: uint8, `(n, height, width, channels)`.

    Returns:
        `(mean, std)` on the 0..1 scale, one number a channel; a deviation below one gray level
        counts as one gray level, so that constant images can be normalised.
    """
    values = np.arange(256) / 255.0
    mean, std = [], []
    for channel in range(images.shape[-1]):
        # Exact, and no copy of the images in a wider type.
        counts = sum(np.bincount(i[..., channel].ravel(), minlength=256) for i in images)
        shares = counts / counts.sum()
        mean.append(float(shares @ values))
        std.append(float(max(np.sqrt(shares @ (values - mean[-1]) ** 2), 1 / 255)))
    return tuple(mean), tuple(std)
