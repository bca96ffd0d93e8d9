"""Damaged images: training images are skipped up to a limit, a damaged test image is an error."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import decode_rgb
from darts_tf.errors import InputError


class Damage:
    """Record of the damaged images of a training split, which are left out up to a limit.

    Args:
        labels: labels of all images of the split, integers, `(n,)`.
        classes: names of the labels.
        limit: maximum number of damaged images; one more is an error.

    Attributes:
        kept: bool, `(n,)`, False for images that have been left out.
    """

    def __init__(self, labels: np.ndarray, classes: Sequence[str], limit: int):
        self.labels = labels
        self.classes = classes
        self.limit = limit
        self.kept = np.ones(len(labels), bool)

    def leave_out(self, position: int, name: str) -> None:
        """Leaves one image out and logs a warning with its name; a second call does nothing.

        Args:
            position: index of the image in the split.
            name: file name, or another name by which a reader can find the image.

        Raises:
            InputError: more than `limit` damaged images, or the last image of its class.
        """
        if not self.kept[position]:
            return
        count = 1 + np.count_nonzero(~self.kept)
        if count > self.limit:
            raise _too_many(count, self.limit, name)
        self.kept[position] = False
        logging.getLogger("darts_tf").warning(
            "Left out a damaged training image, %d of at most %d: %s", count, self.limit, name
        )
        self._check_class(self.labels[position])

    def _check_class(self, label: int) -> None:
        members = self.labels == label
        if not (self.kept & members).any():
            # "read", since `limit` may have chosen these from more images
            raise InputError(
                "Expected a readable training image in every class. Received: class "
                f"{self.classes[label]}, all images read are damaged ({members.sum()})"
            )


def refuse(position: int, name: str) -> None:
    """Raises InputError for a damaged test image: without it the test set would be another."""
    raise InputError(
        f"Expected a readable image (test images are never left out). Received: {name}"
    )


def _too_many(count: int, limit: int, name: str) -> InputError:
    if not limit:
        return InputError(
            "Expected a readable image; `max_bad_images` (--max-bad-images) leaves damaged ones "
            f"out. Received: {name}"
        )
    return InputError(
        f"Expected at most {limit} damaged training images, the limit `max_bad_images` "
        f"(--max-bad-images). Received: at least {count}, the last one {name}"
    )


THREADS = 16
"""Number of threads that read files; they mostly wait for the disk."""
CHUNK = 256
"""Number of files passed to a thread at a time."""

MARKERS = {
    b"\xff\xd8\xff": b"\xff\xd9",
    b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82",
}
"""First bytes of JPEG and PNG files, and their last bytes."""


def check_files(paths: Sequence[str], on_damage: Callable[[int, str], None]) -> None:
    """Calls `on_damage` with position and name of every damaged file, in order.

    Files that are truncated, empty, missing or of another format lack the first or last bytes of
    their format. Only such files are decoded, so that a valid file with extra bytes at its end
    passes. Damage in the middle of a file is not detected.

    Args:
        paths: paths of JPEG and PNG files.
        on_damage: called with (position, name).
    """
    chunks = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        has_ends = [*pool.map(lambda chunk: [_has_both_ends(path) for path in chunk], chunks)]
    for position in np.flatnonzero(~np.concatenate(has_ends)):
        name, contents = read_bytes(paths[position])
        try:
            decode_rgb(tf.constant(contents))
        except tf.errors.InvalidArgumentError:
            on_damage(int(position), name)


def read_bytes(path: str) -> tuple[str, bytes]:
    """Returns a file's name and bytes; for an unreadable file name and reason, and no bytes."""
    try:
        return path, pathlib.Path(path).read_bytes()
    except OSError as error:
        return f"{path} ({error.strerror})", b""


def _has_both_ends(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            begin = file.read(8)
            file.seek(-8, os.SEEK_END)
            end = file.read(8)
    except OSError:
        return False
    return any(begin.startswith(first) and end.endswith(last) for first, last in MARKERS.items())
