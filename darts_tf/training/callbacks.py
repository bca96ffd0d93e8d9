"""What happens at the ends of epochs: schedules and records."""

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
"""Factor of the learning rates after a run went back to a checkpoint."""


class Schedule(keras.callbacks.Callback):
    """Sets the learning rate of the weights at every epoch, or every step, by `rate_at`.

    Args:
        config: the settings of a run.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the rate of this epoch, lower where the run went back to a checkpoint."""
        self.epoch = epoch
        self.lowered = LOWERED ** int(self.model.times_gone_back.numpy())
        self._set(0, 1)

    def on_train_batch_begin(self, batch, logs=None):
        """Sets the rate of this step, where it is another than the epoch's."""
        if self.config.schedule_per == "step":
            self._set(batch, self.params["steps"])

    def _set(self, step, steps):
        rate = rate_at(self.config, self.epoch, step, steps)
        self.model.optimizer.learning_rate = rate * self.lowered

    def on_epoch_end(self, epoch, logs=None):
        """Adds the rate, of the last step, to the epoch's metrics."""
        logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())


class Ramp(keras.callbacks.Callback):
    """Sets a number at every epoch, such as a rate of dropout.

    Args:
        variable: that holds it, part of the run's state.
        value_at: gives it for an epoch, counted from 0.
    """

    def __init__(self, variable: keras.Variable, value_at: Callable[[int], float]):
        super().__init__()
        self.variable = variable
        self.value_at = value_at

    def on_epoch_begin(self, epoch, logs=None):
        """Sets that of this epoch."""
        self.variable.assign(self.value_at(epoch))


class Record(keras.callbacks.Callback):
    """Writes a line of metrics after every epoch, and reports it.

    Args:
        folder: of the run.
        describe: gives further entries for the line; called when the epoch has ended.
        report: called with the line, a dict; None for nobody.
        held_out: what metrics of the images not trained on begin with.
        writes: whether this process does; of several workers one does.

    Attributes:
        last_line: what was reported last.
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
        """Starts the epoch's clock."""
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Writes and reports; the time goes into a file of its own.

        So the metrics of runs that repeat each other are equal.
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
        """Numbers, those of held-out images under this record's word for them."""
        readable = {}
        for name, value in logs.items():
            plain = name.removeprefix("val_")
            readable[name if plain == name else f"{self.held_out}_{plain}"] = float(value)
        return readable


def run_callbacks(config, record: Record) -> list[keras.callbacks.Callback]:
    """Schedule, record and TensorBoard's dashboard, in the order that they depend on."""
    return [Schedule(config), record, *([Dashboard(config, record)] if record.writes else [])]
