"""Atomic files: written beside their place, then renamed into it. And locks between processes."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from darts_tf.errors import InputError, InUse


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`, and renames it to `path` when the block succeeds.

    A reader sees the old file or the new one, never a part of it; if the block raises, the
    temporary file is deleted and the old one stays. A file is on the disk before it is renamed, so
    that a crash of the machine leaves the old one or the new one too. Missing folders are created.
    The temporary name keeps the suffix of `path`, since some writers choose the format by it.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        written = pathlib.Path(folder) / path.name
        yield written
        if written.is_file():
            _sync(written)
        os.replace(written, path)


def _sync(path: pathlib.Path) -> None:
    """Waits until the contents of a file are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a whole UTF-8 text file in place of `path`, atomically."""
    with replacing(path) as written:
        written.write_text(text, encoding="utf-8")


def contents(path: pathlib.Path, expected: str) -> bytes:
    """Returns the bytes of a file that a user has named.

    Args:
        path: path of the file.
        expected: what it should be, for the error message, such as "an image file".

    Raises:
        InputError: the file does not exist.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise InputError(f"Expected {expected}. Received: {str(path)!r}, which {what}")
    return path.read_bytes()


@contextlib.contextmanager
def locked(lock: pathlib.Path, refusal: str) -> Iterator[None]:
    """Context manager: holds a lock between processes, released also if this process dies.

    Args:
        lock: path of the lock file.
        refusal: message of the error.

    Raises:
        InUse: another process holds the lock.
    """
    import filelock  # late: genotypes are files too, and need no lock

    held = filelock.FileLock(lock)
    try:
        held.acquire(blocking=False)
    except filelock.Timeout as error:
        raise InUse(refusal) from error
    try:
        yield
    finally:
        held.release()
