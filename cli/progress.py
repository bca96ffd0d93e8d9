"""Progress of a run: a line per epoch, a bar, and forecasts of time."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import textwrap
import time
from collections.abc import Callable, Mapping

import keras
import psutil
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from darts_tf.cli import output
from darts_tf.errors import escaped_lines, gigabytes
from darts_tf.runtime.duration import duration
from darts_tf.runtime.repetition import repeated
from darts_tf.spaces.difference import count_changes, describe_changes


class EpochProgress(keras.callbacks.Callback):
    """Callback and context manager that prints the progress of a run.

    It prints a row of a table per epoch, what changes in the cells, and in a terminal a bar with
    the time left. Before the first row a legend explains the columns. While the first step is
    traced, a line every `SIGN_OF_LIFE` seconds shows that the run is alive. In the mode `json` it
    writes an event per epoch, and one for the first forecast. At exit the terminal is restored.

    Args:
        epochs: number of epochs of the whole run.
        changes: epoch from which on steps take longer than before.
        run: name of the run in events, such as its folder.
        console: rich console to print to.
        warmup: number of first steps of an epoch that take less time than the others, at least in
            some epochs; they are traced separately, and forecasts leave them out.
    """

    def __init__(
        self,
        epochs: int,
        changes: int = 0,
        run=None,
        console: Console | None = None,
        warmup: int = 0,
    ):
        super().__init__()
        self.warmup = warmup
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
        self._open = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._open.close()
        self.bar.stop()

    def on_train_begin(self, logs=None):
        """Prints that tracing takes a while; resets the bar if a run has several searches."""
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.task, self.cells, self.columns = None, None, None
        self.pace = Pace(self.epochs, self.changes, warmup=self.warmup)
        self._untraced = self.warmup > 0
        self._trace("the training step: slow once, then steps are fast")

    def _trace(self, what: str) -> None:
        """Prints what is traced, and signs of life until the next step ends."""
        self._say(f"tracing {what}")
        self._open.close()
        self._open.enter_context(signs_of_life("tracing", self._say))

    def on_train_end(self, logs=None):
        """Ends the signs of life of a run that had no step left."""
        self._open.close()

    def on_epoch_begin(self, epoch, logs=None):
        """Shows the bar of this epoch."""
        self.pace.begin_epoch(epoch, self.params["steps"])
        shown = {"description": f"{epoch + 1}/{self.epochs}", "left": self._left(self.pace.left())}
        if self.task is None:
            self.task = self.bar.add_task(total=self.params["steps"], **shown)
            self.bar.start()
        else:
            self.bar.reset(self.task, total=self.params["steps"], **shown)

    def on_train_batch_begin(self, batch, logs=None):
        """Prints that another step is traced after the first warm-up."""
        if self._untraced and batch >= self.warmup:
            self._untraced = False
            if batch == self.warmup:  # otherwise it is the first step after a resume
                self._trace("the step that updates the alphas")

    def on_train_batch_end(self, batch, logs=None):
        """Updates the bar, and prints a forecast after some steps."""
        self._open.close()  # the first step has been traced
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
        self._row(metrics, left, searches=cells is not None)
        if change:
            self._say(_wrapped(f"  {count_changes(self.cells, cells)}"), "dim")
        self.cells = cells

    def _row(self, metrics: dict, left: Left, searches: bool) -> None:
        """Prints the row of an epoch; before the first also the legend and the headings."""
        digits = len(str(self.epochs))
        texts = {"epoch": f"{metrics['epoch'] + 1:>{digits}}/{self.epochs}"}
        known = {name: metrics[name] for name in _COLUMNS if metrics.get(name) is not None}
        texts |= {name: _COLUMNS[name].form.format(value) for name, value in known.items()}
        texts["memory"] = gigabytes(memory())
        if left.run:
            until = "" if left.until == self.epochs else f" (to {left.until})"
            texts["left"] = duration(left.run) + until
        columns = tuple(name for name in texts if name != "left")
        if columns != self.columns:
            self.columns = columns
            self.widths = _widths([*columns, "left"], texts)
            explained = legend(columns, searches)
            if explained and explained not in _SHOWN:  # a command may have many runs
                _SHOWN.add(explained)
                self._say(f"\n{explained}\n", "dim")
            headings = {name: _heading(name) for name in self.widths}
            self._say(_line(headings, self.widths))
        self._say(_line(texts, self.widths))

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


@dataclasses.dataclass(frozen=True)
class Column:
    """Column of the table of epochs.

    Attributes:
        heading: its heading.
        form: format of its values.
        search: what the legend says about it in a search; empty for nothing.
        training: the same in a training.
        width: characters of the widest usual value.
    """

    heading: str
    form: str
    search: str = ""
    training: str = ""
    width: int = 6


_HALF = "the half of the training images that trains the architecture"

_COLUMNS = {
    "restart": Column("restart", "{:.0f}", "number of restarts of the weights so far", width=2),
    "loss": Column("loss", "{:.4f}", width=7),
    "accuracy": Column(
        "accuracy",
        "{:.1%}",
        "of the supernet, all operations mixed, on the half that trains its weights",
        "on the training images, augmented",
    ),
    "perplexity": Column("perplexity", "{:.2f}"),
    "arch_loss": Column("arch loss", "{:.4f}", f"loss on {_HALF}"),
    "valid_perplexity": Column("valid", "{:.2f}", *["perplexity on the validation text"] * 2),
    "valid_accuracy": Column(
        "valid", "{:.1%}", f"accuracy on {_HALF}", "accuracy on held-out training images"
    ),
    "eigenvalue": Column("eigenvalue", "{:.3g}", "of the alphas' Hessian; grows before a collapse"),
    "skips_normal": Column(
        "skips", "{:.0f}", "skip connections among the normal cell's edges", width=2
    ),
    "skips_cell": Column("skips", "{:.0f}", "skip connections among the cell's edges", width=2),
    "discretisation_gap": Column("gap", "{:.1%}", "accuracy lost by keeping the cells' edges only"),
    "test_accuracy": Column("test", "{:.1%}", "", "accuracy on the test images"),
    "test_top5_accuracy": Column("top-5", "{:.1%}"),
    "seconds": Column("time", "{:.1f} s", width=7),
}
"""Columns of the table by metric, in order."""

_SHOWN: set[str] = set()  # legends that this process has printed

WIDTH = 80
"""Most characters of a row."""

_DISPENSABLE = ("memory", "seconds", "skips_normal", "skips_cell", "loss", "restart")
"""Columns that are left out, in this order, where a row would be too long."""


def legend(columns, searches: bool) -> str:
    """Returns lines that explain the columns of the table of epochs."""
    lines = []
    for name in columns:
        column = _COLUMNS.get(name)
        text = column and (column.search if searches else column.training)
        if text:
            lines.append(_wrapped(f"{column.heading}: {text}"))
    return "\n".join(lines)


def _heading(name: str) -> str:
    return _COLUMNS[name].heading if name in _COLUMNS else name


def _widths(names, texts: Mapping[str, str]) -> dict[str, int]:
    """Returns the widths of the columns that fit in a row, by name."""
    usual = {name: _COLUMNS[name].width for name in names if name in _COLUMNS}
    usual |= {"memory": 7, "left": 8}
    widths = {
        name: max(len(_heading(name)), len(texts.get(name, "")), usual.get(name, 0))
        for name in names
    }
    for name in _DISPENSABLE:
        if sum(widths.values()) + 2 * (len(widths) - 1) <= WIDTH:
            break
        widths.pop(name, None)
    return widths


def _line(texts: Mapping[str, str], widths: Mapping[str, int]) -> str:
    return "  ".join(texts.get(name, "").rjust(width) for name, width in widths.items()).rstrip()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


SIGN_OF_LIFE = 15.0
"""Seconds between two lines about slow work that has no other progress."""


def signs_of_life(
    what: str, say: Callable[[str], None], every: float = SIGN_OF_LIFE
) -> contextlib.AbstractContextManager[None]:
    """Context manager: prints a line about slow work, again and again while it lasts.

    Args:
        what: name of the work.
        say: prints a line.
        every: seconds between two lines.
    """
    began = time.monotonic()
    return repeated(
        lambda: say(f"still {what}, for {duration(time.monotonic() - began)} now"), every
    )


MEASURED = 5
"""Number of steps whose mean time gives the first forecast."""

SMOOTHED = 5
"""Number of epochs whose mean gives the later ones."""


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
        warmup: number of first steps of an epoch that are not measured.
        clock: function that returns the time, seconds.
    """

    def __init__(
        self,
        epochs: int,
        changes: int = 0,
        clock: Callable[[], float] = time.monotonic,
        warmup: int = 0,
    ):
        self.epochs = epochs
        self.warmup = warmup
        self.changes = changes
        self.clock = clock
        self.step_seconds: float | None = None
        self._ends = []  # from an epoch's last step to the next one's first
        self._earlier = []  # seconds per step of the epochs before, of the same kind
        self._last = None

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Notes that an epoch with this number of steps begins."""
        if self._last is not None:
            self._ends.append(self.clock() - self._last)
        if epoch == self.changes:
            self.step_seconds = None
            self._earlier.clear()
        if self.step_seconds is not None:
            self._earlier.append(self.step_seconds)
        self.epoch, self.steps = epoch, steps
        self._first = self._began = None

    def end_step(self, step: int) -> None:
        """Notes the end of a step, counted from 0; the first of an epoch may include tracing."""
        self.step, self._last = step, self.clock()
        if step < self.warmup:
            return
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
        ends = self._ends[1:][-SMOOTHED:]  # the first one traces
        end = statistics.fmean(ends) if ends else 0.0
        step = statistics.fmean([*self._earlier[1 - SMOOTHED :], self.step_seconds])
        whole = self.steps * step + end
        epoch = 0.0 if done else (self.steps - 1 - self.step) * step + end
        return Left(epoch, epoch + (until - self.epoch - 1) * whole, until)
