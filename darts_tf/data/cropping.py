"""Random resized crops (Szegedy et al. 2015), of which alone an image is decoded."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import crop, decode_jpeg_window, decode_rgb

AREA = (0.08, 1.0)
"""Least and largest share of an image's area that a crop has."""
RATIO = (3 / 4, 4 / 3)
"""Least and largest width of a crop, in heights."""
TRIES = 10
DRAWS = 2 * TRIES + 2
"""Random numbers that a crop needs: area and ratio of each try, row and column."""


def random_resized_crop(encoded: tf.Tensor, draws: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Decodes a random window of one image, and resizes it.

    Args:
        encoded: scalar string, a JPEG, PNG, GIF or BMP file's bytes.
        draws: float32 in [0, 1), `(DRAWS,)`.
        height: of the result.
        width: of the result.

    Returns:
        float32, `(height, width, 3)`, values 0 to 255.
    """

    def of_jpeg():
        size = tf.io.extract_jpeg_shape(encoded)[:2]
        return decode_jpeg_window(encoded, crop_window(size, draws), size)

    def of_another():
        image = decode_rgb(encoded)
        return crop(image, crop_window(tf.shape(image)[:2], draws))

    return interpolated(tf.cond(tf.io.is_jpeg(encoded), of_jpeg, of_another), height, width)


def interpolated(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes an image (bilinear, antialiased) to float32 `(height, width, 3)`."""

    def resized(antialias: bool):
        return lambda: tf.image.resize(image, (height, width), antialias=antialias)

    # Of an image that is enlarged both give the same; the simple one in a third of the time.
    enlarged = tf.reduce_all(tf.shape(image)[:2] <= (height, width))
    image_of_size = tf.cond(enlarged, resized(antialias=False), resized(antialias=True))
    return tf.ensure_shape(image_of_size, (height, width, 3))


def crop_window(size: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """A window of random area and shape, by torchvision's rule.

    The first of ten tries that fits in the image; else the largest of a permitted shape in the
    middle of it.

    Args:
        size: int32, `(2,)`, the image's height and width.
        draws: float32 in [0, 1), `(DRAWS,)`.

    Returns:
        int32, `(4,)`: first row and column, height and width.
    """
    tries = tf.reshape(draws[: 2 * TRIES], (TRIES, 2))
    area = tf.cast(tf.reduce_prod(size), tf.float32) * _between(tries[:, 0], *AREA)
    ratio = tf.exp(_between(tries[:, 1], *np.log(RATIO)))
    # Squares of height and width; both are rounded, halves to even.
    sizes = tf.cast(tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], 1))), tf.int32)
    fits = tf.reduce_all((sizes > 0) & (sizes <= size), 1)
    found = tf.reduce_any(fits)
    chosen = tf.where(found, sizes[tf.argmax(fits)], _largest(size))
    spare = size - chosen
    drawn = tf.cast(draws[2 * TRIES :] * tf.cast(spare + 1, tf.float32), tf.int32)
    # In float32 a product may be rounded up to the number that it has to stay below.
    return tf.concat([tf.where(found, tf.minimum(drawn, spare), spare // 2), chosen], 0)


def _between(draws: tf.Tensor, least: float, largest: float) -> tf.Tensor:
    return least + draws * (largest - least)


def _largest(size: tf.Tensor) -> tf.Tensor:
    """Height and width of the largest part of an image whose shape is permitted."""
    height, width = tf.unstack(tf.cast(size, tf.float32))
    least, largest = RATIO
    limits = tf.stack([width / least, height * largest])
    return tf.minimum(size, tf.cast(tf.round(limits), tf.int32))
