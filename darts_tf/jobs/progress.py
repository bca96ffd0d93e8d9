"""Progress of jobs in terminals and notebooks: Keras' own bars, and a few lines."""

from __future__ import annotations

import keras

from darts_tf.errors import InputError, shown

LEVELS = (0, 1, 2)
"""Values of `verbose`, as in Keras: silent, a bar per epoch, a line per epoch."""


def level_of(verbose: int | str) -> int:
    """Returns the level of `verbose`; "auto" is 1, as in Keras.

    Raises:
        InputError: another value.
    """
    if verbose == "auto":
        return 1
    if verbose not in LEVELS:
        raise InputError(f"Expected verbose to be 'auto', 0, 1 or 2. Received: {shown(verbose)}")
    return int(verbose)


SHOWN = ("loss", "accuracy", "perplexity")
"""Ends of the names of the metrics that are shown."""


class Progress(keras.callbacks.ProgbarLogger):
    """Keras' progress bar for runs, whose epochs may begin at any step.

    Args:
        level: a value of `LEVELS`.
        held_out: prefix of the metrics on held-out images, as in the history of the run.
    """

    def __init__(self, level: int, held_out: str = "valid"):
        super().__init__()
        self.level = level
        self.held_out = held_out

    def set_params(self, params):
        """Sets epochs and steps; runs themselves do not know how much to print."""
        super().set_params({**params, "verbose": self.level})

    def on_train_begin(self, logs=None):
        """Prints why the first step takes a while."""
        super().on_train_begin(logs)
        if self.level:
            print("tracing the first step, which takes a while", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        """Completes the bar with losses and measures of quality; the rest is in the history."""
        shown = (name for name in logs or {} if name.endswith(SHOWN))
        super().on_epoch_end(epoch, {self._readable(name): logs[name] for name in shown})

    def _readable(self, name: str) -> str:
        plain = name.removeprefix("val_")
        return name if plain == name else f"{self.held_out}_{plain}"


class Lines:
    """Prints lines about a job, unless it is silent.

    Args:
        verbose: as in `level_of`.
    """

    def __init__(self, verbose: int | str):
        self.level = level_of(verbose)

    def __call__(self, line: object) -> None:
        """Prints a line."""
        if self.level:
            print(line, flush=True)

    def callbacks(self, held_out: str = "valid") -> list[keras.callbacks.Callback]:
        """Returns the callbacks that show the progress of a run; see `Progress`."""
        return [Progress(self.level, held_out)] if self.level else []
