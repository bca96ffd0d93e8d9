"""Signals that ask a run to end: it finishes its step, keeps what it has, and says how to go on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

ASKED = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was asked to end and has kept all that it needs to go on.

    Attributes:
        signal: the number of the signal.
    """

    def __init__(self, message: str, number: int = signal.SIGINT):
        super().__init__(message)
        self.signal = number


class Diverged(RuntimeError):
    """Steps one after another whose numbers are not finite."""


class Signals:
    """What was asked for so far: `received` is the number of the first signal, or None."""

    received: int | None = None


@contextlib.contextmanager
def deferred() -> Iterator[Signals]:
    """Within this block the first Ctrl-C or SIGTERM is noted; a second one acts as always.

    In another thread than the main one, which gets no signals, nothing changes.
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
