"""Callbacks of every run: learning rate schedule, other schedules, metrics records."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import keras

from darts_tf.runs.metrics import append_metrics, append_time
from darts_tf.training.schedules import rate_at
from darts_tf.training.tensorboard import Dashboard

LOG = logging.getLogger("darts_tf")

LOWERED = 0.1
"""Factor of the learning rates after each roll back to a checkpoint."""


class Schedule(keras.callbacks.Callback):
    """Learning rate schedule of the weights, per epoch or per step, by `rate_at`.

    Args:
        config: settings of a run.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the rate of this epoch, which is lower if the run was rolled back."""
        self.epoch = epoch
        self.lowered = LOWERED ** int(self.model.rollbacks.numpy())
        self._set(0, 1)

    def on_train_batch_begin(self, batch, logs=None):
        """Sets the rate of this step if the schedule is per step."""
        if self.config.schedule_per == "step":
            self._set(batch, self.params["steps"])

    def _set(self, step, steps):
        rate = rate_at(self.config, self.epoch, step, steps)
        self.model.optimizer.learning_rate = rate * self.lowered

    def on_epoch_end(self, epoch, logs=None):
        """Adds the rate of the last step to the epoch's metrics."""
        logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())


class Ramp(keras.callbacks.Callback):
    """Schedule of a scalar per epoch, such as a dropout rate.

    Args:
        variable: variable of the scalar, part of the run's state.
        value_at: returns the value for an epoch, counted from 0.
    """

    def __init__(self, variable: keras.Variable, value_at: Callable[[int], float]):
        super().__init__()
        self.variable = variable
        self.value_at = value_at

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the value of this epoch."""
        self.variable.assign(self.value_at(epoch))


class Record(keras.callbacks.Callback):
    """Record of the metrics: writes and reports a line after every epoch.

    Args:
        folder: folder of the run.
        describe: returns additional entries of the line; called at the end of the epoch.
        report: called with the line, a dict; None for no report.
        held_out: prefix of the metrics on held-out examples.
        writes: True if this process writes; only one of several workers does.

    Attributes:
        last_line: the last line that was reported.
    """

    def __init__(
        self,
        folder,
        describe: Callable[[], dict],
        report: Callable | None,
        held_out: str = "valid",
        writes: bool = True,
    ):
        super().__init__()
        self.folder = folder
        self.describe = describe
        self.report = report
        self.held_out = held_out
        self.writes = writes

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock of the epoch."""
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Writes and reports the line; the time is written to a separate file.

        So the metrics of identical runs are equal.
        """
        seconds = round(time.monotonic() - self.start, 3)
        line = {"epoch": epoch, **self._readable(logs or {}), **self.describe()}
        skipped = int(self.model.skipped.numpy())
        if skipped:
            line["skipped_steps"] = skipped
        if self.writes:
            append_metrics(self.folder, line)
            append_time(self.folder, epoch, seconds)
        LOG.info("epoch %d took %.1f s", epoch + 1, seconds)
        self.last_line = {**line, "seconds": seconds}
        if self.report:
            self.report(self.last_line)

    def _readable(self, logs):
        """Returns the metrics as floats, with Keras' prefix `val_` replaced by `held_out`."""
        readable = {}
        for name, value in logs.items():
            plain = name.removeprefix("val_")
            readable[name if plain == name else f"{self.held_out}_{plain}"] = float(value)
        return readable


def run_callbacks(config, record: Record) -> list[keras.callbacks.Callback]:
    """Returns schedule, record and TensorBoard callback, in the order in which they must run."""
    return [Schedule(config), record, *([Dashboard(config, record)] if record.writes else [])]
