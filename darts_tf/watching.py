"""What watches a search, in the order that it depends on, and how a search ends."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable

import keras

from darts_tf import stopping
from darts_tf.indicators import Measure
from darts_tf.runs.alphas import load_history
from darts_tf.runs.metrics import read_metrics
from darts_tf.spaces.collapse import BOUNDED, COLLAPSED, in_words
from darts_tf.training.callbacks import KeepHistory, MoveAlphasFrom, Record, StopEarly, of_every_run

LOG = logging.getLogger("darts_tf")


def of_every_search(config, record: Record, measure: Measure) -> list[keras.callbacks.Callback]:
    """Indicators, what every run has, the alphas of every epoch, and the early stop."""
    stop = [StopEarly(config, record.folder)] if stopping.stops_early(config) else []
    first = [measure, *of_every_run(config, record), MoveAlphasFrom(config.arch_from_epoch)]
    return [*first, KeepHistory(record.folder), *stop]


def take_kept(config, trainer, folder: pathlib.Path, describe: Callable[[], dict]) -> None:
    """Sets the alphas to those that a search which was stopped early keeps, and says why.

    Its weights stay those of its last epoch.

    Args:
        config: the settings of the search.
        trainer: of the search, which has ended.
        folder: of the run.
        describe: writes alphas and genotype into it.
    """
    stop = stopping.decide(config, read_metrics(folder))
    if stop is None:
        return
    kept = load_history(folder)[stop.kept]
    for variable, value in zip(trainer.network.alphas, kept, strict=True):
        variable.assign(value)
    describe()
    LOG.warning("the search was %s", stop)


def warn_of_collapse(genotype, budget: str | None = None) -> None:
    """Says what is degenerate about the cells that a search has found, perhaps within a budget."""
    words = in_words(genotype)
    if words:
        LOG.warning("%s: %s", words, BOUNDED if budget else COLLAPSED)
