"""A study's trials as TensorBoard's HParams tab reads them."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import tensorflow as tf
from tensorboard.plugins.hparams import api


def write_trial(
    folder: pathlib.Path, name: str, values: Mapping[str, object], metric: str, score: float
) -> None:
    """Writes a trial's hyperparameters and what it reached.

    Args:
        folder: of the study's events; the trial gets one below it.
        name: of the trial.
        values: of the hyperparameters.
        metric: by which trials are compared.
        score: its value.
    """
    with tf.summary.create_file_writer(str(folder / name)).as_default():
        api.hparams(dict(values), trial_id=name)
        tf.summary.scalar(metric, score, step=0)
