"""Damaged images: those of training are left out up to a limit, those of test are errors."""

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
    """The damaged images of a training split, up to a limit; each is named in a warning.

    Args:
        labels: integers, `(n,)`, of all images of the split.
        classes: the labels' names.
        limit: how many damaged images are left out; one more is an error.

    Attributes:
        kept: bool, `(n,)`, False where an image has been left out.
    """

    def __init__(self, labels: np.ndarray, classes: Sequence[str], limit: int):
        self.labels = labels
        self.classes = classes
        self.limit = limit
        self.kept = np.ones(len(labels), bool)

    def leave_out(self, position: int, name: str) -> None:
        """Leaves one image out; a second time does nothing.

        Args:
            position: of the image in the split.
            name: the file, or what else tells a reader which image it is.

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
            # Read, since `limit` may have chosen these from more.
            raise InputError(
                "Expected a readable training image in every class. Received: class "
                f"{self.classes[label]}, all images read are damaged ({members.sum()})"
            )


def refuse(position: int, name: str) -> None:
    """Raises the InputError for a damaged test image: without it another thing is measured."""
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
"""That wait for the disk, each for files of its own."""
CHUNK = 256
"""Files handed to one thread at a time."""

MARKERS = {
    b"\xff\xd8\xff": b"\xff\xd9",
    b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82",
}
"""What JPEG and PNG files begin with, and what they end with."""


def check_files(paths: Sequence[str], on_damage: Callable[[int, str], None]) -> None:
    """Calls `on_damage` with position and name of every damaged file, in order.

    Truncated, empty, lost or foreign files lack the first or the last bytes of their format. Only
    files that do are decoded, so that one with something after its end is not taken for damaged.
    A damage in the middle of a file is not found.

    Args:
        paths: of JPEG and PNG files.
        on_damage: what is done about one.
    """
    chunks = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        whole = [*pool.map(lambda chunk: [_has_both_ends(path) for path in chunk], chunks)]
    for position in np.flatnonzero(~np.concatenate(whole)):
        name, contents = read_bytes(paths[position])
        try:
            decode_rgb(tf.constant(contents))
        except tf.errors.InvalidArgumentError:
            on_damage(int(position), name)


def read_bytes(path: str) -> tuple[str, bytes]:
    """A file's name and bytes; of an unreadable one the reason in the name, and no bytes."""
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
