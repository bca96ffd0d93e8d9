"""Zip archives of others, whose declared sizes are checked before anything in them is read.

Arrays compress little: a small file that claims to hold gigabytes is damaged, or made to exhaust
the memory.
"""

from __future__ import annotations

import os
import zipfile

from darts_tf.errors import InputError, gigabytes

FREE = 100_000_000
"""Bytes that an archive may always hold."""

MOST_RATIO = 100
"""Largest size of the contents beyond that, as a multiple of the size of the file."""


def check_archive(path: str | os.PathLike[str]) -> None:
    """Checks the declared size of an archive's contents against the size of its file.

    Reading stops at the declared size, so that a file cannot hold more than it declares.

    Raises:
        InputError: the contents are far larger than the file.
        zipfile.BadZipFile: the file is no zip archive.
        OSError: the file cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    check_ratio(size, os.path.getsize(path))


def check_ratio(contents: int, file: int) -> None:
    """Checks the size of what a file holds, in bytes, against that of the file.

    Raises:
        InputError: the contents are far larger than the file.
    """
    most = FREE + MOST_RATIO * file
    if contents > most:
        raise InputError(
            f"Expected at most {gigabytes(most)} in a file of {file:,} bytes. "
            f"Received: {gigabytes(contents)}"
        )
