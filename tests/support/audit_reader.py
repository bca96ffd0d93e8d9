"""Readers under watch: what they ask of the machine while they are given hostile input."""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator

from example_counts import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darts_tf.errors import InputError

SETTINGS = {
    **{"deadline": None, "derandomize": True, "database": None},
    "suppress_health_check": list(HealthCheck),
}

LONGEST_MESSAGE = 500

_watching: list[tuple[int, list]] = []

_HARMLESS = {
    "array.__new__",
    "builtins.id",
    "sys._getframe",
    "object.__getattr__",
    "object.__setattr__",
}

_FILES = {"open", "os.listdir", "os.scandir"}

_WRITES = {
    *("os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.utime"),
    *("shutil.rmtree", "tempfile.mkdtemp"),
}


def _record(event: str, arguments: tuple) -> None:
    if _watching and _watching[-1][0] == threading.get_ident():
        _watching[-1][1].append((event, arguments))


@functools.cache
def _install() -> None:
    sys.addaudithook(_record)  # once and for good: Python has no way to take one back


@contextlib.contextmanager
def witnessed() -> Iterator[list[tuple[str, tuple]]]:
    """Records all that the block asks of the machine: files, code, processes, imports, ..."""
    _install()
    events = []
    _watching.append((threading.get_ident(), events))
    try:
        yield events
    finally:
        _watching.pop()


def forbidden(events, folder=None, writes: bool = False, parses: bool = False) -> list:
    """Those events that a reader has no business with.

    Args:
        events: what `witnessed` gave.
        folder: where it may read files; by default nowhere.
        writes: it may write there too.
        parses: it may parse Python, which is not to run it. An error there looks for the line.
    """
    return [event for event in events if not _is_allowed(*event, folder, writes, parses)]


def _is_allowed(event, arguments, folder, writes, parses) -> bool:
    if event in _HARMLESS or (parses and event == "compile"):
        return True
    if parses and event == "open" and arguments[0] == os.devnull:
        return True
    if folder is None or event not in (_FILES | _WRITES if writes else _FILES):
        return False
    if event == "open" and not writes and arguments[1] not in ("r", "rb"):
        return False
    return all(_is_inside(path, folder) for path in arguments if isinstance(path, str | bytes))


def _is_inside(path, folder) -> bool:
    """A path, or one of the other arguments: modes are short words."""
    path = os.fsdecode(path)
    inside = os.path.join(os.path.realpath(path), "").startswith(os.path.join(folder, ""))
    return inside or path in ("r", "rb", "w", "wb")


# The test


def fuzz(inputs: st.SearchStrategy, count: int, read: Callable, **allowed) -> float:
    """Gives a reader many inputs; returns the share of them that it refused.

    Every input is either taken, or refused by one `InputError` in one short line. Nothing is run,
    and no file outside the folder is touched.

    Args:
        inputs: what to give.
        count: how many, or a part of them; see `example_counts.examples`.
        read: takes one input, and returns a function to watch.
        **allowed: to the reader, as `forbidden` takes it.
    """
    outcomes = collections.Counter()

    @settings(max_examples=examples(count), **SETTINGS)
    @given(inputs)
    def one(given_input):
        reader = read(given_input)
        with witnessed() as events:
            error = _error_of(reader)
        unexpected = forbidden(events, **allowed)
        assert not unexpected, unexpected
        if error:
            _check_message(str(error).replace(str(allowed.get("folder", "\n")), ""))
        outcomes[error is not None] += 1

    one()
    return outcomes[True] / outcomes.total()


def _error_of(reader: Callable) -> InputError | None:
    try:
        reader()
    except InputError as error:
        return error
    return None


def _check_message(message: str) -> None:
    assert "xpected " in message, message
    assert len(message.splitlines()) == 1, message
    assert len(message) <= LONGEST_MESSAGE, message
