"""Wording of errors: unknown names with what is known and nearest, and others' messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name` (letter case aside), or None where none is alike."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def unknown_name(kind: str, name: object, known: Iterable[object]) -> ValueError:
    """A one-line error for a name that is not in `known`; the caller raises it.

    Args:
        kind: What is named, as in "primitive".
        name: What was received.
        known: The names that would be right.
    """
    known = [str(candidate) for candidate in known]
    alike = nearest(name, known) if isinstance(name, str) else None
    hint = f" Did you mean {alike!r}?" if alike else ""
    return ValueError(
        f"Expected {kind} to be one of {', '.join(known)}. Received: {kind}={name!r:.80}.{hint}"
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip().splitlines() or ["no message"])[0]
