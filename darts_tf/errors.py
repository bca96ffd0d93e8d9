"""The project's own errors, and their wording: unknown names, values, messages of others."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable


class InputError(ValueError):
    """What was given cannot be used: says what was expected and what was received."""


class InUse(InputError):
    """Another process has what is asked for; it may be free later."""


SHOWN = 80
"""Characters of a value that an error shows."""

LISTED = 240
"""Characters of the names that an error lists."""

_SHORT = reprlib.Repr()  # looks at the start of a long or deep value only
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = SHOWN


def shown(value: object) -> str:
    """A value as an error shows it: its `repr` in one line, shortened where it is long."""
    try:
        return shortened(_SHORT.repr(value), SHOWN)
    except ValueError:  # Python writes no integer of several thousand digits
        return "a number with too many digits"


def listed(names: Iterable[object]) -> str:
    """Names with commas between them, as many as an error has room for."""
    return shortened(", ".join(map(str, names)), LISTED)


def shortened(text: str, length: int) -> str:
    """The text in one line, its end replaced by dots where it is longer than `length`."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name` (letter case aside), or None where none is alike."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def unknown_name(kind: str, name: object, known: Iterable[object]) -> InputError:
    """A one-line error for a name that is not in `known`; the caller raises it.

    Args:
        kind: What is named, as in "primitive".
        name: What was received.
        known: The names that would be right.
    """
    known = [str(candidate) for candidate in known]
    alike = nearest(name, known) if isinstance(name, str) else None
    hint = f" Did you mean {alike!r}?" if alike else ""
    return InputError(
        f"Expected {kind} to be one of {listed(known)}. Received: {kind}={shown(name)}.{hint}"
    )


def gigabytes(count: float) -> str:
    """Bytes as people read them."""
    return f"{count / 1e9:.1f} GB"


def in_one_line(error: BaseException) -> str:
    """An error with its kind, as much of its message as there is room for, without colours."""
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip() or "no message"
    return shortened(f"{type(error).__name__}: {text}", LISTED)


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip().splitlines() or ["no message"])[0]
