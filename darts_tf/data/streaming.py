"""Batches of images that are decoded while they are used, for datasets larger than memory.

Every image of a run has a position: the size of all earlier epochs plus its index in the order of
its epoch. Order and augmentation are functions of seed and position, so a run can be resumed at any
step. With files nothing before that step is read. Records can only be read in sequence: those of
the same epoch before that step are read again, but not decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.data.augmentation import (
    DRAWS,
    ENCODED_DRAWS,
    Augmentation,
    augment,
    augment_encoded,
)
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.data.random_streams import (
    ALPHAS_DRAWS,
    ALPHAS_ORDER,
    WEIGHTS_DRAWS,
    WEIGHTS_ORDER,
    permutation_key,
    shuffled_indices,
    stream_seed,
)
from darts_tf.data.splits import Files, Records
from darts_tf.data.steps import rows_of

# AutoGraph's conversion of functions takes longer than the first batch
do_not_convert = tf.autograph.experimental.do_not_convert


class _Stream(NamedTuple):
    """Encoded images from a position on.

    Attributes:
        elements: a dataset with an element per image: its position, alone or first in a tuple.
        example: maps an element to `(contents, label)`; runs in parallel.
        path: maps a position to the name of the file, for errors; None for records.
    """

    elements: tf.data.Dataset
    example: Callable
    path: Callable | None = None


def train_stream(
    split: Files | Records,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    batch_size: int,
    *,
    seed: int,
    epochs: int,
    start_step: int,
    part: tuple[int, int, int],
) -> tf.data.Dataset:
    """Makes the batches of `train_batches` from encoded images; same arguments."""
    steps = -(-split.size // batch_size)
    epoch, step = divmod(start_step, steps)
    positions = epoch * split.size + step * batch_size, epochs * split.size
    stream = _STREAMS[type(split)](split, seed, WEIGHTS_ORDER, *positions)
    image = _augmented(preprocessing, augmentation, seed, WEIGHTS_DRAWS)
    lengths = np.roll(_lengths(split.size, batch_size, part), -step * part[1])
    pieces = (steps * epochs - start_step) * part[1]
    return _batches(_of_part(stream, split.size, batch_size, part), image, lengths, pieces)


def search_stream(
    weights_half: Files,
    alphas_half: Files,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    batch_size: int,
    *,
    seed: int,
    epochs: int,
    start_step: int,
    part: tuple[int, int, int],
) -> tf.data.Dataset:
    """Makes the pairs of batches of `search_batches` from image files; same arguments."""
    size = weights_half.size
    steps = -(-size // batch_size)
    epoch, step = divmod(start_step, steps)
    # the alphas' half has the same positions in its own stream of epochs
    positions = epoch * size + step * batch_size, epochs * size
    lengths = np.roll(_lengths(size, batch_size, part), -step * part[1])
    pieces = (steps * epochs - start_step) * part[1]
    batches = []
    for half, order, draws in (
        (weights_half, WEIGHTS_ORDER, WEIGHTS_DRAWS),
        (alphas_half, ALPHAS_ORDER, ALPHAS_DRAWS),
    ):
        stream = _of_part(_files(half, seed, order, *positions), size, batch_size, part)
        image = _augmented(preprocessing, augmentation, seed, draws)
        batches.append(_batches(stream, image, lengths, pieces))
    return tf.data.Dataset.zip(tuple(batches))


def _augmented(
    preprocessing: Preprocessing, augmentation: Augmentation, seed: int, draws: int
) -> Callable:
    """Makes a function (position, contents) that decodes and augments one image."""
    count = ENCODED_DRAWS if augmentation.random_resized_crop else DRAWS

    def image(position: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
        key = stream_seed(seed, draws, position)
        uniform = tf.random.stateless_uniform([count], key, alg="philox")
        if augmentation.random_resized_crop:
            return augment_encoded(contents, uniform, augmentation, preprocessing)
        decoded = preprocessing.decode(contents)
        return augment(decoded[None], uniform[None], augmentation, preprocessing)[0]

    return image


def evaluation_stream(
    split: Files | Records,
    preprocessing: Preprocessing,
    batch_size: int,
    part: tuple[int, int, int],
) -> tf.data.Dataset:
    """Makes the batches of `evaluation_batches` from encoded images; same arguments."""

    def image(position: tf.Tensor, contents: tf.Tensor) -> tf.Tensor:
        return preprocessing.normalize(preprocessing.decode(contents))

    stream = _STREAMS[type(split)](split, None, WEIGHTS_ORDER, 0, split.size)
    lengths = _lengths(split.size, batch_size, part)
    stream = _of_part(stream, split.size, batch_size, part)
    return _batches(stream, image, lengths, len(lengths))


def decoded_stream(split: Files | Records, preprocessing: Preprocessing) -> tf.data.Dataset:
    """Makes a dataset of a split's images in order.

    Its elements are uint8 `(height, width, channels)` and an int32 label.
    """
    stream = _STREAMS[type(split)](split, None, WEIGHTS_ORDER, 0, split.size)

    @do_not_convert
    def decoded(*element):
        contents, label = stream.example(*element)
        return preprocessing.decode(contents), label

    return stream.elements.map(decoded, tf.data.AUTOTUNE, deterministic=True)


def _files(split: Files, seed: int | None, order: int, first: int, last: int) -> _Stream:
    """Makes a stream of the files at the positions from `first` to `last - 1`."""
    size = split.size
    names = [os.fsencode(path) for path in split.paths]  # not all are UTF-8
    with tf.device("CPU:0"):  # graphs capture them without a copy
        paths, labels = tf.constant(names), tf.constant(split.labels, tf.int32)

    def index(position: tf.Tensor) -> tf.Tensor:
        if seed is None:
            return position % size
        key = permutation_key(seed, order, position // size)
        return shuffled_indices(position[None] % size, size, key)[0]

    def example(position: tf.Tensor):
        chosen = index(position)
        return tf.io.read_file(paths[chosen]), labels[chosen]

    elements = tf.data.Dataset.range(first, last)
    return _Stream(elements, example, lambda position: paths[index(position)])


def _records(split: Records, seed: int | None, order: int, first: int, last: int) -> _Stream:
    """Makes a stream of the records at the positions from `first` to `last - 1`."""
    epoch, skipped = divmod(first, split.size)

    @do_not_convert
    def of_epoch(number: tf.Tensor) -> tf.data.Dataset:
        key = None if seed is None else permutation_key(seed, order, number)[0]
        read = split.read(key).enumerate(number * split.size)
        return read.skip(tf.where(number == epoch, tf.constant(skipped, tf.int64), 0))

    def example(position: tf.Tensor, record: tuple[tf.Tensor, tf.Tensor]):
        contents, label = record
        return contents, tf.cast(label, tf.int32)

    elements = tf.data.Dataset.range(epoch, -(-last // split.size)).flat_map(of_epoch)
    return _Stream(elements, example)


_STREAMS = {Files: _files, Records: _records}


def _lengths(size: int, batch_size: int, part: tuple[int, int, int]) -> np.ndarray:
    """Returns the number of images in each part of an epoch's batches: int64, `(steps * here,)`."""
    first, here, replicas = part
    lengths = np.minimum(size - np.arange(0, size, batch_size), batch_size)
    begin, end = rows_of(lengths[:, None], first + np.arange(here), replicas)
    return (end - begin).ravel()


def _of_part(stream: _Stream, size: int, batch_size: int, part: tuple[int, int, int]) -> _Stream:
    """Drops the images of other parts before they are decoded."""
    first, here, replicas = part
    if here == replicas:
        return stream

    @do_not_convert
    def belongs(position: tf.Tensor, *_) -> tf.Tensor:
        index = position % size
        row, length = (
            index % batch_size,
            tf.minimum(size - index // batch_size * batch_size, batch_size),
        )
        begin, _ = rows_of(length, first, replicas)
        _, end = rows_of(length, first + here - 1, replicas)
        return tf.logical_and(row >= begin, row < end)

    return stream._replace(elements=stream.elements.filter(belongs))


def _batches(stream: _Stream, image: Callable, lengths: Sequence[int], pieces: int):
    """Decodes images in parallel and groups them into pieces of these lengths, in cycles."""

    @do_not_convert
    def one(*element):
        position = element[0]
        contents, label = stream.example(*element)
        return position, (image(position, contents)[None], label[None])

    images = stream.elements.map(one, tf.data.AUTOTUNE, deterministic=True)
    images = _checked(images, stream) if stream.path else images.map(lambda _, example: example)
    batches = images.rebatch(lengths).apply(tf.data.experimental.assert_cardinality(pieces))
    return batches.prefetch(2)


def _checked(images: tf.data.Dataset, stream: _Stream) -> tf.data.Dataset:
    """Returns the images; one that cannot be read or decoded raises an error that names its file.

    TensorFlow's own error has no file name. So failed images are dropped, and a missing position
    identifies the file.
    """

    @do_not_convert
    def example(expected: tf.Tensor, image: tuple[tf.Tensor, tuple]):
        position, decoded = image

        def fail():
            message = "Expected a readable image (replace it, and resume the run). Received:"
            return tf.debugging.Assert(False, [message, stream.path(expected)])

        with tf.control_dependencies([tf.cond(position == expected, tf.no_op, fail)]):
            return tf.nest.map_structure(tf.identity, decoded)

    # one more element at the end, so that a missing last image is detected, too
    _, spec = images.element_spec
    blank = tf.nest.map_structure(lambda part: tf.zeros(part.shape, part.dtype), spec)
    after = tf.data.Dataset.from_tensors((tf.constant(-1, tf.int64), blank))
    readable = images.ignore_errors().concatenate(after)
    return tf.data.Dataset.zip(stream.elements, readable).map(example)
