"""Parsing of budgets: the cost of a network (macs=600M), and of a study (time=30min)."""

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
"""Metrics that a budget can limit, and their units; costs are integers in the smallest unit."""

BUDGET_EXAMPLES = "latency=12ms, macs=600M, params=3M or bytes=5MB"


class Budget(NamedTuple):
    """Upper limit of the cost of a network.

    Attributes:
        metric: a key of `UNITS`.
        most: the limit in multiply-accumulates, parameters, bytes or nanoseconds.
    """

    metric: str
    most: int

    def __str__(self) -> str:
        return f"{self.metric}={written_cost(*self)}"


def parsed_budget(text: str) -> Budget:
    """Parses the budget of a network, such as `macs=600M`.

    Raises:
        InputError: unknown metric or unit, no number, or a limit below 1 in the smallest unit.
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
    """Writes a cost so that `parsed_budget` restores it exactly; latencies in milliseconds."""
    if metric != "latency":
        return str(cost)
    whole, rest = divmod(cost, 10**6)
    return f"{whole}.{rest:06d}ms"


def checked_budget(name: str, value):
    """Returns the value unchanged, after checking that a string is a budget of a network.

    Raises:
        InputError: the string is not a budget.
    """
    if isinstance(value, str):
        parsed_budget(value)
    return value


SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
"""Seconds of each unit of time."""

WHOLE = {"": 1}
"""Units of counts: no suffixes."""

ALLOWANCE_EXAMPLES = "trials=20, epochs=100, time=30min or like=FOLDER"


class Allowance(NamedTuple):
    """Upper limit of the trials, epochs or time of a study.

    Attributes:
        unit: `trials` started, `epochs` trained in all trials, or `seconds` of training summed
            over all trials and workers.
        most: the limit in this unit.
    """

    unit: str
    most: float

    def __str__(self) -> str:
        return self.written(self.most)

    def written(self, amount: float) -> str:
        """Formats an amount in this unit for people: 3 trials, 90 s, 2.5 h."""
        if self.unit == "seconds":
            return duration(amount)
        return f"{amount:g} {self.unit if amount != 1 else self.unit[:-1]}"


def parsed_allowance(text: str) -> Allowance | str:
    """Parses the budget of a study, such as `time=30min`; for `like=FOLDER` returns the folder.

    Raises:
        InputError: unknown kind or unit, no number, or a limit that is not above zero.
    """
    kind, _, amount = text.partition("=")
    if kind == "like" and amount:
        return amount
    exact = parsed_amount(amount, SECONDS if kind == "time" else WHOLE)
    if exact is not None and kind in ("trials", "epochs") and exact.denominator == 1:
        allowance = Allowance(kind, int(exact))
    elif exact is not None and kind == "time":
        allowance = Allowance("seconds", float(exact))
    else:
        units = f" (units of time: {', '.join(SECONDS)})" if kind == "time" else ""
        raise InputError(
            f"Expected a budget as in {ALLOWANCE_EXAMPLES}{units}. Received: {shown(text)}"
        )
    if allowance.most <= 0:
        raise InputError(f"Expected a budget above zero. Received: {shown(text)}")
    return allowance


def checked_allowance(name: str, value):
    """Returns the value unchanged, after checking that a string is a budget of a study.

    Raises:
        InputError: the string is not a budget.
    """
    if isinstance(value, str):
        parsed_allowance(value)
    return value
