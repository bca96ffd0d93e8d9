"""Feeds: what the training loop reads batches from, for images and for text."""

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
    """What a run is trained and tested on.

    Attributes:
        train: `train(start=(epoch, step), part=...)` gives the batches from a place on.
        steps: `steps(epoch)` gives how many batches an epoch has.
        most: no epoch has more.
        test: `test(part=...)` gives the batches that are tested on after every epoch.
        tests: how many these are.
    """

    train: Callable[..., tf.data.Dataset]
    steps: Callable[[int], int]
    most: int
    test: Callable[..., tf.data.Dataset]
    tests: int


def image_feed(
    batches: Callable[..., tf.data.Dataset],
    steps: int,
    held_out: AnySplit,
    preprocessing: Preprocessing,
) -> Feed:
    """What a run on images is fed with.

    Args:
        batches: `batches(start_step=..., part=...)` gives those to train on.
        steps: of an epoch.
        held_out: images that are tested on after every epoch.
        preprocessing: of those.
    """

    def train(start, **part):
        epoch, step = start
        return batches(start_step=epoch * steps + step, **part)

    test = functools.partial(evaluation_batches, held_out, preprocessing, HELD_OUT_BATCH)
    return Feed(train, lambda epoch: steps, steps, test, evaluation_steps(held_out, HELD_OUT_BATCH))


HELD_OUT_BATCH = 256
"""Images in a batch that only tests."""


def text_feed(
    config: TextConfig,
    dataset: TextDataset,
    segments: Callable[..., tf.data.Dataset],
    spread: float,
) -> Feed:
    """Segments to train on, and those of the valid text.

    Args:
        config: the run's settings.
        dataset: the text.
        segments: `train_segments` or `search_segments` of it.
        spread: of the segments' lengths.
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
        test=functools.partial(evaluation_segments, *tested, bptt=config.time_steps),
        tests=evaluation_segment_steps(*tested, bptt=config.time_steps),
    )


def check_streams(
    config: TextConfig, dataset: TextDataset, replicas: int, searched: bool = False
) -> None:
    """Refuses a text that is too short for its streams, or streams that replicas cannot share.

    Args:
        config: the run's settings.
        dataset: the text.
        replicas: that share a batch in equal parts.
        searched: whether the valid text too is read in `batch_size` streams.

    Raises:
        InputError: names the setting.
    """
    asked = [("batch_size", "train", 3), ("valid_batch_size", "valid", 2)]
    if searched:
        asked.append(("batch_size", "valid", 2))
    for name, split, least in asked:
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
