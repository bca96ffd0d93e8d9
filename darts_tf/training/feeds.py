"""Feeds: sources of batches for the training loop, for images and for text."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from darts_tf.configs import TextConfig
from darts_tf.data import (
    AnySplit,
    Preprocessing,
    TextDataset,
    evaluation_batches,
    evaluation_segment_steps,
    evaluation_segments,
    evaluation_steps,
    most_segment_steps,
    segment_steps,
)
from darts_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Feed:
    """Source of a run's batches.

    Attributes:
        train: `train(start=(epoch, step), part=...)` returns the training batches from a step on,
            up to the next epoch that renews them.
        steps: `steps(epoch)` returns the number of batches in an epoch.
        most: upper bound of the batches in an epoch.
        test: `test(epoch, part=...)` returns the batches for the test after an epoch.
        tests: number of test batches.
        renewed: `renewed(epoch)` returns True if an epoch has batches of other data than the epoch
            before, so that `train` and `test` must be called again.
    """

    train: Callable[..., tf.data.Dataset]
    steps: Callable[[int], int]
    most: int
    test: Callable[..., tf.data.Dataset]
    tests: int
    renewed: Callable[[int], bool] = lambda epoch: False


def image_feed(
    batches: Callable[..., tf.data.Dataset],
    steps: int,
    held_out: AnySplit,
    preprocessing: Preprocessing,
) -> Feed:
    """Makes the feed of a run on images.

    Args:
        batches: `batches(start_step=..., part=...)` returns the training batches.
        steps: number of batches in an epoch.
        held_out: images for the test after every epoch.
        preprocessing: normalises the held-out images.
    """

    def train(start, **part):
        epoch, step = start
        return batches(start_step=epoch * steps + step, **part)

    def test(epoch, **part):
        return evaluation_batches(held_out, preprocessing, HELD_OUT_BATCH, **part)

    return Feed(train, lambda epoch: steps, steps, test, evaluation_steps(held_out, HELD_OUT_BATCH))


HELD_OUT_BATCH = 256
"""Images in a test batch."""


def text_feed(
    config: TextConfig,
    dataset: TextDataset,
    segments: Callable[..., tf.data.Dataset],
    spread: float,
) -> Feed:
    """Makes the feed of a run on text, which is tested on the validation text.

    Args:
        config: settings of the run.
        dataset: the text.
        segments: `train_segments` or `search_segments` of the text.
        spread: standard deviation of the segments' lengths in words.
    """
    lengths = {"bptt": config.time_steps, "spread": spread}
    drawn = {**lengths, "seed": config.seed}
    tested = (dataset.valid, config.valid_batch_size)
    words = (dataset.train, config.batch_size)
    return Feed(
        train=functools.partial(
            segments, batch_size=config.batch_size, epochs=config.epochs, **drawn
        ),
        steps=functools.cache(lambda epoch: segment_steps(*words, epoch=epoch, **drawn)),
        most=most_segment_steps(*words, **lengths),
        test=lambda epoch, **part: evaluation_segments(*tested, bptt=config.time_steps, **part),
        tests=evaluation_segment_steps(*tested, bptt=config.time_steps),
    )


def check_streams(
    config: TextConfig, dataset: TextDataset, replicas: int, searched: bool = False
) -> None:
    """Checks that a text is long enough for its streams, and that replicas can share them.

    Args:
        config: settings of the run.
        dataset: the text.
        replicas: number of replicas that share a batch in equal parts.
        searched: True if the validation text is also read in `batch_size` streams.

    Raises:
        InputError: the text is too short or the streams are not divisible; names the setting.
    """
    requirements = [("batch_size", "train", 3), ("valid_batch_size", "valid", 2)]
    if searched:
        requirements.append(("batch_size", "valid", 2))
    for name, split, least in requirements:
        streams, words = getattr(config, name), len(getattr(dataset, split))
        if streams * least > words:
            raise InputError(
                f"Expected {name} to be at most {words // least}, so that each stream has {least} "
                f"of the {words} words of {split}. Received: {name}={streams}"
            )
        if streams % replicas:
            raise InputError(
                f"Expected {name} to be a multiple of the {replicas} replicas that share the "
                f"streams. Received: {name}={streams}"
            )
