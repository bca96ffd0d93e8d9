"""Decodes all images of a dataset into memory, in parallel, and finds those that cannot be."""

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
# Images handed to one thread at a time: one by one, the hand-over would cost more than the work.
CHUNK = 64


# What is done about a damaged image, given its position in the split and its name.
OnDamage = Callable[[int, str], None]


class Encoded(NamedTuple):
    """The files of one split, still encoded.

    Attributes:
        batches: string vectors of `CHUNK` files each, the last one shorter.
        labels: int32, `(n,)`, of all files.
        items: `items(first, count)` yields the name and the bytes of these files, one by one; of
            a file that cannot be read no bytes, which are no image either, and why in the name.
    """

    batches: tf.data.Dataset
    labels: np.ndarray
    items: Callable[[int, int], Iterable[tuple[str, tf.Tensor]]]


class Size(NamedTuple):
    """The size of all images in memory.

    Attributes:
        height: pixels.
        width: pixels.
        decided_by: name of the image that all others have to equal in size; None resizes them.
    """

    height: int
    width: int
    decided_by: str | None

    def fit(self, image: tf.Tensor) -> tf.Tensor:
        """The image, resized where resizing was asked for; works inside a graph."""
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

    Damaged are images that cannot be read or decoded, such as truncated ones. An image of
    another size than the others is not damaged.

    Args:
        train: at least one file.
        test: at least one file.
        classes: the labels' names.
        image_size: side in pixels that all images are resized to; None expects one common size,
            that of the first training image that is not damaged.
        max_bad_images: how many damaged images of train are left out, with their labels.

    Returns:
        Two splits, their images with 1 channel if no image of either has any colour, else with 3.

    Raises:
        InputError: more damaged images in train, or all of a class; any in test; two sizes, a
            size out of range, or more images than fit in memory. The message names the file.
    """
    damage = Damage(train.labels, classes, max_bad_images)
    size = _size(train, image_size, damage.leave_out)
    _check_memory(len(train.labels) + len(test.labels), size.height, size.width)
    arrays = _decode(train, size, damage.leave_out), _decode(test, size, refuse)
    if all(_is_gray(images) for images in arrays):
        # A copy, so that the colour array can be freed.
        arrays = [images[..., :1].copy() for images in arrays]
    return Split(arrays[0], train.labels[damage.kept]), Split(arrays[1], test.labels)


def check_size(height: int, width: int, where: str) -> None:
    """Raises InputError unless both sides are within the sizes that networks are made for."""
    if min(height, width) < MIN_SIDE or max(height, width) > MAX_SIDE:
        raise InputError(
            f"Expected images of {MIN_SIDE} to {MAX_SIDE} pixels a side, or `image_size` "
            f"(--image-size) to resize them. Received: {where} is {height}x{width}"
        )


def _size(encoded: Encoded, image_size: int | None, on_damage: OnDamage) -> Size:
    """The side asked for, or the height and width of the first readable image."""
    if image_size is not None:
        return Size(image_size, image_size, None)
    # There is one: `on_damage` raises before the last image goes.
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
    """All readable images, in order: uint8, `(n, height, width, 3)`."""
    images = np.empty((len(encoded.labels), size.height, size.width, 3), np.uint8)
    end = 0
    for chunk in _chunks(encoded, size, on_damage):
        images[end : end + len(chunk)] = chunk
        end += len(chunk)
    return images[:end]


def _chunks(encoded: Encoded, size: Size, on_damage: OnDamage) -> Iterator[np.ndarray]:
    """Yields the readable images of every chunk; only one that fails is taken image by image."""
    decoded = iter(_decoded(encoded.batches, size))
    total = len(encoded.labels)
    for first in range(0, total, CHUNK):
        count = min(CHUNK, total - first)
        try:
            # After an error the iterator goes on with the chunk that follows.
            chunk = next(decoded, np.empty(0))
        except tf.errors.OpError as error:
            yield _one_by_one(encoded, first, count, size, on_damage, error)
            continue
        if len(chunk) != count:
            # Every label would belong to another image from here on.
            received = f"{len(chunk)} from image {first} on"
            raise InputError(f"Expected {count} images in a chunk. Received: {received}")
        yield chunk


def _decoded(batches: tf.data.Dataset, size: Size) -> tf.data.Dataset:
    """Chunks of images; one with a damaged image, or one of another size, is an error."""
    spec = tf.TensorSpec((size.height, size.width, 3), tf.uint8)

    def decode(contents: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(size.fit(decode_rgb(contents)), spec.shape)

    def decode_chunk(contents: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(decode, contents, fn_output_signature=spec)

    return batches.map(decode_chunk, tf.data.AUTOTUNE, deterministic=True)


def _one_by_one(
    encoded: Encoded, first: int, count: int, size: Size, on_damage: OnDamage, error: Exception
) -> np.ndarray:
    """The readable images, which may be none, of the chunk that `error` stopped."""
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
    """Yields name and uint8 `(height, width, 3)` of the images that are not damaged."""
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
