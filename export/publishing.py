"""How an export's files get to their place: all at once, or one by one over an earlier export.

A process that dies on the way leaves an export that can be used and that a later one can replace.
A new folder appears by one rename. In an earlier export every file is replaced by a rename of its
own and a SavedModel's version is added by one, so that a server which watches the folder always
finds whole ones; the report comes last. Whatever an export did not write stays as it is.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager

from darts_tf.export import folder

from darts_tf.errors import InputError, listed
from darts_tf.runtime import atomic

LAST = (folder.PAGE, folder.REPORT)
"""The files that say what the others are."""


@contextlib.contextmanager
def published(output: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a new folder to write an export to, and puts it at `output` if the block succeeds.

    The block writes the report, with the names of all other files, too.

    Raises:
        InputError: another process is replacing the export, or a file that would be replaced is
            none of an export's.
    """
    if not output.exists() or (not any(output.iterdir()) and not os.path.ismount(output)):
        with atomic.replacing(output) as written:
            written.mkdir()
            yield written
        return
    with _locked(output):
        known = {*LAST, *(name for written in folder.recorded(output) for name in written)}
        staged = pathlib.Path(tempfile.mkdtemp(prefix=folder.STAGED, dir=output))
        try:
            yield staged
            names = list(folder.digests(staged))
            _check_foreign(names, known, output)
        except BaseException:
            shutil.rmtree(staged)
            raise
        _replace(names, staged, output)
        for path in output.glob(f"{folder.STAGED}*"):
            shutil.rmtree(path)


def _replace(names: Collection[str], staged: pathlib.Path, output: pathlib.Path) -> None:
    """Moves the files; where this stops, the staged report tells which of them are an export's."""
    moved = dict.fromkeys(folder.version_of(name) or name for name in names if name not in LAST)
    for name in moved:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged / name, output / name)
    for earlier in folder.recorded(output):
        for name in earlier.keys() - set(names):
            _remove_stale(output / name, earlier[name], output)
    for name in LAST:
        os.replace(staged / name, output / name)


def _check_foreign(names: Collection[str], known: set[str], output: pathlib.Path) -> None:
    places = dict.fromkeys(folder.version_of(name) or name for name in names)
    foreign = [name for name in places if os.path.lexists(output / name) and name not in known]
    if foreign:
        raise InputError(
            "Expected output to hold nothing of others where an export is written. "
            f"Received: output={str(output)!r} with {listed(foreign)}"
        )


def _remove_stale(path: pathlib.Path, digest: dict, output: pathlib.Path) -> None:
    """Removes a file of an earlier export, if it is one still, but for SavedModels' versions."""
    inside = path.resolve().is_relative_to(output) and path.is_file() and not path.is_symlink()
    if not inside or folder.version_of(path.relative_to(output).as_posix()):
        return
    if folder.digest(path) != digest:
        return  # somebody else's by now
    path.unlink()
    for parent in path.parents:
        if parent == output or any(parent.iterdir()):
            return
        parent.rmdir()


def _locked(output: pathlib.Path) -> AbstractContextManager[None]:
    """Within this block no other process replaces the export."""
    return atomic.locked(
        output / folder.LOCK,
        "Expected an output that no other process is exporting to. "
        f"Received: output={str(output)!r}, which one is",
    )
