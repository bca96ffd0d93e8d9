"""Batches as pure functions of (seed, step), which can start at any step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from darts_tf.data.augmentation import DRAWS, Augmentation, augment
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
from darts_tf.data.splits import AnySplit, Files, Records, Split, take
from darts_tf.data.steps import WHOLE, evaluation_steps, rows_of, steps_per_epoch
from darts_tf.data.streaming import (
    decoded_stream,
    evaluation_stream,
    search_stream,
    train_stream,
)
from darts_tf.errors import InputError


def train_batches(
    split: AnySplit,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    batch_size: int,
    *,
    seed: int,
    epochs: int,
    start_step: int = 0,
    part: tuple[int, int, int] = WHOLE,
) -> tf.data.Dataset:
    """Makes augmented batches; each epoch has every image once, in a new order.

    Args:
        split: the images, in memory or encoded; encoded images are decoded in parallel.
        preprocessing: normalises the images.
        augmentation: settings of the augmentation; encoded images need a random resized crop.
        batch_size: images per batch; an epoch's last batch holds the remaining images.
        seed: seed of the order and the augmentation.
        epochs: number of passes over the split.
        start_step: number of steps to skip at the beginning; the others do not change, bit for
            bit. Skipping costs nothing, except for `Records`: the skipped records of the first
            epoch are read, but not decoded.
        part: `WHOLE`, or the parts of each batch to return, one after another; all parts together
            are the batch, bit for bit. See `steps.WHOLE`.

    Returns:
        A dataset of `(x, y)`: x float32 `(batch, height, width, channels)`, y int32 `(batch,)`.

    Raises:
        InputError: `batch_size` is not between 1 and the number of images, `start_step` is outside
            the run, or the augmentation does not suit the kind of split.
    """
    total = epochs * steps_per_epoch(split, batch_size)
    _check_start(start_step, total)
    _check_crop(split, augmentation)
    if not isinstance(split, Split):
        options = {"seed": seed, "epochs": epochs, "start_step": start_step, "part": part}
        return train_stream(split, preprocessing, augmentation, batch_size, **options)
    draw = _drawer(split, preprocessing, augmentation, seed, WEIGHTS_ORDER, WEIGHTS_DRAWS)
    size = split.size

    def batch(step: tf.Tensor, replica: tf.Tensor):
        return draw(step, *_window(step, size, batch_size), replica, part[2])

    return _steps(batch, total, start_step, part)


def search_batches(
    weights_half: Split | Files,
    alphas_half: Split | Files,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    batch_size: int,
    *,
    seed: int,
    epochs: int,
    start_step: int = 0,
    part: tuple[int, int, int] = WHOLE,
) -> tf.data.Dataset:
    """Makes pairs of batches for the bilevel step (Liu et al. 2019, algorithm 1).

    An epoch is a pass over the weights' half, as in `train_batches`. Every step also draws as
    many images of the alphas' half, with the same augmentation settings. That half is repeated
    without end, in a new order in every pass.

    Args:
        weights_half: images for training the weights.
        alphas_half: images for training the alphas.
        preprocessing: as in `train_batches`.
        augmentation: as in `train_batches`.
        batch_size: images in each of the two batches.
        seed: as in `train_batches`.
        epochs: number of passes over the weights' half.
        start_step: as in `train_batches`.
        part: as in `train_batches`.

    Returns:
        A dataset of `((x, y), (x_valid, y_valid))`, shaped as in `train_batches`.

    Raises:
        InputError: `batch_size` is larger than one of the halves, or `start_step` is outside the
            run.
    """
    total = epochs * steps_per_epoch(weights_half, batch_size)
    steps_per_epoch(alphas_half, batch_size)
    _check_start(start_step, total)
    for half in (weights_half, alphas_half):
        if isinstance(half, Records):
            raise InputError("Expected images in memory or in files. Received: records of TFDS")
        _check_crop(half, augmentation)
    if isinstance(weights_half, Files):
        options = {"seed": seed, "epochs": epochs, "start_step": start_step, "part": part}
        return search_stream(
            weights_half, alphas_half, preprocessing, augmentation, batch_size, **options
        )
    draw = _drawer(weights_half, preprocessing, augmentation, seed, WEIGHTS_ORDER, WEIGHTS_DRAWS)
    draw_valid = _drawer(alphas_half, preprocessing, augmentation, seed, ALPHAS_ORDER, ALPHAS_DRAWS)
    size = weights_half.size

    def batches(step: tf.Tensor, replica: tf.Tensor):
        window = (*_window(step, size, batch_size), replica, part[2])
        return draw(step, *window), draw_valid(step, *window)

    return _steps(batches, total, start_step, part)


def evaluation_batches(
    split: AnySplit,
    preprocessing: Preprocessing,
    batch_size: int,
    part: tuple[int, int, int] = WHOLE,
) -> tf.data.Dataset:
    """Makes batches of the normalised images of `split`, once and in order.

    The last batch may be smaller than `batch_size`, and some parts of a small batch may be empty
    (`part` as in `train_batches`).

    Returns:
        A dataset of `(x, y)`, shaped as in `train_batches`.

    Raises:
        InputError: `batch_size` is not positive.
    """
    if batch_size < 1:
        raise InputError(f"`batch_size` expected at least 1. Received: batch_size={batch_size}")
    if not isinstance(split, Split):
        return evaluation_stream(split, preprocessing, batch_size, part)
    images, labels = _tensors(split)
    size = split.size

    def batch(step: tf.Tensor, replica: tf.Tensor):
        begin = step * batch_size
        rows = rows_of(tf.minimum(size - begin, batch_size), replica, part[2])
        window = slice(begin + rows[0], begin + rows[1])
        return preprocessing.normalize(images[window]), labels[window]

    return _steps(batch, evaluation_steps(split, batch_size), 0, part)


def sample(split: AnySplit, preprocessing: Preprocessing, count: int) -> Split:
    """Returns some images of a split, as a network's input before normalisation, with labels.

    They are evenly spaced, since images are often sorted by class. For `Records`, which are stored
    in random order and can only be read in sequence, they are the first ones.

    Args:
        split: the split to choose from.
        preprocessing: decodes images that are not in memory.
        count: number of images; a smaller split is returned whole.
    """
    count = min(count, split.size)
    chosen = np.arange(count) * split.size // max(count, 1)
    if isinstance(split, Split):
        return take(split, chosen)
    if isinstance(split, Files):
        split = Files([split.paths[i] for i in chosen], split.labels[chosen])
    decoded = decoded_stream(split, preprocessing).take(count).as_numpy_iterator()
    images, labels = zip(*decoded, strict=True)
    return Split(np.stack(images), np.stack(labels))


def _check_start(start: int, total: int) -> None:
    if not 0 <= start <= total:
        raise InputError(f"`start_step` expected from 0 to {total}. Received: start_step={start}")


def _check_crop(split: AnySplit, augmentation: Augmentation) -> None:
    if augmentation.random_resized_crop and isinstance(split, Split):
        raise InputError(
            "Expected `random_resized_crop` with a streamed dataset. Received: images in memory"
        )


def _steps(batch: Callable, total: int, start: int, part) -> tf.data.Dataset:
    """Makes a dataset of `batch(step, replica)` for every step and each replica of this part."""
    first, here, _ = part

    @tf.autograph.experimental.do_not_convert  # conversion takes longer than the first batch
    def piece_of(piece: tf.Tensor):
        return batch(piece // here, first + piece % here)

    pieces = tf.data.Dataset.range(start * here, total * here)
    batches = pieces.map(piece_of, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(2 * here)


def _window(step: tf.Tensor, size: int, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first position and the length of a step's batch in the stream of all epochs."""
    steps = -(-size // batch_size)
    epoch, begin = step // steps, step % steps * batch_size
    return epoch * size + begin, tf.minimum(size - begin, batch_size)


def _drawer(
    split: Split,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    seed: int,
    order: int,
    draws: int,
) -> Callable:
    """Makes a function (step, first, length, replica, replicas) that returns an augmented batch."""
    images, labels = _tensors(split)
    size = split.size

    def draw(step, first, length, replica, replicas: int) -> tuple[tf.Tensor, tf.Tensor]:
        begin, end = rows_of(length, replica, replicas)
        position = first + tf.range(begin, end)
        epoch = first // size
        # no batch is larger than the split, so it spans at most two epochs
        keys = tf.stack([permutation_key(seed, order, epoch + i) for i in range(2)])
        keys = tf.gather(keys, position // size - epoch)
        indices = shuffled_indices(position % size, size, keys)
        uniform = tf.random.stateless_uniform(
            [length, DRAWS], stream_seed(seed, draws, step), alg="philox"
        )
        drawn = uniform[begin:end]  # an image's draws do not depend on the part that it is in
        x = augment(tf.gather(images, indices), drawn, augmentation, preprocessing)
        return x, tf.gather(labels, indices)

    return draw


def _tensors(split: Split) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the split as eager tensors in host memory, which graphs capture without a copy."""
    with tf.device("CPU:0"):
        return tf.constant(split.images), tf.constant(split.labels, tf.int32)
