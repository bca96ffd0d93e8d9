"""Bounds on what a network may cost, as people write them: latency=12ms, macs=600M."""

from __future__ import annotations

import re
from typing import NamedTuple

from darts_tf.errors import InputError
from darts_tf.names import shown, unknown_name

_NUMBERS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20}

UNITS = {
    "macs": _NUMBERS,
    "params": _NUMBERS,
    "bytes": _BYTES,
    "latency": {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9},
}
"""What can be bounded, and the units to write it in; costs are whole numbers of the smallest."""

EXAMPLES = "latency=12ms, macs=600M, params=3M or bytes=5MB"


class Budget(NamedTuple):
    """The most that a network may cost.

    Attributes:
        metric: a key of `UNITS`.
        most: multiply-accumulates, parameters, bytes or nanoseconds.
    """

    metric: str
    most: int

    def __str__(self) -> str:
        return f"{self.metric}={written(*self)}"


def parsed(text: str) -> Budget:
    """What a text such as `macs=600M` says.

    Raises:
        InputError: it says no such thing.
    """
    metric, _, amount = text.partition("=")
    if metric not in UNITS:
        known = unknown_name("the metric of a budget", metric, UNITS)
        raise InputError(f"Expected a budget as in {EXAMPLES}. Received: {shown(text)}") from known
    match = re.fullmatch(r"(\d{1,18})(?:\.(\d{1,9}))?([a-z]*)", amount.strip(), re.I | re.A)
    unit = UNITS[metric].get(match[3].lower()) if match else None
    if unit is None:
        units = ", ".join(name or "none" for name in UNITS[metric])
        raise InputError(
            f"Expected a budget as in {EXAMPLES}; units of {metric}: {units}. "
            f"Received: {shown(text)}"
        )
    decimals = match[2] or ""
    most = int(match[1] + decimals) * unit // 10 ** len(decimals)
    if most < 1:
        raise InputError(f"Expected a budget above zero. Received: {shown(text)}")
    return Budget(metric, most)


def written(metric: str, cost: int) -> str:
    """A cost as a budget takes it, exactly."""
    if metric != "latency":
        return str(cost)
    whole, rest = divmod(cost, 10**6)
    return f"{whole}.{rest:06d}ms"


def checked(name: str, value):
    """A budget's text, once it has been read; what is no text is left.

    Raises:
        InputError: it says no budget.
    """
    if isinstance(value, str):
        parsed(value)
    return value
