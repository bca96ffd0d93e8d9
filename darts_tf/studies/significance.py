"""Statistics of a few seeds: Student's interval of a mean, Welch's test, Holm's correction.

With as few seeds as searches are run with, no test says much; these say how little.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

LEVEL = 0.95
"""Confidence level of intervals."""


def interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Returns the interval that holds the mean over all possible seeds, by Student's distribution.

    Args:
        values: one for each seed.
        level: confidence level, between 0 and 1.

    Returns:
        Its two ends, or None with fewer than two values.
    """
    from scipy import stats  # late: it takes a second, and most commands need none

    if len(values) < 2:
        return None
    mean, error = statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
    if not error:  # SciPy's distribution has no width of 0
        return mean, mean
    low, high = stats.t.interval(level, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)


def p_value(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns how probable such a difference of means is if both samples have the same mean.

    This is Welch's t test: the samples may have different variances.

    Returns:
        The two-sided p-value, or None if a sample has fewer than two values or both have no
        variance.
    """
    from scipy import stats

    samples = (first, second)
    if min(map(len, samples)) < 2 or not any(map(statistics.variance, samples)):
        return None
    # from moments, which are exact: given samples, SciPy warns where all values of one are equal
    moments = [f(v) for v in samples for f in (statistics.fmean, statistics.stdev, len)]
    return float(stats.ttest_ind_from_stats(*moments, equal_var=False).pvalue)


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Adjusts p-values for several comparisons at once (Holm 1979).

    Args:
        p_values: by the name of the comparison; None for comparisons that could not be made.

    Returns:
        The adjusted p-values, none smaller than before.
    """
    known = sorted((name for name, p in p_values.items() if p is not None), key=p_values.get)
    adjusted, largest = dict.fromkeys(p_values), 0.0
    for i, name in enumerate(known):
        largest = max(largest, min(1.0, p_values[name] * (len(known) - i)))
        adjusted[name] = largest
    return adjusted
