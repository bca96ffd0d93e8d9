"""Callbacks of a search in the order in which they must run, and the end of an early stop."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable

import keras
import numpy as np

from darts_tf.runs.alphas import extend_history, load_history
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.distribution import agreed, is_chief
from darts_tf.search import early_stopping
from darts_tf.search.indicators import Measure
from darts_tf.spaces.collapse import BOUNDED, COLLAPSED, describe_collapse
from darts_tf.training.callbacks import Record, run_callbacks


class MoveAlphasFrom(keras.callbacks.Callback):
    """Lets a search's weights learn alone before an epoch.

    Args:
        epoch: the first, counted from 0, that moves the alphas.
    """

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        """Says whether this epoch's steps move them, and has Keras' own step traced anew."""
        moves = epoch >= self.epoch
        if moves != self.model.moves_alphas:
            self.model.moves_alphas = moves
            self.model.make_train_function(force=True)


class KeepHistory(keras.callbacks.Callback):
    """Keeps the alphas of every epoch of a search.

    Args:
        folder: of the run.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        """Adds those of this epoch."""
        if is_chief():
            extend_history(self.folder, epoch, *map(np.asarray, self.model.network.alphas))


class StopEarly(keras.callbacks.Callback):
    """Ends a search where the rules of `stopping` say so; goes after what records the metrics.

    Args:
        config: the settings of the search.
        folder: of the run, whose metrics are looked at.
    """

    def __init__(self, config, folder):
        super().__init__()
        self.config = config
        self.folder = folder

    def on_train_begin(self, logs=None):
        """A run that was stopped does not go on when it is resumed."""
        self._look()

    def on_epoch_end(self, epoch, logs=None):
        """Looks at all epochs so far."""
        self._look()

    def _look(self):
        stop = is_chief() and early_stopping.decide(self.config, read_metrics(self.folder))
        if agreed(self.model.distribute_strategy, bool(stop)):
            self.model.stop_training = True


LOG = logging.getLogger("darts_tf")


def search_callbacks(config, record: Record, measure: Measure) -> list[keras.callbacks.Callback]:
    """Indicators, what every run has, the alphas of every epoch, and the early stop."""
    stop = [StopEarly(config, record.folder)] if early_stopping.stops_early(config) else []
    first = [measure, *run_callbacks(config, record), MoveAlphasFrom(config.arch_from_epoch)]
    return [*first, KeepHistory(record.folder), *stop]


def restore_best_alphas(
    config, trainer, folder: pathlib.Path, describe: Callable[[], dict]
) -> None:
    """Sets the alphas to those that a search which was stopped early keeps, and says why.

    Its weights stay those of its last epoch.

    Args:
        config: the settings of the search.
        trainer: of the search, which has ended.
        folder: of the run.
        describe: writes alphas and genotype into it.
    """
    stop = early_stopping.decide(config, read_metrics(folder))
    if stop is None:
        return
    kept = load_history(folder)[stop.kept]
    for variable, value in zip(trainer.network.alphas, kept, strict=True):
        variable.assign(value)
    describe()
    LOG.warning("the search was %s", stop)


def warn_of_collapse(genotype, budget: str | None = None) -> None:
    """Says what is degenerate about the cells that a search has found, perhaps within a budget."""
    words = describe_collapse(genotype)
    if words:
        LOG.warning("%s: %s", words, BOUNDED if budget else COLLAPSED)
