"""Batches of a text: segments of its columns, as pure functions of (seed, epoch, step).

A stream of words is divided into `batch_size` columns, each a contiguous stretch of the text. A
segment is the next few words of all columns. So a model's state at the end of a segment is the
initial state of the next one, and words follow each other as in the text.

Segment lengths are drawn for each training epoch, so epochs differ in their number of steps. A
position in a run is `(epoch, step)`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.data.random_streams import WEIGHTS_DRAWS, WEIGHTS_ORDER, stream_seed
from darts_tf.data.steps import WHOLE, rows_of
from darts_tf.errors import InputError

SHORT = 0.05
"""Probability of a segment of half the length (Merity et al. 2018, section 5)."""
SHORTEST, LONGER = 5, 20
"""Bounds of random lengths: the minimum in words, and the maximum above the usual length."""


class Segment(NamedTuple):
    """Batch of a text.

    Attributes:
        tokens: input words, int32, `(batch, time)`.
        targets: the next word after each input word, int32, `(batch, time)`.
        drawn: length before the end of the text truncates it, int32, `()`. A step's learning rate
            is the run's times `drawn / bptt`.
    """

    tokens: tf.Tensor
    targets: tf.Tensor
    drawn: tf.Tensor


def columns(tokens: np.ndarray, batch_size: int, least: int = 3) -> np.ndarray:
    """Divides a text into columns; the words left over at its end are dropped.

    Args:
        tokens: int32, `(size,)`.
        batch_size: number of columns.
        least: minimum number of words in a column: one more than are predicted, and training
            predicts two.

    Returns:
        int32, `(batch_size, n)`: a column of the text per row.

    Raises:
        InputError: `batch_size` is not positive, or the text is too short for it.
    """
    longest = len(tokens) // least
    if not 1 <= batch_size <= longest:
        if not longest:
            raise InputError(f"Expected a text of {least} words or more. Received: {len(tokens)}")
        raise InputError(
            f"`batch_size` expected at most {longest} for a text of {len(tokens)} words, and at "
            f"least 1. Received: batch_size={batch_size}"
        )
    length = len(tokens) // batch_size
    return np.reshape(tokens[: batch_size * length], (batch_size, length))


def drawn_segments(
    length: int, bptt: int, spread: float, seed: int, epoch: tf.Tensor | int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws the first word and the length of every segment of a training epoch.

    Args:
        length: length of a column in words.
        bptt: as in `train_segments`.
        spread: as in `train_segments`.
        seed: as in `train_segments`.
        epoch: number of the epoch, from 0.

    Returns:
        `(first, drawn)`: int32, `(steps,)` each; `drawn` is the length before the end of the
        column truncates it.
    """
    least = _least(bptt, spread)
    most = -(-length // least)
    with tf.device("CPU:0"):  # rounding would differ between kinds of devices
        # a text has no order and no augmentation to draw: lengths use their streams
        key, normal_key = (stream_seed(seed, s, epoch) for s in (WEIGHTS_ORDER, WEIGHTS_DRAWS))
        short = tf.random.stateless_uniform([most], key, alg="philox") < SHORT
        mean = tf.where(short, bptt / 2, float(bptt))
        if spread:
            normal = tf.random.stateless_normal([most], normal_key, alg="philox")
            mean = tf.minimum(mean + spread * normal, float(bptt + LONGER))
        lengths = tf.maximum(tf.cast(mean, tf.int32), least)
        first = tf.cumsum(lengths, exclusive=True)
        steps = tf.reduce_sum(tf.cast(first < length - 2, tf.int32))
        return first[:steps], lengths[:steps]


def segment_steps(
    tokens: np.ndarray, batch_size: int, *, bptt: int, spread: float, seed: int, epoch: int
) -> int:
    """Returns the number of steps in an epoch of `train_segments` or `search_segments`."""
    length = columns(tokens, batch_size).shape[1]
    return len(drawn_segments(length, bptt, spread, seed, epoch)[0])


def most_segment_steps(tokens: np.ndarray, batch_size: int, *, bptt: int, spread: float) -> int:
    """Returns an upper bound of an epoch's steps in `train_segments` and `search_segments`."""
    return -(-columns(tokens, batch_size).shape[1] // _least(bptt, spread))


def _least(bptt: int, spread: float) -> int:
    """Returns the minimum length of a segment in words."""
    return SHORTEST if spread else max(1, bptt // 2)


def train_segments(
    tokens: np.ndarray,
    batch_size: int,
    *,
    bptt: int,
    spread: float,
    seed: int,
    epochs: int,
    start: tuple[int, int] = (0, 0),
    part: tuple[int, int, int] = WHOLE,
) -> tf.data.Dataset:
    """Makes segments of a text, once per epoch, with new random lengths in every epoch.

    Lengths follow the authors' code. The mean length is `bptt`, or with a probability of 5 % half
    of it. The length is normally distributed around the mean, at least 5 and at most `bptt` + 20.
    If `spread` is 0, the length is the mean. An epoch ends when a column has fewer than two words
    left to predict.

    Args:
        tokens: int32, `(n,)`.
        batch_size: number of columns of the text.
        bptt: usual length of a segment in words.
        spread: standard deviation of the length in words; 0 for none.
        seed: seed of the lengths.
        epochs: number of passes over the text.
        start: epoch and step of the first segment; the segments do not change, bit for bit.
            Skipping costs nothing.
        part: `WHOLE`, or the parts of each segment to return, one after another; the columns of
            all parts together are the segment's. See `steps.WHOLE`.

    Returns:
        A dataset of `Segment`.

    Raises:
        InputError: the text is too short for the batch, or a number is out of its range.
    """
    row = columns(tokens, batch_size)
    _check(bptt, spread, start)
    cut = _cutter(row, part)
    segments = _epochs(row.shape[1], bptt, spread, seed, range(start[0], epochs), part)
    return _mapped(segments.skip(start[1] * part[1]), cut)


def search_segments(
    train: np.ndarray,
    valid: np.ndarray,
    batch_size: int,
    *,
    bptt: int,
    spread: float,
    seed: int,
    epochs: int,
    start: tuple[int, int] = (0, 0),
    part: tuple[int, int, int] = WHOLE,
) -> tf.data.Dataset:
    """Makes pairs of segments for the bilevel step: one for the weights, one for the alphas.

    Follows the authors' code. If a segment begins at the i-th word of a column of `train`, its
    partner begins at the i-th word of a column of `valid`, modulo that column's length less one.
    The partner has the usual length, or what is left of its column. It starts over with every
    epoch. A model's state is carried over the ends of cycles.

    Args:
        train: text for training the weights, int32, `(n,)`.
        valid: text for training the alphas, int32, `(m,)`.
        batch_size: number of columns of each of the two.
        bptt: as in `train_segments`.
        spread: as in `train_segments`; 0 in the authors' search.
        seed: as in `train_segments`.
        epochs: number of passes over `train`.
        start: as in `train_segments`.
        part: as in `train_segments`.

    Returns:
        A dataset of `(Segment, Segment)`.

    Raises:
        InputError: one of the texts is too short for the batch, or a number is out of its range.
    """
    row, partner = columns(train, batch_size), columns(valid, batch_size, 2)
    _check(bptt, spread, start)
    cut = _cutter(row, part)
    cut_partner = _cutter(partner, part)
    cycle = partner.shape[1] - 1

    def pair(first, drawn, replica):
        one = cut(first, drawn, replica)
        return one, cut_partner(first % cycle, tf.constant(bptt, tf.int32), replica)

    segments = _epochs(row.shape[1], bptt, spread, seed, range(start[0], epochs), part)
    return _mapped(segments.skip(start[1] * part[1]), pair)


def evaluation_segments(
    tokens: np.ndarray,
    batch_size: int,
    *,
    bptt: int,
    part: tuple[int, int, int] = WHOLE,
) -> tf.data.Dataset:
    """Makes segments of a text, once; all have the same length except the last.

    With a batch of 1, as in the authors' test, every word but the first is predicted from all
    words before it, for any `bptt`. More columns are faster but measure something else: each
    column begins with a zero state, its first word is not predicted, and the words left over are
    dropped.

    Args:
        tokens: as in `train_segments`.
        batch_size: as in `train_segments`.
        bptt: length of a segment in words.
        part: as in `train_segments`.

    Returns:
        A dataset of `evaluation_segment_steps` `Segment`s.

    Raises:
        InputError: as in `train_segments`.
    """
    row = columns(tokens, batch_size, 2)
    _check(bptt, 0, (0, 0))
    first = tf.range(0, row.shape[1] - 1, bptt)
    segments = _in_parts(first, tf.fill(tf.shape(first), bptt), part)
    return _mapped(segments, _cutter(row, part))


def evaluation_segment_steps(tokens: np.ndarray, batch_size: int, *, bptt: int) -> int:
    """Returns the number of segments of `evaluation_segments`."""
    return -(-(columns(tokens, batch_size, 2).shape[1] - 1) // bptt)


def _check(bptt: int, spread: float, start: tuple[int, int]) -> None:
    if bptt < 1 or spread < 0 or min(start) < 0:
        raise InputError(
            "Expected bptt of at least 1, spread and start of at least 0. "
            f"Received: {bptt=}, {spread=}, {start=}"
        )


def _epochs(length: int, bptt: int, spread: float, seed: int, epochs: range, part):
    """Makes a dataset of (first word, length, replica) of every segment of some epochs."""

    @tf.autograph.experimental.do_not_convert
    def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        return _in_parts(*drawn_segments(length, bptt, spread, seed, epoch), part)

    return tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(of_epoch)


def _in_parts(first: tf.Tensor, drawn: tf.Tensor, part) -> tf.data.Dataset:
    begin, here, _ = part
    replica = tf.tile(tf.range(begin, begin + here), [tf.size(first)])
    each = [tf.repeat(numbers, here) for numbers in (first, drawn)]
    return tf.data.Dataset.from_tensor_slices((*each, replica))


def _mapped(segments: tf.data.Dataset, function) -> tf.data.Dataset:
    function = tf.autograph.experimental.do_not_convert(function)  # conversion is slow
    return segments.map(function, tf.data.AUTOTUNE, deterministic=True).prefetch(4)


def _cutter(row: np.ndarray, part):
    """Makes a function that cuts the segment of an element of `_epochs` out of the columns."""
    batch, size = row.shape
    with tf.device("CPU:0"):  # graphs capture it without a copy
        words = tf.constant(row)
    whole = part[2] == 1

    def cut(first, drawn, replica) -> Segment:
        last = tf.minimum(first + drawn, size - 1)
        begin, end = (0, batch) if whole else rows_of(batch, replica, part[2])
        shape = [batch if whole else None, None]
        tokens, targets = (words[begin:end, first + i : last + i] for i in (0, 1))
        return Segment(tf.ensure_shape(tokens, shape), tf.ensure_shape(targets, shape), drawn)

    return cut
