"""Audit of readers: records their access to the machine while they read hostile input."""

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
    sys.addaudithook(_record)  # added once, since Python cannot remove an audit hook


@contextlib.contextmanager
def witnessed() -> Iterator[list[tuple[str, tuple]]]:
    """Context manager: records the audit events of the block: files, code, processes, imports."""
    _install()
    events = []
    _watching.append((threading.get_ident(), events))
    try:
        yield events
    finally:
        _watching.pop()


def forbidden(events, folder=None, writes: bool = False, parses: bool = False) -> list:
    """Returns the events that a reader must not cause.

    Args:
        events: events that `witnessed` recorded.
        folder: folder in which it may read files; by default none.
        writes: whether it may write there too.
        parses: whether it may parse Python without running it; a syntax error reads the line.
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
    """Returns whether an argument is a path inside a folder, or no path; modes are short words."""
    path = os.fsdecode(path)
    inside = os.path.join(os.path.realpath(path), "").startswith(os.path.join(folder, ""))
    return inside or path in ("r", "rb", "w", "wb")


# The test


def fuzz(inputs: st.SearchStrategy, count: int, read: Callable, **allowed) -> float:
    """Passes many inputs to a reader; returns the share of rejected ones.

    Every input must be accepted, or rejected by an `InputError` of one short line. No code is run,
    and no file outside the folder is touched.

    Args:
        inputs: strategy of inputs.
        count: number of inputs, of which `make test` takes a part; see `example_counts.examples`.
        read: takes one input, and returns a function to audit.
        **allowed: permissions of the reader, arguments of `forbidden`.
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
