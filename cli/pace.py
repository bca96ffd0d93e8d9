"""How long is left, from how long steps and ends of epochs have taken."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

MEASURED = 5
"""Steps whose mean time the first forecast is made from."""


@dataclasses.dataclass(frozen=True)
class Left:
    """Seconds that are left; None where nothing can be said yet.

    Attributes:
        epoch: of the epoch under way.
        run: until the end of epoch `until`.
        until: the run's last epoch, or the last before steps take longer.
    """

    epoch: float | None
    run: float | None
    until: int


class Pace:
    """Measures a run.

    Args:
        epochs: of the whole run.
        changes: the epoch, counted from 0, from which on steps take longer; 0 for none.
        clock: gives seconds.
    """

    def __init__(self, epochs: int, changes: int = 0, clock: Callable[[], float] = time.monotonic):
        self.epochs = epochs
        self.changes = changes
        self.clock = clock
        self.step_seconds: float | None = None
        self._ends = []  # from an epoch's last step to the next one's first
        self._last = None

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Notes that an epoch begins, which has so many steps."""
        if self._last is not None:
            self._ends.append(self.clock() - self._last)
        if epoch == self.changes:
            self.step_seconds = None
        self.epoch, self.steps = epoch, steps
        self._first = self._began = None

    def end_step(self, step: int) -> None:
        """Notes that a step has ended, counted from 0; an epoch's first may be one that traces."""
        self.step, self._last = step, self.clock()
        if self._began is None:
            self._first, self._began = step, self._last
        elif step >= self._first + MEASURED or step == self.steps - 1:
            self.step_seconds = (self._last - self._began) / (step - self._first)

    def left(self, done: bool = False) -> Left:
        """What is left now.

        Args:
            done: the epoch under way is at its end.
        """
        until = self.changes if self.epoch < self.changes else self.epochs
        if self.step_seconds is None:
            return Left(0.0 if done else None, None, until)
        end = self._ends[-1] if self._ends[1:] else 0.0  # the first one traces
        whole = self.steps * self.step_seconds + end
        epoch = 0.0 if done else (self.steps - 1 - self.step) * self.step_seconds + end
        return Left(epoch, epoch + (until - self.epoch - 1) * whole, until)
