"""Decodes all images of a dataset into memory, in parallel, and explains what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import decode_rgb, resize
from darts_tf.names import first_line

MIN_SIDE, MAX_SIDE = 8, 224
MAX_BYTES = 8 * 2**30
# Images handed to one thread at a time: one by one, the hand-over would cost more than the work.
CHUNK = 64


class Encoded(NamedTuple):
    """The files of one split, still encoded.

    Attributes:
        batches: string vectors of `CHUNK` files each, the last one shorter.
        count: files in all.
        items: `items(first, count)` yields the name and the bytes of these files, one by one.
    """

    batches: tf.data.Dataset
    count: int
    items: Callable[[int, int], Iterable[tuple[str, tf.Tensor]]]


def decode_splits(
    train: Encoded, test: Encoded, image_size: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes two splits to one size and one number of channels.

    Args:
        train: at least one file.
        test: at least one file.
        image_size: side in pixels that all images are resized to; None expects one common size.

    Returns:
        Two uint8 arrays `(n, height, width, channels)`: 1 channel if no image of either split
        has any colour, else 3.

    Raises:
        ValueError: an unreadable or truncated file, two sizes, a size out of range, or more
            images than fit in memory. The message names the file.
    """
    height, width = _size(train, image_size)
    _check_memory(train.count + test.count, height, width)
    arrays = [_decode(split, height, width, image_size is not None) for split in (train, test)]
    if all(_is_gray(images) for images in arrays):
        # A copy, so that the colour array can be freed.
        arrays = [images[..., :1].copy() for images in arrays]
    return arrays[0], arrays[1]


def check_size(height: int, width: int, where: str) -> None:
    """Raises ValueError unless both sides are within the sizes that networks are made for."""
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_SIDE:
        raise ValueError(
            f"Expected images of {MIN_SIDE} to {MAX_SIDE} pixels a side, or `image_size` "
            f"(--image-size) to resize them. Received: {where} is {height}x{width}"
        )


def _size(encoded: Encoded, image_size: int | None) -> tuple[int, int]:
    """The side asked for, or the first image's height and width."""
    if image_size is not None:
        return image_size, image_size
    for name, contents in encoded.items(0, 1):
        height, width, _ = _decode_one(name, contents).shape
        check_size(height, width, name)
    return height, width


def _check_memory(count: int, height: int, width: int) -> None:
    total = count * height * width * 3
    if total > MAX_BYTES:
        raise ValueError(
            f"Expected at most {MAX_BYTES / 2**30:.0f} GB of decoded images: set `limit` "
            f"(--limit) or a smaller `image_size` (--image-size). Received: {count} images of "
            f"{height}x{width}, {total / 2**30:.1f} GB"
        )


def _decode(encoded: Encoded, height: int, width: int, resizes: bool) -> np.ndarray:
    images = np.empty((encoded.count, height, width, 3), np.uint8)
    spec = tf.TensorSpec((height, width, 3), tf.uint8)

    def decode(contents: tf.Tensor) -> tf.Tensor:
        image = decode_rgb(contents)
        return tf.ensure_shape(resize(image, height, width) if resizes else image, spec.shape)

    def decode_chunk(contents: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(decode, contents, fn_output_signature=spec)

    start = 0
    try:
        for batch in encoded.batches.map(decode_chunk, tf.data.AUTOTUNE, deterministic=True):
            images[start : start + len(batch)] = batch
            start += len(batch)
    except tf.errors.OpError as error:
        _explain(encoded, start, None if resizes else (height, width))
        raise ValueError(f"Expected readable images. Received: {first_line(error)}") from error
    return images


def _explain(encoded: Encoded, start: int, size: tuple[int, int] | None) -> None:
    """Raises the error that names the file which stopped the chunk at `start`."""
    count = min(CHUNK, encoded.count - start)
    (first, _), *_ = encoded.items(0, 1)
    for name, contents in encoded.items(start, count):
        received = tuple(_decode_one(name, contents).shape[:2])
        if size is not None and received != size:
            raise ValueError(
                "Expected images of one size, or `image_size` (--image-size) to resize them. "
                f"Received: {name} is {received[0]}x{received[1]}, {first} is {size[0]}x{size[1]}"
            )


def _decode_one(name: str, contents: tf.Tensor) -> tf.Tensor:
    try:
        return decode_rgb(contents)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"Expected a readable image. Received: {name}") from error


def _is_gray(images: np.ndarray) -> bool:
    return all(
        np.array_equal(i[..., 0], i[..., 1]) and np.array_equal(i[..., 0], i[..., 2])
        for i in images
    )
