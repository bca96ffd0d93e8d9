"""Signals that end a run: it finishes its step, saves its state, and prints how to resume."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

ASKED = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was interrupted, and has saved all that it needs to resume.

    Attributes:
        signal: the number of the signal.
    """

    def __init__(self, message: str, number: int = signal.SIGINT):
        super().__init__(message)
        self.signal = number


class Diverged(RuntimeError):
    """Several steps in a row had numbers that are not finite."""


class Signals:
    """Signals noted so far: `received` is the number of the first one, or None."""

    received: int | None = None


@contextlib.contextmanager
def deferred() -> Iterator[Signals]:
    """Context manager: notes the first Ctrl-C or SIGTERM; a second one acts as usual.

    Does nothing outside the main thread, since only the main thread receives signals.
    """
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.getsignal(number) for number in ASKED}

    def note(number, frame):
        signals.received = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in ASKED:
        signal.signal(number, note)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
