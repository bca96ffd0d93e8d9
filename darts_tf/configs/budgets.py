"""Budgets as people write them: of a network (macs=600M), and of a study (time=30min)."""

from __future__ import annotations

from typing import NamedTuple

from darts_tf.configs.base import NUMBERS, parsed_amount
from darts_tf.errors import InputError, shown, unknown_name
from darts_tf.runtime.duration import duration

_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20}

UNITS = {
    "macs": NUMBERS,
    "params": NUMBERS,
    "bytes": _BYTES,
    "latency": {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9},
}
"""What can be bounded, and the units to write it in; costs are whole numbers of the smallest."""

BUDGET_EXAMPLES = "latency=12ms, macs=600M, params=3M or bytes=5MB"


class Budget(NamedTuple):
    """The most that a network may cost.

    Attributes:
        metric: a key of `UNITS`.
        most: multiply-accumulates, parameters, bytes or nanoseconds.
    """

    metric: str
    most: int

    def __str__(self) -> str:
        return f"{self.metric}={written_cost(*self)}"


def parsed_budget(text: str) -> Budget:
    """What a text such as `macs=600M` says.

    Raises:
        InputError: it says no such thing.
    """
    metric, _, amount = text.partition("=")
    if metric not in UNITS:
        known = unknown_name("the metric of a budget", metric, UNITS)
        raise InputError(
            f"Expected a budget as in {BUDGET_EXAMPLES}. Received: {shown(text)}"
        ) from known
    exact = parsed_amount(amount, UNITS[metric])
    if exact is None:
        units = ", ".join(name or "none" for name in UNITS[metric])
        raise InputError(
            f"Expected a budget as in {BUDGET_EXAMPLES}; units of {metric}: {units}. "
            f"Received: {shown(text)}"
        )
    most = int(exact)
    if most < 1:
        raise InputError(f"Expected a budget above zero. Received: {shown(text)}")
    return Budget(metric, most)


def written_cost(metric: str, cost: int) -> str:
    """A cost as a budget takes it, exactly."""
    if metric != "latency":
        return str(cost)
    whole, rest = divmod(cost, 10**6)
    return f"{whole}.{rest:06d}ms"


def checked_budget(name: str, value):
    """A budget's text, once it has been read; what is no text is left.

    Raises:
        InputError: it says no budget.
    """
    if isinstance(value, str):
        parsed_budget(value)
    return value


SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""Units of time."""

WHOLE = {"": 1}
"""Units of what is counted one by one."""

ALLOWANCE_EXAMPLES = "trials=20, epochs=100, time=30min or like=FOLDER"


class Allowance(NamedTuple):
    """The most that a study may spend.

    Attributes:
        unit: `trials` begun, `epochs` trained in all of them, or `seconds` that these took, by
            whatever number of workers.
        most: of these.
    """

    unit: str
    most: float

    def __str__(self) -> str:
        return self.written(self.most)

    def written(self, amount: float) -> str:
        """An amount in this unit, as people say it: 3 trials, 90 s, 2.5 h."""
        if self.unit == "seconds":
            return duration(amount)
        return f"{amount:g} {self.unit if amount != 1 else self.unit[:-1]}"


def parsed_allowance(text: str) -> Allowance | str:
    """What a text such as `time=30min` says; of `like=FOLDER`, the folder.

    Raises:
        InputError: it says no such thing.
    """
    kind, _, amount = text.partition("=")
    if kind == "like" and amount:
        return amount
    exact = parsed_amount(amount, SECONDS if kind == "time" else WHOLE)
    if exact is not None and kind in ("trials", "epochs") and exact.denominator == 1:
        found = Allowance(kind, int(exact))
    elif exact is not None and kind == "time":
        found = Allowance("seconds", float(exact))
    else:
        units = f" (units of time: {', '.join(SECONDS)})" if kind == "time" else ""
        raise InputError(
            f"Expected a budget as in {ALLOWANCE_EXAMPLES}{units}. Received: {shown(text)}"
        )
    if found.most <= 0:
        raise InputError(f"Expected a budget above zero. Received: {shown(text)}")
    return found


def checked_allowance(name: str, value):
    """A budget's text, once it has been read; what is no text is left.

    Raises:
        InputError: it says no budget.
    """
    if isinstance(value, str):
        parsed_allowance(value)
    return value
