"""What is said of two models' logits, and when they are too far apart."""

from __future__ import annotations

import numpy as np
import pytest

from export.parity import Bounds, Parity, ParityError, check, compare


@pytest.mark.parametrize("bounds", [Bounds(difference=1e9), Bounds(agreement=1), Bounds(sqnr=-99)])
def test_not_a_number_is_no_agreement(bounds):
    nan = np.full((3, 10), np.nan)
    expected = np.eye(10)[:3] + np.arange(3)[:, None]
    with pytest.raises(ParityError, match="nan|agreement=0"):
        check("it", compare(np.roll(expected, 1, 1), nan), bounds)


def test_parity_is_measured_by_its_definitions():
    expected = np.array([[3.0, 1.0], [0.0, -4.0], [1.0, 2.0]])
    received = expected + np.array([[0.0, 0.0], [0.0, 0.4], [0.0, -1.5]])
    found = compare(expected, received)
    assert found.difference == pytest.approx(1.5 / 4)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.sqnr == pytest.approx(10 * np.log10((9 + 1 + 16 + 1 + 4) / (0.16 + 2.25)))
    assert compare(expected, expected) == (0, 1, np.inf)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (Bounds(difference=0.1), "at most 0.1 of the largest logit. Received: difference=0.2"),
        (Bounds(agreement=0.95), "agreement with Keras of at least 0.95. Received: agreement=0.9"),
        (Bounds(sqnr=31), "sqnr with Keras of at least 31. Received: sqnr=30"),
        (Bounds(1, 0.5, 40), "sqnr"),
    ],
)
def test_check_names_the_bound_that_is_missed(bounds, message):
    found = Parity(0.2, 0.9, 30.0)
    check("it", found, Bounds(0.2, 0.9, 30.0))
    check("it", found, Bounds())
    with pytest.raises(ParityError, match=message):
        check("it", found, bounds)
