"""What runs on text are fed with."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from darts_tf.configs import TextConfig
from darts_tf.data import (
    TextDataset,
    evaluation_segment_steps,
    evaluation_segments,
    most_segment_steps,
    segment_steps,
)
from darts_tf.errors import InputError
from darts_tf.fitting import Feed


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
