"""Intervals and tests, against tables of Student's distribution and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from darts_tf.studies.significance import holm, interval, p_value


def test_interval_is_that_of_the_tables():
    # of three values t = 4.303 at 95 %, of four t = 3.182; standard error s / sqrt(n)
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5), 1e-3
    )
    low, high = interval([1.0, 2.0, 3.0, 4.0])
    assert high - low == pytest.approx(2 * 3.182 * 1.2910 / 2, 1e-3)
    assert interval([5.0, 5.0]) == (5.0, 5.0)
    assert interval([1.0]) is interval([]) is None


def test_intervals_hold_the_mean_as_often_as_they_say():
    random = np.random.default_rng(0)
    held = [low < 1 < high for low, high in map(interval, random.normal(1, 2, (2000, 4)))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_p_value_is_that_of_an_independent_welch_test():
    random = np.random.default_rng(1)
    for sizes in ((3, 3), (3, 5), (2, 8)):
        first, second = (random.normal(i, 1 + i, n) for i, n in enumerate(sizes))
        expected = stats.ttest_ind(first, second, equal_var=False).pvalue
        assert p_value(list(first), list(second)) == pytest.approx(expected, 1e-9)


def test_p_values_are_even_where_nothing_differs():
    random = np.random.default_rng(2)
    found = [p_value(*values) for values in random.normal(size=(2000, 2, 4))]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_too_little_for_a_test_is_none():
    assert p_value([1.0], [1.0, 2.0]) is None
    assert p_value([1.0, 1.0], [2.0, 2.0]) is None
    assert p_value([1.0, 1.0], [1.0, 2.0]) is not None


def test_holm_multiplies_from_the_least():
    found = holm({"a": 0.04, "b": 0.01, "c": None, "d": 0.03})
    # 3 * 0.01, then 2 * 0.03, then not less than the previous one
    assert found == {
        "a": pytest.approx(0.06),
        "b": pytest.approx(0.03),
        "c": None,
        "d": pytest.approx(0.06),
    }
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
