"""Progress of a run: a line per epoch, a bar, and forecasts of time."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import keras
import psutil
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from darts_tf.cli import output
from darts_tf.errors import escaped_lines, gigabytes
from darts_tf.runtime.duration import duration
from darts_tf.spaces.difference import describe_changes


class EpochProgress(keras.callbacks.Callback):
    """Callback and context manager that prints the progress of a run.

    It prints one or two lines per epoch, and in a terminal a bar with the time left. In the mode
    `json` it writes an event per epoch, and one for the first forecast. At exit the terminal is
    restored.

    Args:
        epochs: number of epochs of the whole run.
        changes: epoch from which on steps take longer than before.
        run: name of the run in events, such as its folder.
        console: rich console to print to.
    """

    def __init__(self, epochs: int, changes: int = 0, run=None, console: Console | None = None):
        super().__init__()
        self.epochs = epochs
        self.changes = changes
        self.run = run
        self.console = console or output.console()
        shown = self.console.is_terminal and not self.console.is_dumb_terminal
        columns = (
            TextColumn("epoch {task.description}"),
            BarColumn(30),
            TextColumn("{task.completed}/{task.total} steps  {task.fields[left]}"),
        )
        self.bar = Progress(
            *columns,
            console=self.console,
            transient=True,
            disable=not shown or output.mode() != "normal",
        )
        self.task = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.bar.stop()

    def on_train_begin(self, logs=None):
        """Prints that tracing takes a while; resets the bar if a run has several searches."""
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.task, self.cells = None, None
        self.pace = Pace(self.epochs, self.changes)
        self._say("tracing the training step, which takes a while; steps are fast then")

    def on_epoch_begin(self, epoch, logs=None):
        """Shows the bar of this epoch."""
        self.pace.begin_epoch(epoch, self.params["steps"])
        shown = {"description": f"{epoch + 1}/{self.epochs}", "left": self._left(self.pace.left())}
        if self.task is None:
            self.task = self.bar.add_task(total=self.params["steps"], **shown)
            self.bar.start()
        else:
            self.bar.reset(self.task, total=self.params["steps"], **shown)

    def on_train_batch_end(self, batch, logs=None):
        """Updates the bar, and prints a forecast after some steps."""
        unknown = self.pace.step_seconds is None
        self.pace.end_step(batch)
        if unknown and self.pace.step_seconds is not None and batch < self.params["steps"] - 1:
            self._forecast()
        if not self.bar.disable:
            left = self._left(self.pace.left())
            self.bar.update(self.task, completed=batch + 1, left=left)

    def _forecast(self):
        left, step = self.pace.left(), self.pace.step_seconds
        output.event("forecast", run=self.run, seconds_a_step=step, **_numbers(left))
        epoch = step * self.params["steps"]
        self._say(
            f"{step:.3f} s per step, {duration(epoch)} per epoch, "
            f"{duration(left.run)} until epoch {left.until}; {gigabytes(memory())} of memory"
        )

    def _left(self, left: Left) -> str:
        if left.run is None:
            return gigabytes(memory())
        until = "" if left.until == self.epochs else f" until epoch {left.until}"
        return (
            f"{duration(left.epoch)} left, of the run {duration(left.run)}{until}  "
            f"{gigabytes(memory())}"
        )

    def report(self, metrics: dict) -> None:
        """Prints the line of an epoch; for a search also its cells or their changes."""
        left = self.pace.left(done=True)
        cells = getattr(self.model, "derived", None)
        change = describe_changes(self.cells, cells) if cells is not None and self.cells else None
        fields = {"epochs": self.epochs, **({} if cells is None else {"change": change})}
        output.event("epoch", run=self.run, **metrics, **fields, **_numbers(left))
        self._say(f"epoch {metrics['epoch'] + 1:>3}/{self.epochs}  {self._line(metrics, left)}")
        if cells is not None:
            self._say(change or str(cells), "dim")
            self.cells = cells

    def _line(self, metrics, left):
        parts = [
            form.format(metrics[name])
            for name, form in _SHOWN.items()
            if metrics.get(name) is not None
        ]
        if left.run:
            until = "" if left.until == self.epochs else f" until epoch {left.until}"
            parts.append(f"{duration(left.run)} left{until}")
        return "  ".join([*parts, gigabytes(memory())])

    def _say(self, text, style=None):
        if output.mode() == "normal":
            self.console.print(escaped_lines(text), style=style, markup=False)


def memory() -> int:
    """Returns the memory of this process now, bytes; on a machine with GPUs, theirs."""
    devices = tf.config.list_logical_devices("GPU")
    if devices:
        return sum(tf.config.experimental.get_memory_info(d.name)["current"] for d in devices)
    return psutil.Process().memory_info().rss


def _numbers(left: Left) -> dict:
    return {
        "seconds_left": left.run,
        "seconds_left_until_epoch": left.until,
        "memory_bytes": memory(),
    }


_SHOWN = {
    "loss": "loss {:.4f}",
    "accuracy": "accuracy {:.1%}",
    "perplexity": "perplexity {:.2f}",
    "arch_loss": "arch loss {:.4f}",
    "valid_perplexity": "validation perplexity {:.2f}",
    "valid_accuracy": "validation accuracy {:.1%}",
    "eigenvalue": "eigenvalue {:.3g}",
    "skips_normal": "skips {:.0f}",
    "discretisation_gap": "gap {:.1%}",
    "test_accuracy": "test accuracy {:.1%}",
    "test_top5_accuracy": "top-5 {:.1%}",
    "seconds": "{:.1f} s",
}
"""Formats of the metrics of an epoch's line, in order."""

MEASURED = 5
"""Number of steps whose mean time gives the first forecast."""


@dataclasses.dataclass(frozen=True)
class Left:
    """Remaining time, seconds; None before it can be estimated.

    Attributes:
        epoch: time to the end of the current epoch.
        run: time to the end of epoch `until`.
        until: last epoch of the run, or the last before steps take longer.
    """

    epoch: float | None
    run: float | None
    until: int


class Pace:
    """Measurement of a run's speed.

    Args:
        epochs: number of epochs of the whole run.
        changes: epoch, counted from 0, from which on steps take longer; 0 for none.
        clock: function that returns the time, seconds.
    """

    def __init__(self, epochs: int, changes: int = 0, clock: Callable[[], float] = time.monotonic):
        self.epochs = epochs
        self.changes = changes
        self.clock = clock
        self.step_seconds: float | None = None
        self._ends = []  # from an epoch's last step to the next one's first
        self._last = None

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Notes that an epoch with this number of steps begins."""
        if self._last is not None:
            self._ends.append(self.clock() - self._last)
        if epoch == self.changes:
            self.step_seconds = None
        self.epoch, self.steps = epoch, steps
        self._first = self._began = None

    def end_step(self, step: int) -> None:
        """Notes the end of a step, counted from 0; the first of an epoch may include tracing."""
        self.step, self._last = step, self.clock()
        if self._began is None:
            self._first, self._began = step, self._last
        elif step >= self._first + MEASURED or step == self.steps - 1:
            self.step_seconds = (self._last - self._began) / (step - self._first)

    def left(self, done: bool = False) -> Left:
        """Returns the remaining time.

        Args:
            done: whether the current epoch is complete.
        """
        until = self.changes if self.epoch < self.changes else self.epochs
        if self.step_seconds is None:
            return Left(0.0 if done else None, None, until)
        end = self._ends[-1] if self._ends[1:] else 0.0  # the first one traces
        whole = self.steps * self.step_seconds + end
        epoch = 0.0 if done else (self.steps - 1 - self.step) * self.step_seconds + end
        return Left(epoch, epoch + (until - self.epoch - 1) * whole, until)
