"""Budgets of studies, as texts."""

from __future__ import annotations

import pytest

from darts_tf.configs.budgets import Allowance, parsed_allowance
from darts_tf.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trials=20", Allowance("trials", 20)),
        ("epochs=100", Allowance("epochs", 100)),
        ("time=90s", Allowance("seconds", 90)),
        ("time=30min", Allowance("seconds", 1800)),
        ("time=1.5h", Allowance("seconds", 5400)),
        ("time=2D", Allowance("seconds", 172_800)),
        ("like=runs/search", "runs/search"),
    ],
)
def test_budget_says_what_people_mean(text, expected):
    assert parsed_allowance(text) == expected


@pytest.mark.parametrize(
    "text",
    ["fast", "", "trials", "trials=", "trials=2.5", "trials=3min", "trials=-1", "time=5", "like="],
)
def test_text_that_says_nothing_is_refused(text):
    with pytest.raises(InputError, match="Expected a budget as in trials=20, .*Received: "):
        parsed_allowance(text)


@pytest.mark.parametrize("text", ["trials=0", "time=0.0h"])
def test_budget_of_nothing_is_refused(text):
    with pytest.raises(InputError, match="Expected a budget above zero. Received: "):
        parsed_allowance(text)


@pytest.mark.parametrize(
    ("allowance", "amount", "text"),
    [
        (Allowance("trials", 3), 1, "1 trial"),
        (Allowance("epochs", 9), 9, "9 epochs"),
        (Allowance("seconds", 9), 0, "0 s"),
        (Allowance("seconds", 9), 90, "90 s"),
        (Allowance("seconds", 9), 9000, "2.5 h"),
    ],
)
def test_amount_is_written_as_people_say_it(allowance, amount, text):
    assert allowance.written(amount) == text
