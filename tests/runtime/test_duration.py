"""Durations in words."""

from __future__ import annotations

import pytest

from darts_tf.runtime.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.352, "0.35 s"),
        (9.96, "10 s"),
        (42.4, "42 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (450, "7.5 min"),
        (7199, "120 min"),
        (12_600, "3.5 h"),
        (172_800, "2 days"),
        (86_400_000, "1000 days"),
    ],
)
def test_duration_is_written_as_people_say_it(seconds, text):
    assert duration(seconds) == text
