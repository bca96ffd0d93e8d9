"""What a run shows while it goes on."""

from __future__ import annotations

import time

import keras
import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from darts_tf.names import gigabytes


class EpochProgress(keras.callbacks.Callback):
    """A line per epoch, and in a terminal a bar over the whole run with the time left.

    A context manager, which gives the terminal back however the run ends.

    Args:
        epochs: of the whole run.
        changes: an epoch whose steps take longer than those before.
        console: where to.
    """

    def __init__(self, epochs: int, changes: int = 0, console: Console | None = None):
        super().__init__()
        self.epochs = epochs
        self.changes = changes
        self.console = console or Console(highlight=False, soft_wrap=True)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console, transient=True)
        self.task = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.bar.stop()

    def on_train_begin(self, logs=None):
        """Says why nothing seems to happen at first; a run of several searches begins anew."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None
        self.console.print("tracing the training step, which takes a while; steps are fast then")

    def on_epoch_begin(self, epoch, logs=None):
        """Knows what is left when the first epoch of this process begins."""
        self.epoch, self.measured = epoch, self.task is not None and epoch != self.changes
        self.first = None
        if self.task is None:
            steps = self.params["steps"] * (self.epochs - epoch)
            self.task = self.bar.add_task("", total=steps)
            self.bar.start()

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar, and says what to expect once some steps are done."""
        self.bar.advance(self.task)
        if self.first is None:  # it was traced and compiled
            self.first, self.began = batch, time.monotonic()
        elif batch == self.first + MEASURED and not self.measured:
            self._forecast((time.monotonic() - self.began) / MEASURED)

    def _forecast(self, step):
        until = self.changes if self.epoch < self.changes else self.epochs
        epoch = step * self.params["steps"]
        memory = psutil.Process().memory_info().rss
        self.console.print(
            f"{step:.3f} s a step, {duration(epoch)} an epoch, "
            f"{duration(epoch * (until - self.epoch))} until epoch {until}; "
            f"{gigabytes(memory)} of memory"
        )

    def report(self, metrics: dict) -> None:
        """Prints the line of an epoch, and the genotype where there is one."""
        shown = {name: value for name, value in metrics.items() if name in _SHOWN}
        numbers = "  ".join(
            f"{label}{shown[name]:{form}}"
            for name, (label, form) in _SHOWN.items()
            if name in shown
        )
        self.console.print(f"epoch {metrics['epoch'] + 1:>3}/{self.epochs}  {numbers}")
        if "genotype" in metrics:
            self.console.print(metrics["genotype"], style="dim")


MEASURED = 5
"""Steps whose mean time the forecast is made from."""


def duration(seconds: float) -> str:
    """As people say it: 42 s, 7 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


_SHOWN = {
    "loss": ("loss ", ".4f"),
    "accuracy": ("accuracy ", ".1%"),
    "perplexity": ("perplexity ", ".2f"),
    "arch_loss": ("arch loss ", ".4f"),
    "valid_perplexity": ("valid perplexity ", ".2f"),
    "valid_accuracy": ("valid accuracy ", ".1%"),
    "eigenvalue": ("eigenvalue ", ".3g"),
    "skips_normal": ("skips ", ".0f"),
    "discretisation_gap": ("gap ", ".1%"),
    "test_accuracy": ("test accuracy ", ".1%"),
    "test_top5_accuracy": ("top-5 ", ".1%"),
    "seconds": ("", ".1f"),
}
"""Metrics of the line in this order: what stands before each, and its format."""
