"""Decoding by chunks: failed chunks are read again by image, and wrong numbers are detected."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from darts_tf.data.decoding import CHUNK, Encoded, Size, decode_splits
from darts_tf.errors import InputError


def files(count: int) -> list[bytes]:
    """Writes different PNG images of 8x8 pixels, none of a single color."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return [tf.io.encode_png(image).numpy() for image in pixels]


def spied(contents: list[bytes], batches: tf.data.Dataset) -> tuple[Encoded, list]:
    """Makes a split of one class, and a list of the files that are read one by one."""
    asked = []

    def items(first, count):
        for i, file in enumerate(contents[first : first + count], first):
            asked.append(i)
            yield f"file {i}", tf.constant(file)

    return Encoded(batches, np.zeros(len(contents), np.int32), items), asked


def batched(contents: list[bytes]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(contents).batch(CHUNK)


def decoded_train(train: Encoded) -> np.ndarray:
    test, _ = spied(files(1), batched(files(1)))
    splits = decode_splits(train, test, ["a"], size=Size(8, 8), max_bad_images=9)
    return splits[0].images


def test_only_a_chunk_that_failed_is_read_image_by_image():
    contents = files(2 * CHUNK + 5)
    train, asked = spied(contents, batched(contents))
    assert len(decoded_train(train)) == len(contents)
    assert not asked
    contents[CHUNK + 3] = b""
    train, asked = spied(contents, batched(contents))
    assert len(decoded_train(train)) == len(contents) - 1
    assert asked == [*range(CHUNK, 2 * CHUNK)]


def test_chunk_that_fails_without_a_damaged_image_is_an_error():
    train, _ = spied(files(3), batched([b"", b"", b""]))
    with pytest.raises(InputError, match="^Expected readable images. Received: .*empty") as error:
        decoded_train(train)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("missing", [1, CHUNK, CHUNK + 1])
def test_data_that_have_become_fewer_are_an_error(missing):
    contents = files(2 * CHUNK)
    train, _ = spied(contents, batched(contents[missing:]))
    with pytest.raises(InputError, match=f"Expected {CHUNK} images in a chunk. Received: "):
        decoded_train(train)
