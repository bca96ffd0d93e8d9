"""Finds damaged image files without decoding all of them."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import decode_rgb

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
