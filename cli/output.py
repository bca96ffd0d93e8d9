"""Output of commands: lines for people, only results, or one JSON object per line for programs."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from darts_tf.errors import escaped_lines, unknown_name

if TYPE_CHECKING:  # importing rich at run time would slow down every command
    from rich.console import Console, RenderableType

MODES = ("normal", "quiet", "json")
"""Modes of output. normal: all lines. quiet: results and warnings. json: only events."""

_chosen = MODES[0]
_events = None


def set_mode(name: str) -> None:
    """Sets the mode of output, one of `MODES`.

    Raises:
        InputError: the mode is unknown.
    """
    global _chosen
    if name not in MODES:
        raise unknown_name("mode", name, MODES)
    _chosen = name


def mode() -> str:
    """Returns the mode that was set last, initially `normal`."""
    return _chosen


def say(text: RenderableType, style: str | None = None) -> None:
    """Prints progress, which only the normal mode shows.

    Args:
        text: one or more lines, or another object that rich prints.
        style: name of a rich style.
    """
    if _chosen == "normal":
        _print(text, style)


def result(text: RenderableType, style: str | None = None) -> None:
    """Prints a result, which the quiet mode shows too; see `say`."""
    if _chosen != "json":
        _print(text, style)


def warn(text: str, level: str = "warning") -> None:
    """Prints a warning, in all modes.

    Args:
        text: one line.
        level: name of a logging level in lower case.
    """
    if _chosen == "json":
        event(level, text=text)
    else:
        _print(f"{level}: {text}")


def event(kind: str, **fields) -> None:
    """Writes an event in the mode `json`: an object with its kind, time and fields.

    Args:
        kind: kind of event, a word.
        **fields: other fields of the object. NumPy numbers and paths are converted; NaN and
            infinity become null.
    """
    if _chosen == "json":
        from darts_tf.runs import files

        fields = files.plain({"event": kind, "time": round(time.time(), 3), **fields})
        print(json.dumps(fields, allow_nan=False), file=_events or sys.stdout, flush=True)


@contextlib.contextmanager
def reserved() -> Iterator[None]:
    """Context manager: in the mode `json`, redirects other output to standard error."""
    global _events
    if _chosen != "json":
        yield
        return
    before, _events = _events, sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _events = before


def console() -> Console:
    """Returns a rich console that does not wrap lines."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _print(what, style=None):
    if isinstance(what, str) and style is None:
        print(escaped_lines(what), flush=True)
    elif isinstance(what, str):
        console().print(escaped_lines(what), style=style, markup=False)
    else:
        from rich.console import Console

        Console(highlight=False).print(what)  # tables fit the terminal
