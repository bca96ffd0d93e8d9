"""Charts: positions of lines and labels, against arithmetic."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darts_tf.report.charts import (
    LINES,
    MOST_POINTS,
    Axis,
    Line,
    axis_of,
    labels,
    line_chart,
    measured,
    number,
    thinned,
    ticks,
)

FINITE = st.floats(-1e30, 1e30)


@example((0.0, 5e-324), False)
@example((0.0, 1e-320), False)
@example((0.0, 2e-307), True)
@given(st.tuples(FINITE, FINITE), st.booleans())
def test_ticks_are_few_round_and_inside(ends, whole):
    low, high = sorted(ends)
    found = ticks(low, high, whole=whole)
    assert len(found) <= 6
    slack = 1e-6 * max(high - low, abs(low), abs(high))
    assert all(low - slack <= tick <= high + slack for tick in found)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.02, 0.025, ["0.020", "0.021", "0.022", "0.023", "0.024", "0.025"]),
        (3, 98, ["20", "40", "60", "80"]),
        (0, 2_500_000, ["0", "5e+05", "1e+06", "1.5e+06", "2e+06", "2.5e+06"]),
    ],
)
def test_labels_are_as_long_as_they_must_be(low, high, expected):
    assert labels(ticks(low, high)) == expected


def test_epochs_have_no_fractions():
    assert ticks(1, 3, most=6, whole=True) == [1, 2, 3]
    assert ticks(1, 600, most=6, whole=True) == [100, 200, 300, 400, 500, 600]


@given(st.lists(FINITE, min_size=1, max_size=5))
def test_axis_has_room_for_all_values_and_labels_that_differ(values):
    axis = axis_of(values)
    assert all(0 <= axis.place(value) <= 1 for value in values)
    found = axis.ticks()
    if not axis.log and len(found) > 1:
        assert len(set(labels(found))) == len(found)


def test_axis_is_logarithmic_where_values_are_far_apart():
    assert axis_of([0.01, 2.0]).log
    assert not axis_of([0.0, 2.0]).log
    assert not axis_of([0.1, 2.0]).log
    assert Axis(0.1, 10, log=True).place(1) == pytest.approx(0.5)


def test_line_is_where_its_numbers_say():
    chart = line_chart("x", [Line("a", ((0, 0.0), (1, 5.0), (2, 10.0)))], Axis(0, 10))
    assert 'd="M0.0 1000.0L500.0 500.0L1000.0 0.0"' in chart
    assert ">a</span> <b>10</b>" in chart


def test_gaps_interrupt_a_line_and_lone_points_are_marked():
    points = ((0, 0.0), (1, None), (2, 10.0), (3, 10.0))
    chart = line_chart("x", [Line("a", points)], Axis(0, 10))
    assert re.search(r'd="M0\.0 1000\.0m[^M]*M666\.7 0\.0L1000\.0 0\.0"', chart)
    assert "&quot;0&quot;, &quot;–&quot;, &quot;10&quot;" in chart


def test_what_cannot_be_drawn_is_left_out():
    bad = (math.nan, math.inf, -math.inf, 1e31, 10**400, None, "1", True, [1])
    assert [measured(value) for value in bad] == [None] * len(bad)
    assert measured(3) == 3.0
    assert line_chart("x", [Line("a", ((0, None),))]) == ""
    assert line_chart("x", []) == ""


def test_long_lines_are_thinned_to_their_ends():
    found = thinned(Line("a", tuple((i, float(i)) for i in range(3601)))).points
    assert len(found) <= MOST_POINTS
    assert found[-1] == (3600, 3600.0)
    assert len(thinned(Line("a", found)).points) == len(found)


def test_lines_beyond_the_last_look_are_told():
    lines = [Line(str(i), ((0, 1.0),)) for i in range(LINES + 1)]
    chart = line_chart("x", lines)
    looks = set(re.findall(r'class="line (\S+ \S+)"', chart))
    assert len(looks) == LINES
    assert f"the first {LINES} of {LINES + 1}" in chart


def test_texts_are_escaped():
    chart = line_chart("<i>", [Line("<b>&", ((0, 1.0),))])
    assert "<i>" not in chart
    assert "&lt;b&gt;&amp;" in chart


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (None, "–"), (0.12345, "0.1235"), (1234.5, "1,234"), (2.5e-5, "2.5e-05")],
)
def test_numbers_have_four_digits(value, text):
    assert number(value) == text
