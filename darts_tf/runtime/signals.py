"""Signals that end a run: it finishes its step, saves its state, and prints how to resume."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator

ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a request to end, and the end of the terminal, such as a connection that is lost."""


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
    """Context manager: notes the first Ctrl-C, SIGTERM or SIGHUP; a second one acts as usual.

    A SIGHUP comes more than once, from the shell and from the system, and after a SIGTERM: it never
    ends the process within the block, and output to the terminal that is gone is dropped. One that
    the process ignores, as after `nohup`, is not noted. Does nothing outside the main thread, since
    only the main thread receives signals.
    """
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.getsignal(number) for number in ASKED}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    streams = (sys.__stdout__, sys.__stderr__)
    terminals = [stream.fileno() for stream in streams if _is_terminal(stream)]

    def note(number, frame):
        signals.received = signals.received or number
        for each in before.keys() - {signal.SIGHUP}:
            signal.signal(each, before[each])
        if number == signal.SIGHUP:
            _drop_output(terminals)

    for number in before:
        signal.signal(number, note)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_terminal(stream) -> bool:
    """Returns whether a stream writes to a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def _drop_output(descriptors: Iterable[int]) -> None:
    """Makes later writes to these file descriptors succeed without any effect."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
