"""Comparison of an exported model's logits with those of Keras."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EXACT = 2.0**-24
"""Half a unit in the last place of float32; smaller differences cannot be measured."""


class ParityError(RuntimeError):
    """An exported model's logits differ too much from those of Keras."""


class Parity(NamedTuple):
    """Differences between the logits of two models.

    Attributes:
        difference: largest absolute difference over the largest absolute expected logit.
        agreement: share of images with the same most probable class, or of words with the same most
            probable next one, 0 to 1.
        sqnr: ratio of the power of the expected logits to that of the differences, decibels.
    """

    difference: float
    agreement: float
    sqnr: float


class Bounds(NamedTuple):
    """Bounds of the measures in `Parity`; None is no bound.

    Attributes:
        difference: largest difference allowed.
        agreement: smallest agreement allowed.
        sqnr: smallest SQNR allowed, decibels.
    """

    difference: float | None = None
    agreement: float | None = None
    sqnr: float | None = None


def compare(expected: np.ndarray, received: np.ndarray) -> Parity:
    """Compares logits, both `(images, classes)` or both `(streams, time, vocabulary)`.

    Rows with NaN or infinity agree with nothing.
    """
    expected, received = (np.asarray(logits, np.float64) for logits in (expected, received))
    error = received - expected
    scale = np.abs(expected).max() or 1.0
    same = expected.argmax(-1) == received.argmax(-1)
    agreement = np.mean(same & np.isfinite(received).all(-1))
    power = np.square(expected).sum() or 1.0
    noise = np.maximum(np.square(error).sum(), power * EXACT**2)
    return Parity(
        difference=float(np.abs(error).max() / scale),
        agreement=float(agreement),
        sqnr=float(10 * np.log10(power / noise)),
    )


def check(name: str, parity: Parity, bounds: Bounds) -> None:
    """Raises ParityError if a measure misses its bound or is NaN."""
    most, *least = bounds
    if most is not None and not parity.difference <= most:
        raise ParityError(
            f"Expected {name} to differ from Keras by at most {most:g} of the largest logit. "
            f"Received: difference={parity.difference:.3g}"
        )
    for what, received, bound in zip(Parity._fields[1:], parity[1:], least, strict=True):
        if bound is not None and not received >= bound:
            raise ParityError(
                f"Expected {name} to have {what} with Keras of at least {bound:g}. "
                f"Received: {what}={received:.3g}"
            )
