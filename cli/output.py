"""What commands print: lines for people, results alone, or one JSON object a line for programs."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from darts_tf.errors import unknown_name

if TYPE_CHECKING:  # rich and NumPy are not for every command line
    from rich.console import Console, RenderableType

MODES = ("normal", "quiet", "json")
"""normal: all lines. quiet: results and warnings. json: events, and nothing else."""

_chosen = MODES[0]
_events = None


def set_mode(name: str) -> None:
    """Chooses what is printed from now on, one of `MODES`.

    Raises:
        InputError: there is no such mode.
    """
    global _chosen
    if name not in MODES:
        raise unknown_name("mode", name, MODES)
    _chosen = name


def mode() -> str:
    """The one that was chosen last; at first `normal`."""
    return _chosen


def say(text: RenderableType, style: str | None = None) -> None:
    """Prints something on the way, which only the normal mode shows.

    Args:
        text: a line or several, or what else rich prints.
        style: rich's name of a style for it.
    """
    if _chosen == "normal":
        _print(text, style)


def result(text: RenderableType, style: str | None = None) -> None:
    """Prints what a command was run for, which the quiet mode shows too; see `say`."""
    if _chosen != "json":
        _print(text, style)


def warn(text: str, level: str = "warning") -> None:
    """Prints a warning, in all modes.

    Args:
        text: one line.
        level: how serious it is, a level of logging in small letters.
    """
    if _chosen == "json":
        event(level, text=text)
    else:
        _print(f"{level}: {text}")


def event(kind: str, **fields) -> None:
    """Writes an event where the mode is `json`: an object with its kind, time and fields.

    Args:
        kind: of event, a word.
        **fields: of the object; NumPy's numbers and paths are taken, what is not finite is null.
    """
    if _chosen == "json":
        from darts_tf.runs import files

        told = files.plain({"event": kind, "time": round(time.time(), 3), **fields})
        print(json.dumps(told, allow_nan=False), file=_events or sys.stdout, flush=True)


@contextlib.contextmanager
def reserved() -> Iterator[None]:
    """Within this block, where the mode is `json`, what others print goes to standard error."""
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
    """Of rich, for people; lines are as long as they need."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _print(what, style=None):
    if isinstance(what, str) and style is None:
        print(what, flush=True)
    elif isinstance(what, str):
        console().print(what, style=style, markup=False)
    else:
        from rich.console import Console

        Console(highlight=False).print(what)  # tables fit the terminal
