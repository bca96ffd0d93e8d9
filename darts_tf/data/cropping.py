"""Random resized crops (Szegedy et al. 2015), which decode only a window of an image."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from darts_tf.data import header
from darts_tf.data.preprocessing import crop, decode_jpeg_window, decode_rgb

AREA = (0.08, 1.0)
"""Minimum and maximum area of a crop, as a fraction of the image's area."""
RATIO = (3 / 4, 4 / 3)
"""Minimum and maximum ratio of a crop's width to its height."""
TRIES = 10
"""Number of random windows that are tried."""
DRAWS = 2 * TRIES + 2
"""Random numbers per crop: area and ratio of each try, row and column."""


def random_resized_crop(encoded: tf.Tensor, draws: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Decodes a random window of one image and resizes it.

    Args:
        encoded: bytes of a JPEG, PNG, GIF, BMP or WEBP file, a scalar string.
        draws: float32 in [0, 1), `(DRAWS,)`.
        height: height of the result in pixels.
        width: width of the result in pixels.

    Returns:
        float32, `(height, width, 3)`, values 0 to 255.
    """
    encoded = header.bounded(encoded)

    def jpeg_window():
        stored = tf.io.extract_jpeg_shape(encoded)[:2]
        turn = header.orientation(encoded)
        size = header.upright_size(stored, turn)
        window = header.stored_window(crop_window(size, draws), size, turn)
        return header.upright(decode_jpeg_window(encoded, window, stored), turn)

    def decoded_window():
        image = decode_rgb(encoded)
        return crop(image, crop_window(tf.shape(image)[:2], draws))

    image = tf.cond(tf.io.is_jpeg(encoded), jpeg_window, decoded_window)
    return interpolated(image, height, width)


def interpolated(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes an image (bilinear, antialiased) to float32 `(height, width, 3)`."""

    def resized(antialias: bool):
        return lambda: tf.image.resize(image, (height, width), antialias=antialias)

    # If the image is enlarged, both give the same result; without antialiasing is 3 times faster.
    enlarged = tf.reduce_all(tf.shape(image)[:2] <= (height, width))
    image_of_size = tf.cond(enlarged, resized(antialias=False), resized(antialias=True))
    return tf.ensure_shape(image_of_size, (height, width, 3))


def crop_window(size: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Draws a window of random area and aspect ratio, as torchvision does.

    Returns the first of ten tries that fits in the image. If none fits, returns the largest central
    window whose aspect ratio is allowed.

    Args:
        size: height and width of the image, int32, `(2,)`.
        draws: float32 in [0, 1), `(DRAWS,)`.

    Returns:
        int32, `(4,)`: first row and column, height and width.
    """
    tries = tf.reshape(draws[: 2 * TRIES], (TRIES, 2))
    area = tf.cast(tf.reduce_prod(size), tf.float32) * _between(tries[:, 0], *AREA)
    ratio = tf.exp(_between(tries[:, 1], *np.log(RATIO)))
    # Height and width of each try; both are rounded, halves to even.
    sizes = tf.cast(tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], 1))), tf.int32)
    fits = tf.reduce_all((sizes > 0) & (sizes <= size), 1)
    any_fits = tf.reduce_any(fits)
    chosen = tf.where(any_fits, sizes[tf.argmax(fits)], _largest(size))
    spare = size - chosen
    drawn = tf.cast(draws[2 * TRIES :] * tf.cast(spare + 1, tf.float32), tf.int32)
    # In float32 a product may be rounded up to its exclusive upper bound.
    return tf.concat([tf.where(any_fits, tf.minimum(drawn, spare), spare // 2), chosen], 0)


def _between(draws: tf.Tensor, least: float, largest: float) -> tf.Tensor:
    return least + draws * (largest - least)


def _largest(size: tf.Tensor) -> tf.Tensor:
    """Returns height and width of the largest window with an allowed aspect ratio."""
    height, width = tf.unstack(tf.cast(size, tf.float32))
    least, largest = RATIO
    limits = tf.stack([width / least, height * largest])
    return tf.minimum(size, tf.cast(tf.round(limits), tf.int32))
