"""Settings of runs, and a study's trials, as TensorBoard's HParams tab reads them."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import tensorflow as tf
from tensorboard.plugins.hparams import api, api_pb2, summary


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


def write_settings(settings: Mapping[str, object]) -> None:
    """Writes what a run is begun with, by the writer that is the default; None is left out."""
    given = {name: value for name, value in settings.items() if value is not None}
    kinds = str | int | float | bool
    api.hparams({n: v if isinstance(v, kinds) else str(v) for n, v in given.items()})


def write_end(step: int) -> None:
    """Writes that a run has ended well, by the writer that is the default.

    Args:
        step: its last.
    """
    ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS).value[0]
    tf.summary.write(ended.tag, tf.constant([]), step, ended.metadata)
