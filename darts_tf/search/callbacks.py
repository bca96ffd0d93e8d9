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
from darts_tf.search.restarts import Restart
from darts_tf.spaces.collapse import BOUNDED, COLLAPSED, describe_collapse
from darts_tf.training.callbacks import Record, run_callbacks


class KeepHistory(keras.callbacks.Callback):
    """Records the alphas of every epoch of a search.

    Args:
        folder: folder of the run.
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        """Adds the alphas of this epoch."""
        if is_chief():
            network = self.model.network
            alphas = map(np.asarray, network.alphas)
            extend_history(self.folder, epoch, *alphas, kinds=network.space.kinds)


class StopEarly(keras.callbacks.Callback):
    """Stops a search by the rules of `early_stopping`. Must run after metrics are recorded.

    Args:
        config: settings of the search.
        folder: folder of the run, from which the metrics are read.
    """

    def __init__(self, config, folder):
        super().__init__()
        self.config = config
        self.folder = folder

    def on_train_begin(self, logs=None):
        """Stops a resumed run if it was stopped before."""
        self._stop_if_due()

    def on_epoch_end(self, epoch, logs=None):
        """Applies the rules to all epochs so far."""
        self._stop_if_due()

    def _stop_if_due(self):
        stop = is_chief() and early_stopping.decide(self.config, read_metrics(self.folder))
        if agreed(self.model.distribute_strategy, bool(stop)):
            self.model.stop_training = True


LOG = logging.getLogger("darts_tf")


def search_callbacks(config, record: Record, measure: Measure) -> list[keras.callbacks.Callback]:
    """Returns restarts, indicators, the history, callbacks of every run and the early stop.

    The record describes cells by the history, which therefore comes before it.
    """
    stop = [StopEarly(config, record.folder)] if early_stopping.stops_early(config) else []
    first = [Restart(config), measure, KeepHistory(record.folder)]
    return [*first, *run_callbacks(config, record), *stop]


def restore_best_alphas(
    config, trainer, folder: pathlib.Path, describe: Callable[[int], dict]
) -> None:
    """Restores the alphas of the epoch that an early stop keeps, and logs the reason.

    Does nothing if the search was not stopped early. The weights stay those of its last epoch.

    Args:
        config: settings of the search.
        trainer: trainer of the finished search.
        folder: folder of the run.
        describe: writes alphas and genotype to the folder, for those of an epoch.
    """
    stop = early_stopping.decide(config, read_metrics(folder))
    if stop is None:
        return
    kept = load_history(folder)[stop.kept]
    for variable, value in zip(trainer.network.alphas, kept, strict=True):
        variable.assign(value)
    describe(stop.kept)
    LOG.warning("the search was %s", stop)


def warn_of_collapse(genotype, budget: str | None = None) -> None:
    """Logs a warning if the derived cells are degenerate.

    Args:
        genotype: the derived cells.
        budget: the budget within which they were derived, if any; it changes the advice.
    """
    words = describe_collapse(genotype)
    if words:
        LOG.warning("%s: %s", words, BOUNDED if budget else COLLAPSED)
