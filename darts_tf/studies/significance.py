"""Whether results of several seeds differ: intervals and tests of Student's distribution.

Of so few seeds as searches are run with, no test says much; these say just how little.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

LEVEL = 0.95
"""Of confidence."""


def interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Where the mean of all possible seeds lies, by Student's distribution; None of a single one.

    Args:
        values: one for each seed.
        level: of confidence.
    """
    from scipy import stats  # late: it takes a second, and most commands need none

    if len(values) < 2:
        return None
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    reach = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * error
    return mean - reach, mean + reach


def p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """How probable a difference of means as large as this is where there is none.

    Welch's t test, of two samples that need not vary alike. None where one has a single value, or
    where neither varies.
    """
    from scipy import stats

    if min(len(first), len(second)) < 2:
        return None
    parts = [statistics.variance(values) / len(values) for values in (first, second)]
    if not sum(parts):
        return None
    t = (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(sum(parts))
    sizes = (len(first) - 1, len(second) - 1)
    freedom = sum(parts) ** 2 / sum(p**2 / n for p, n in zip(parts, sizes, strict=True))
    return 2 * float(stats.t.sf(abs(t), freedom))


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """The same for several comparisons at once (Holm 1979): the more there are, the larger.

    Args:
        p_values: by the name of the comparison; None of those that could not be made.
    """
    known = sorted((name for name, p in p_values.items() if p is not None), key=p_values.get)
    adjusted, largest = dict.fromkeys(p_values), 0.0
    for i, name in enumerate(known):
        largest = max(largest, min(1.0, p_values[name] * (len(known) - i)))
        adjusted[name] = largest
    return adjusted
