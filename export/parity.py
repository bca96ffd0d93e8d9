"""Does an exported model say what Keras says?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class ParityError(RuntimeError):
    """An exported model's logits are too far from Keras'."""


class Parity(NamedTuple):
    """How far two models' logits are apart.

    Attributes:
        difference: largest absolute difference over the largest absolute logit expected.
        agreement: share of images with the same most probable class, 0 to 1.
    """

    difference: float
    agreement: float


def compare(expected: np.ndarray, received: np.ndarray) -> Parity:
    """Compares logits, both `(images, classes)`; what is not a number gives nan."""
    scale = np.abs(expected).max() or 1.0
    agreement = np.mean(expected.argmax(-1) == received.argmax(-1))
    return Parity(float(np.abs(received - expected).max() / scale), float(agreement))


def check(name: str, parity: Parity, bound: float) -> None:
    """Raises ParityError where the difference is over the bound, or not a number."""
    if not parity.difference <= bound:
        raise ParityError(
            f"Expected {name} to differ from Keras by at most {bound:g} of the largest logit. "
            f"Received: difference={parity.difference:.3g}"
        )
