"""Batches of a text: segments of its columns, as pure functions of (seed, epoch, step).

A stream of words is cut into as many columns as a batch has, each of them a stretch of the text; a
segment is the next few words of all of them. So a model's state at the end of a segment is that at
the beginning of the next, and the words follow each other as in the text.

In an epoch of training the segments' lengths are drawn anew, hence epochs differ in their number of
steps, and a place in a run is named `(epoch, step)`.
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
"""Bounds of lengths that spread: so many words, and so many more than the usual length."""


class Segment(NamedTuple):
    """A batch of a text.

    Attributes:
        tokens: int32, `(batch, time)`.
        targets: int32, `(batch, time)`: the words that come next.
        drawn: int32, `()`: the time before the end of the text cut it. The learning rate of a step
            is the run's, times this over the usual length.
    """

    tokens: tf.Tensor
    targets: tf.Tensor
    drawn: tf.Tensor


def columns(tokens: np.ndarray, batch_size: int, least: int = 3) -> np.ndarray:
    """A stream side by side: int32, `(batch_size, n)`; what is left over at its end is dropped.

    Args:
        tokens: int32, `(size,)`.
        batch_size: how many columns; each is a row here.
        least: how many words a column needs: one more than are predicted, two for training.

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
    """Where the segments of an epoch of training begin, and their lengths before the end cuts one.

    Args:
        length: of a column, in words.
        bptt: as in `train_segments`.
        spread: as in `train_segments`.
        seed: as in `train_segments`.
        epoch: from 0.

    Returns:
        `(first, drawn)`: int32, `(steps,)` each.
    """
    least = _least(bptt, spread)
    most = -(-length // least)
    with tf.device("CPU:0"):  # one kind of device, one kind of rounding
        # A text has no order and no augmentation to draw; its lengths have their streams.
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
    """How many steps an epoch of `train_segments` or `search_segments` has."""
    length = columns(tokens, batch_size).shape[1]
    return len(drawn_segments(length, bptt, spread, seed, epoch)[0])


def most_segment_steps(tokens: np.ndarray, batch_size: int, *, bptt: int, spread: float) -> int:
    """No epoch of `train_segments` or `search_segments` has more steps than this."""
    return -(-columns(tokens, batch_size).shape[1] // _least(bptt, spread))


def _least(bptt: int, spread: float) -> int:
    """The shortest segment, in words."""
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
    """A text once an epoch, in segments of lengths that are new in every epoch.

    As in the authors' code: the usual length is `bptt`, with a probability of 5 % its half; around
    that the length is normally distributed, at least 5 and at most 20 more than the usual one.
    Without a spread it is one of the two. An epoch ends when a column has less than two words to
    predict.

    Args:
        tokens: int32, `(n,)`.
        batch_size: columns of the text.
        bptt: the usual length in words.
        spread: standard deviation of the length in words; 0 for none.
        seed: of the lengths.
        epochs: passes over the text.
        start: epoch and step of the first segment that is given; the others are unchanged, bit for
            bit. That costs nothing.
        part: `WHOLE`, or the parts of each segment to give instead, one after another: together
            their columns are the segment's.

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
    """Pairs of segments for the bilevel step, of the weights' text and of the alphas'.

    As in the authors' code: where a segment begins at the i-th word of a column of `train`, its
    partner begins at the same word of `valid`, which goes on in cycles and comes anew with every
    epoch, and has the usual length, or what is left there. A state goes on over the ends of cycles.

    Args:
        train: int32, `(n,)`, trains the weights.
        valid: int32, `(m,)`, trains the alphas.
        batch_size: columns of each of the two.
        bptt: as in `train_segments`.
        spread: as in `train_segments`; 0 in the authors' search.
        seed: as in `train_segments`.
        epochs: passes over `train`.
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
    """A text once, in segments of one length but for the last.

    With a batch of 1, as the authors test, every word but the first is predicted, from all words
    before it, whatever `bptt` is. More columns are faster, and another measurement: each begins
    without a memory, its first word is not predicted, and the words left over are left out.

    Args:
        tokens: as in `train_segments`.
        batch_size: as in `train_segments`.
        bptt: length in words.
        part: as in `train_segments`.

    Returns:
        A dataset of `Segment`, `evaluation_segment_steps` of them.

    Raises:
        InputError: as `train_segments`.
    """
    row = columns(tokens, batch_size, 2)
    _check(bptt, 0, (0, 0))
    first = tf.range(0, row.shape[1] - 1, bptt)
    segments = _in_parts(first, tf.fill(tf.shape(first), bptt), part)
    return _mapped(segments, _cutter(row, part))


def evaluation_segment_steps(tokens: np.ndarray, batch_size: int, *, bptt: int) -> int:
    """How many segments `evaluation_segments` gives."""
    return -(-(columns(tokens, batch_size, 2).shape[1] - 1) // bptt)


def _check(bptt: int, spread: float, start: tuple[int, int]) -> None:
    if bptt < 1 or spread < 0 or min(start) < 0:
        raise InputError(
            "Expected bptt of at least 1, spread and start of at least 0. "
            f"Received: {bptt=}, {spread=}, {start=}"
        )


def _epochs(length: int, bptt: int, spread: float, seed: int, epochs: range, part):
    """Beginning, length and replica of every segment of some epochs."""

    def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        return _in_parts(*drawn_segments(length, bptt, spread, seed, epoch), part)

    return tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(of_epoch)


def _in_parts(first: tf.Tensor, drawn: tf.Tensor, part) -> tf.data.Dataset:
    begin, here, _ = part
    replica = tf.tile(tf.range(begin, begin + here), [tf.size(first)])
    each = [tf.repeat(numbers, here) for numbers in (first, drawn)]
    return tf.data.Dataset.from_tensor_slices((*each, replica))


def _mapped(segments: tf.data.Dataset, function) -> tf.data.Dataset:
    return segments.map(function, tf.data.AUTOTUNE, deterministic=True).prefetch(4)


def _cutter(row: np.ndarray, part):
    """A function that cuts a segment out of the columns, as `_epochs` describes it."""
    batch, size = row.shape
    with tf.device("CPU:0"):  # captured by a graph, but never copied
        words = tf.constant(row)
    whole = part[2] == 1

    def cut(first, drawn, replica) -> Segment:
        last = tf.minimum(first + drawn, size - 1)
        begin, end = (0, batch) if whole else rows_of(batch, replica, part[2])
        shape = [batch if whole else None, None]
        tokens, targets = (words[begin:end, first + i : last + i] for i in (0, 1))
        return Segment(tf.ensure_shape(tokens, shape), tf.ensure_shape(targets, shape), drawn)

    return cut
