"""Numbers for people."""

from __future__ import annotations

import math


def rounded(value: float, decimals: int) -> str:
    """Writes a number with some decimals; one below 1 with three significant digits at least.

    Args:
        value: number, such as a count in millions.
        decimals: decimals of numbers from 1 on.
    """
    if 0 < abs(value) < 1:
        decimals = max(decimals, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"
