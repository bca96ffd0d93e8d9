"""Parallel decoding of all images of a dataset into memory, and detection of damaged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.data.damage import Damage, refuse
from darts_tf.data.preprocessing import decode_rgb, resize
from darts_tf.data.splits import Split
from darts_tf.errors import InputError, first_line

MIN_SIDE, MAX_SIDE = 8, 224
MAX_BYTES = 8 * 2**30
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


class Size(NamedTuple):
    """Common size of all images in memory.

    Attributes:
        height: height in pixels.
        width: width in pixels.
        decided_by: name of the image whose size all others must have; None resizes all images.
    """

    height: int
    width: int
    decided_by: str | None

    def fit(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the image, resized if `decided_by` is None; works inside a graph."""
        return image if self.decided_by else resize(image, self.height, self.width)


def decode_splits(
    train: Encoded,
    test: Encoded,
    classes: Sequence[str],
    *,
    image_size: int | None,
    max_bad_images: int,
) -> tuple[Split, Split]:
    """Decodes two splits to one size and one number of channels.

    An image is damaged if it cannot be read or decoded, e.g. if it is truncated. An image whose
    size differs from the others' is not damaged.

    Args:
        train: training files, at least one.
        test: test files, at least one.
        classes: names of the labels.
        image_size: side in pixels to which all images are resized; None expects a common size,
            that of the first undamaged training image.
        max_bad_images: maximum number of damaged training images, which are left out with their
            labels.

    Returns:
        The training and the test split. Images have 1 channel if all are grayscale, otherwise 3.

    Raises:
        InputError: more than `max_bad_images` damaged training images, or all of a class; any
            damaged test image; different sizes, a size out of range, or more images than fit in
            memory. The message names the file.
    """
    damage = Damage(train.labels, classes, max_bad_images)
    size = _size(train, image_size, damage.leave_out)
    _check_memory(len(train.labels) + len(test.labels), size.height, size.width)
    arrays = _decode(train, size, damage.leave_out), _decode(test, size, refuse)
    if all(_is_gray(images) for images in arrays):
        # a copy, so that the array of three channels can be freed
        arrays = [images[..., :1].copy() for images in arrays]
    return Split(arrays[0], train.labels[damage.kept]), Split(arrays[1], test.labels)


def check_size(height: int, width: int, where: str) -> None:
    """Raises InputError unless both sides are from `MIN_SIDE` to `MAX_SIDE` pixels."""
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_SIDE:
        raise InputError(
            f"Expected images of {MIN_SIDE} to {MAX_SIDE} pixels a side, or `image_size` "
            f"(--image-size) to resize them. Received: {where} is {height}x{width}"
        )


def _size(encoded: Encoded, image_size: int | None, on_damage: OnDamage) -> Size:
    """Returns the requested side, or the height and width of the first readable image."""
    if image_size is not None:
        return Size(image_size, image_size, None)
    # never exhausted: `on_damage` raises before the last image is left out
    name, image = next(_readable(encoded, 0, len(encoded.labels), on_damage))
    height, width, _ = image.shape
    check_size(height, width, name)
    return Size(height, width, name)


def _check_memory(count: int, height: int, width: int) -> None:
    total = count * height * width * 3
    if total > MAX_BYTES:
        raise InputError(
            f"Expected at most {MAX_BYTES / 2**30:.0f} GB of decoded images: set `limit` "
            f"(--limit) or a smaller `image_size` (--image-size). Received: {count} images of "
            f"{height}x{width}, {total / 2**30:.1f} GB"
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
    """Decodes chunks; one with a damaged image or an image of another size raises an error."""
    spec = tf.TensorSpec((size.height, size.width, 3), tf.uint8)

    def decode(contents: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(size.fit(decode_rgb(contents)), spec.shape)

    def decode_chunk(contents: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(decode, contents, fn_output_signature=spec)

    return batches.map(decode_chunk, tf.data.AUTOTUNE, deterministic=True)


def _one_by_one(
    encoded: Encoded, first: int, count: int, size: Size, on_damage: OnDamage, error: Exception
) -> np.ndarray:
    """Returns the readable images, possibly none, of the chunk in which `error` was raised."""
    images = []
    for name, image in _readable(encoded, first, count, on_damage):
        _check_common_size(name, image, size)
        images.append(size.fit(image).numpy())
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
        except tf.errors.InvalidArgumentError:
            on_damage(position, name)
        else:
            yield name, image


def _check_common_size(name: str, image: tf.Tensor, size: Size) -> None:
    height, width, _ = image.shape
    if size.decided_by and (height, width) != (size.height, size.width):
        raise InputError(
            "Expected images of one size, or `image_size` (--image-size) to resize them. Received: "
            f"{name} is {height}x{width}, {size.decided_by} is {size.height}x{size.width}"
        )


def _is_gray(images: np.ndarray) -> bool:
    return all(
        np.array_equal(i[..., 0], i[..., 1]) and np.array_equal(i[..., 0], i[..., 2])
        for i in images
    )
