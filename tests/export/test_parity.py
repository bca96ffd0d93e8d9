"""Differences between two models, compared with closed forms, and what is published."""

from __future__ import annotations

import json

import numpy as np
import pytest

from darts_tf.export.parity import Bounds, ParityError, check, compare


def logits(seed=0):
    return np.random.default_rng(seed).normal(size=(10, 4)).astype(np.float32)


@pytest.mark.parametrize("share", [0.5, 0.1, 1e-3])
def test_a_scaled_model_has_the_decibels_of_its_scale(share):
    found = compare(logits(), (1 + share) * logits().astype(np.float64))
    assert found.sqnr == pytest.approx(-20 * np.log10(share), rel=1e-6)
    assert found.difference == pytest.approx(share, rel=1e-6)
    assert found.agreement == 1


def test_difference_is_of_the_largest_logit():
    found = compare(np.array([[1.0, -8.0], [2.0, 3.0]]), np.array([[1.0, -8.0], [2.0, 4.0]]))
    assert found.difference == 1 / 8
    assert found.sqnr == pytest.approx(10 * np.log10(1 + 64 + 4 + 9))


def test_agreement_counts_images_of_the_same_class():
    received = logits()
    received[:3] = -received[:3]
    assert compare(logits(), received).agreement == 0.7


def test_equal_models_have_the_decibels_of_float32_and_are_json():
    found = compare(logits(), logits())
    assert found[:2] == (0, 1)
    assert found.sqnr == pytest.approx(24 * 20 * np.log10(2))
    json.dumps(found, allow_nan=False)
    assert compare(0 * logits(), 0 * logits()).sqnr == found.sqnr


def test_not_a_number_agrees_with_nothing():
    received = logits()
    received[logits().argmax(1) == 0] = np.nan
    found = compare(logits(), received)
    assert found.agreement == np.mean(logits().argmax(1) != 0)
    for bounds in (Bounds(difference=1e9), Bounds(sqnr=-1e9)):
        with pytest.raises(ParityError, match="nan"):
            check("a", found, bounds)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (Bounds(difference=0.09), "Expected a to .* at most 0.09 .* Received: difference=0.1$"),
        (Bounds(agreement=1.01), "agreement .* at least 1.01. Received: agreement=1$"),
        (Bounds(agreement=0.9, sqnr=20.1), "sqnr .* at least 20.1. Received: sqnr=20$"),
    ],
)
def test_check_says_what_is_out_of_bounds(bounds, message):
    found = compare(logits(), 1.1 * logits().astype(np.float64))
    with pytest.raises(ParityError, match=message):
        check("a", found, bounds)


def test_check_lets_pass_what_is_within():
    found = compare(logits(), 1.1 * logits().astype(np.float64))
    for bounds in (Bounds(), Bounds(0.11), Bounds(agreement=1.0), Bounds(0.11, 0.99, 19.9)):
        check("a", found, bounds)
