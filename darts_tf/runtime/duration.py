"""Durations in words."""

from __future__ import annotations

_UNITS = {"days": 86400, "h": 3600, "min": 60}


def duration(seconds: float) -> str:
    """Returns a duration as people say it, in two or three digits: 0.35 s, 42 s, 7.5 min, 26 h."""
    for unit, size in _UNITS.items():
        if seconds >= 2 * size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds)} s"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
