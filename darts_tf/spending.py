"""What a study may spend, as people write it: trials=20, epochs=100, time=30min, like=FOLDER."""

from __future__ import annotations

import re
from typing import NamedTuple

from darts_tf.errors import InputError
from darts_tf.names import shown

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}

EXAMPLES = "trials=20, epochs=100, time=30min or like=FOLDER"


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
        if self.unit != "seconds":
            return f"{amount:g} {self.unit if amount != 1 else self.unit[:-1]}"
        name = max((n for n in SECONDS if SECONDS[n] <= max(amount, 1)), key=SECONDS.get)
        return f"{amount / SECONDS[name]:.3g} {name}"


def parsed(text: str) -> Allowance | str:
    """What a text such as `time=30min` says; of `like=FOLDER`, the folder.

    Raises:
        InputError: it says no such thing.
    """
    kind, _, amount = text.partition("=")
    if kind == "like" and amount:
        return amount
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)([a-z]*)", amount.strip(), re.I | re.A)
    if match and kind in ("trials", "epochs") and amount.strip().isdigit():
        found = Allowance(kind, int(match[1]))
    elif match and kind == "time" and match[2].lower() in SECONDS:
        found = Allowance("seconds", float(match[1]) * SECONDS[match[2].lower()])
    else:
        units = f" (units of time: {', '.join(SECONDS)})" if kind == "time" else ""
        raise InputError(f"Expected a budget as in {EXAMPLES}{units}. Received: {shown(text)}")
    if found.most <= 0:
        raise InputError(f"Expected a budget above zero. Received: {shown(text)}")
    return found


def checked(name: str, value):
    """A budget's text, once it has been read; what is no text is left.

    Raises:
        InputError: it says no budget.
    """
    if isinstance(value, str):
        parsed(value)
    return value
