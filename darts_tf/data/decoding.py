"""Parallel decoding of all images of a dataset into memory, and detection of damaged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.data.damage import Damage, refuse
from darts_tf.data.header import MAX_PIXELS
from darts_tf.data.preprocessing import decode_rgb, fit
from darts_tf.data.quality import suspicions
from darts_tf.data.sizes import Size
from darts_tf.data.splits import Split
from darts_tf.errors import InputError, first_line, gigabytes
from darts_tf.runtime.memory import available_bytes

CHUNK = 64
"""Images passed to a thread at a time: passing single images would cost more than decoding them."""


OnDamage = Callable[[int, str], None]
"""Function called for a damaged image with its index in the split and its name."""


class Encoded(NamedTuple):
    """Encoded image files of one split.

    Attributes:
        batches: string vectors of `CHUNK` files each, the last one shorter.
        labels: labels of all files, int32, `(n,)`.
        items: `items(first, count)` yields name and bytes of these files, one by one. For a file
            that cannot be read the bytes are empty and the name contains the reason.
    """

    batches: tf.data.Dataset
    labels: np.ndarray
    items: Callable[[int, int], Iterable[tuple[str, tf.Tensor]]]


def needed_bytes(count: int, size: Size) -> int:
    """Returns the memory of this many decoded images."""
    return count * size.height * size.width * 3


def decode_splits(
    train: Encoded,
    test: Encoded,
    classes: Sequence[str],
    *,
    size: Size,
    max_bad_images: int,
) -> tuple[Split, Split, list[str]]:
    """Decodes two splits to one size and one number of channels.

    Args:
        train: training files, at least one.
        test: test files, at least one.
        classes: names of the labels.
        size: size of all images.
        max_bad_images: maximum number of damaged training images, which are left out with their
            labels. An image is damaged if it cannot be read or decoded, e.g. if it is truncated.

    Returns:
        The training split, the test split, and a line for each suspicious property of the images
        (`quality.suspicions`). Images have 1 channel if all are grayscale, otherwise 3.

    Raises:
        InputError: more than `max_bad_images` damaged training images, or all of a class; any
            damaged test image; or more images than fit in memory. The message names the file.
    """
    damage = Damage(train.labels, classes, max_bad_images)
    _check_memory(len(train.labels) + len(test.labels), size)
    arrays = _decode(train, size, damage.leave_out), _decode(test, size, refuse)
    if all(_is_gray(images) for images in arrays):
        # a copy, so that the array of three channels can be freed
        arrays = [images[..., :1].copy() for images in arrays]
    positions = np.flatnonzero(damage.kept)

    def train_file(index: int) -> tuple[str, bytes]:
        return _file(train, int(positions[index]))

    notes = suspicions(*arrays, train_file, lambda index: _file(test, index))
    return Split(arrays[0], train.labels[damage.kept]), Split(arrays[1], test.labels), notes


def _file(encoded: Encoded, index: int) -> tuple[str, bytes]:
    name, contents = next(iter(encoded.items(index, 1)))
    return name, contents.numpy()


def _check_memory(count: int, size: Size) -> None:
    needed, available = needed_bytes(count, size), available_bytes()
    if needed > available:
        raise InputError(
            f"Expected images that fit in the {gigabytes(available)} of memory that are free: set "
            "`limit` (--limit) or a smaller `image_size` (--image-size). Received: "
            f"{count:,} images of {size.height}x{size.width}, {gigabytes(needed)}"
        )


def _decode(encoded: Encoded, size: Size, on_damage: OnDamage) -> np.ndarray:
    """Decodes all readable images, in order: uint8, `(n, height, width, 3)`."""
    images = np.empty((len(encoded.labels), size.height, size.width, 3), np.uint8)
    end = 0
    for chunk in _chunks(encoded, size, on_damage):
        images[end : end + len(chunk)] = chunk
        end += len(chunk)
    return images[:end]


def _chunks(encoded: Encoded, size: Size, on_damage: OnDamage) -> Iterator[np.ndarray]:
    """Yields the readable images of every chunk; a failed chunk is decoded image by image."""
    decoded = iter(_decoded(encoded.batches, size))
    total = len(encoded.labels)
    for first in range(0, total, CHUNK):
        count = min(CHUNK, total - first)
        try:
            # after an error the iterator continues with the next chunk
            chunk = next(decoded, np.empty(0))
        except tf.errors.OpError as error:
            yield _one_by_one(encoded, first, count, size, on_damage, error)
            continue
        if len(chunk) != count:
            # from here on labels would belong to the wrong images
            received = f"{len(chunk)} from image {first} on"
            raise InputError(f"Expected {count} images in a chunk. Received: {received}")
        yield chunk


def _decoded(batches: tf.data.Dataset, size: Size) -> tf.data.Dataset:
    """Decodes chunks; one with a damaged image raises an error."""
    spec = tf.TensorSpec((size.height, size.width, 3), tf.uint8)

    def decode(contents: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(fit(decode_rgb(contents), *size), spec.shape)

    def decode_chunk(contents: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(decode, contents, fn_output_signature=spec)

    return batches.map(decode_chunk, tf.data.AUTOTUNE, deterministic=True)


def _one_by_one(
    encoded: Encoded, first: int, count: int, size: Size, on_damage: OnDamage, error: Exception
) -> np.ndarray:
    """Returns the readable images, possibly none, of the chunk in which `error` was raised."""
    images = []
    for _, image in _readable(encoded, first, count, on_damage):
        images.append(fit(image, *size).numpy())
    if len(images) == count:
        raise InputError(f"Expected readable images. Received: {first_line(error)}") from error
    return np.reshape(images, (len(images), size.height, size.width, 3))


def _readable(
    encoded: Encoded, first: int, count: int, on_damage: OnDamage
) -> Iterator[tuple[str, tf.Tensor]]:
    """Yields name and pixels, uint8 `(height, width, 3)`, of every undamaged image."""
    for position, (name, contents) in enumerate(encoded.items(first, count), first):
        try:
            image = decode_rgb(contents)
        except tf.errors.InvalidArgumentError as error:
            too_large = f"at most {MAX_PIXELS:,} pixels" in str(error)
            on_damage(position, f"{name} (more than {MAX_PIXELS:,} pixels)" if too_large else name)
        else:
            yield name, image


def _is_gray(images: np.ndarray) -> bool:
    return all(
        np.array_equal(i[..., 0], i[..., 1]) and np.array_equal(i[..., 0], i[..., 2])
        for i in images
    )
