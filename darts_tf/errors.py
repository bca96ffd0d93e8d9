"""The project's own errors, and their wording: unknown names, values, messages of others."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable


class InputError(ValueError):
    """Invalid input: the message says what was expected and what was received."""


class InUse(InputError):
    """A resource is locked by another process; it may be free later."""


SHOWN = 80
"""Most characters of a value in an error message."""

LISTED = 240
"""Most characters of a list of names in an error message."""

_ALIKE = 0.7  # below this similarity, suggestions were wrong guesses more often than not

_SHORT = reprlib.Repr()  # looks at the start of a long or deep value only
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = SHOWN


def shown(value: object) -> str:
    """Returns a value's `repr` for an error message, in one line and shortened if it is long."""
    try:
        return shortened(_SHORT.repr(value), SHOWN)
    except ValueError:  # Python writes no integer of several thousand digits
        return "a number with too many digits"


def listed(names: Iterable[object]) -> str:
    """Returns names joined by commas, cut to the room that an error message has."""
    return shortened(", ".join(map(str, names)), LISTED)


def shortened(text: str, length: int) -> str:
    """Returns the text in one line, its end replaced by dots if it is longer than `length`."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that end lines or turn directions, and bytes that are not UTF-8."""


def escaped(text: object) -> str:
    r"""Returns a text in which control characters are written as in Python: `\x1b`, `\n`.

    Names of files and classes may hold any character; printed as they are, they could move the
    cursor, hide lines or set the title of a terminal.
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def escaped_lines(text: str) -> str:
    """Returns a text of several lines with each of them `escaped`; tabs stay."""
    lines = ("\t".join(map(escaped, line.split("\t"))) for line in text.split("\n"))
    return "\n".join(lines)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name most similar to `name`, ignoring case; None if none is similar."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=_ALIKE)
    swapped = (each for each in by_lower if sorted(each) == sorted(name.lower()))
    begun = (each for each in by_lower if len(name) > 2 and each.startswith(name.lower()))
    return by_lower.get([*matches, *swapped, *begun, ""][0])


def unknown_name(kind: str, name: object, known: Iterable[object]) -> InputError:
    """Returns a one-line error for a name that is not in `known`; the caller raises it.

    Args:
        kind: noun for what is named, such as "primitive".
        name: the name received.
        known: the valid names.
    """
    known = [str(candidate) for candidate in known]
    alike = nearest(name, known) if isinstance(name, str) else None
    hint = f" Did you mean {alike!r}?" if alike else ""
    return InputError(
        f"Expected {kind} to be one of {listed(known)}. Received: {kind}={shown(name)}.{hint}"
    )


def gigabytes(count: float) -> str:
    """Formats a number of bytes in gigabytes, such as "1.5 GB"."""
    return f"{count / 1e9:.1f} GB"


def in_one_line(error: BaseException) -> str:
    """Formats an error as its type and message in one line, shortened, without terminal colors."""
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip() or "no message"
    return shortened(f"{type(error).__name__}: {text}", LISTED)


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message."""
    return (str(error).strip().splitlines() or ["no message"])[0]
