"""Kinds of runs, and how the stored settings of a run give its kind."""

from __future__ import annotations

from collections.abc import Mapping

from darts_tf.configs.base import JobConfig
from darts_tf.configs.images import SearchConfig, TrainConfig
from darts_tf.configs.studies import BaselineConfig, CompareConfig, SelectConfig, TuneConfig
from darts_tf.configs.text import TextSearchConfig, TextTrainConfig
from darts_tf.errors import InputError, shown

KINDS: dict[type[JobConfig], set[str]] = {
    SelectConfig: {"final_seeds"},
    TuneConfig: {"over"},
    CompareConfig: {"genotypes"},
    BaselineConfig: {"population"},
    TextTrainConfig: {"units", "genotype"},
    TextSearchConfig: {"units"},
    TrainConfig: {"genotype"},
    SearchConfig: set(),
}
"""Every kind of run, with settings that distinguish it from all kinds listed after it.

These settings exist since the kind was introduced, so that runs of older versions are recognized.
"""


def kind_of(stored: object) -> type[JobConfig]:
    """Returns the config class of a run.

    Args:
        stored: the content of the run's config.json, possibly written by an older version with
            fewer settings.

    Raises:
        InputError: `stored` is not a mapping, or has no `workdir`.
    """
    if not isinstance(stored, Mapping) or "workdir" not in stored:
        raise InputError(f"Expected the settings of a run. Received: {shown(stored)}")
    return next(kind for kind, own in KINDS.items() if own <= stored.keys())
