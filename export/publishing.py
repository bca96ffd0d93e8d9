"""Publication of an export's files: all at once, or file by file over an earlier export.

A process that is killed leaves an export that can be used and that a later export can replace. A
new folder appears by a single rename. In an earlier export every file is replaced by its own
rename, and a SavedModel's version is added by a single rename, so that a server which watches the
folder never sees a partial one. The report is replaced last. Files that no export wrote are not
touched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager

from darts_tf.errors import InputError, listed
from darts_tf.export import folder
from darts_tf.runs import files
from darts_tf.runtime import atomic

LOG = logging.getLogger("darts_tf")

LAST = (folder.PAGE, folder.REPORT)
"""The reports, which list all other files and are therefore moved last."""


@contextlib.contextmanager
def published(output: pathlib.Path) -> Iterator[pathlib.Path]:
    """Context manager: yields a new folder for an export and moves it to `output` on success.

    The block must also write the report, which lists all other files.

    Raises:
        InputError: another process is replacing the export, or a file that would be replaced was
            not written by an export.
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
    """Moves the files. If this is interrupted, the staged report lists the files of the export."""
    moved = dict.fromkeys(folder.version_of(name) or name for name in names if name not in LAST)
    for name in moved:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged / name, output / name)
    listed_files = files.read_json(staged / folder.REPORT)["files"]  # also those that stay
    removed = []
    for earlier in folder.recorded(output):
        for name in earlier.keys() - set(names) - listed_files.keys():
            if _remove_stale(name, earlier[name], output):
                removed.append(name)
    if removed:
        LOG.warning(
            "removed from %s: %s, which an earlier export wrote and this one did not",
            *(output, listed(sorted(removed))),
        )
    for name in LAST:
        os.replace(staged / name, output / name)


def _check_foreign(names: Collection[str], known: set[str], output: pathlib.Path) -> None:
    places = dict.fromkeys(folder.version_of(name) or name for name in names)
    foreign = [name for name in places if os.path.lexists(output / name) and name not in known]
    if foreign:
        raise InputError(
            "Expected output to have no files of others where the export writes its own. "
            f"Received: output={str(output)!r} with {listed(foreign)}"
        )


def _remove_stale(name: str, digest: dict, output: pathlib.Path) -> bool:
    """Removes an unchanged file of an earlier export, unless it is in a SavedModel's version.

    Returns:
        Whether it was removed.
    """
    if folder.version_of(name) or not folder.is_unchanged(output, name, digest):
        return False
    path = output / name
    path.unlink()
    for parent in path.parents:
        if parent == output or any(parent.iterdir()):
            break
        parent.rmdir()
    return True


def _locked(output: pathlib.Path) -> AbstractContextManager[None]:
    """Context manager: keeps other processes from replacing the export."""
    return atomic.locked(
        output / folder.LOCK,
        "Expected an output that no other process is exporting to; wait until it is done. "
        f"Received: output={str(output)!r}, which one is",
    )
