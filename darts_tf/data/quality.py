"""Suspicious properties of decoded images that a user should know before a long run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from darts_tf.errors import shortened

CONSTANT_SHARE = 0.01
"""Smallest fraction of images of a single color that is reported."""
REPEATED_SHARE = 0.05
"""Smallest fraction of repeated images that is reported."""
LEAKED_SHARE = 0.01
"""Smallest fraction of test images that are training images, too, that is reported."""
NAMED = 3
"""Number of files that a line names."""

_PNG = b"\x89PNG\r\n\x1a\n"

File = Callable[[int], tuple[str, bytes]]
"""Function from an image's index to its file's name and bytes."""


def suspicions(train: np.ndarray, test: np.ndarray, train_file: File, test_file: File) -> list[str]:
    """Returns a line for each suspicious property that many images of a dataset share.

    Args:
        train: training images, uint8, `(n, height, width, channels)`.
        test: test images, uint8, of the same shape but for their number.
        train_file: name and bytes of a training image.
        test_file: name and bytes of a test image.
    """
    lines = []
    total = len(train) + len(test)
    constant = [
        (index, file)
        for images, file in ((train, train_file), (test, test_file))
        for index in _constant(images)
    ]
    if len(constant) >= max(1, CONSTANT_SHARE * total):
        files = [file(index) for index, file in constant[:NAMED]]
        why = _why_constant([contents for _, contents in files])
        lines.append(
            f"{len(constant):,} of {total:,} images have a single color{why}: "
            f"{_named([name for name, _ in files], len(constant))}"
        )
    firsts: dict[bytes, int] = {}
    repeated = [i for i, key in enumerate(_keys(train)) if firsts.setdefault(key, i) != i]
    if len(repeated) >= max(1, REPEATED_SHARE * len(train)):
        names = [train_file(i)[0] for i in repeated[:NAMED]]
        lines.append(
            f"{len(repeated):,} of {len(train):,} training images are repetitions of others: "
            f"{_named(names, len(repeated))}"
        )
    leaked = [i for i, key in enumerate(_keys(test)) if key in firsts]
    if len(leaked) >= max(1, LEAKED_SHARE * len(test)):
        names = [test_file(i)[0] for i in leaked[:NAMED]]
        lines.append(
            f"{len(leaked):,} of {len(test):,} test images are training images, too, so that the "
            f"test result is too good: {_named(names, len(leaked))}"
        )
    return lines


def _constant(images: np.ndarray) -> list[int]:
    """Returns the indices of images whose pixels are all equal."""
    return [i for i, image in enumerate(images) if not np.ptp(image, axis=(0, 1)).any()]


def _keys(images: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]


def _why_constant(contents: Sequence[bytes]) -> str:
    """Returns the likely reason, from the headers of PNG files; an empty text without one."""
    kinds = {(file[24], file[25]) for file in contents if file.startswith(_PNG) and len(file) > 25}
    if any(depth == 16 for depth, _ in kinds):
        return " (16-bit PNG files whose values are below 256? scale them to 0 to 65535)"
    if any(color in (4, 6) for _, color in kinds):
        return " (what they show may be in their transparency, which is dropped)"
    return ""


def _named(names: Sequence[str], total: int) -> str:
    text = ", ".join(shortened(name, 120) for name in names)
    return text + (f" and {total - len(names):,} more" if total > len(names) else "")
