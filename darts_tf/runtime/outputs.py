"""Checks of the places that files and folders are written to, before anything is computed."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from darts_tf.errors import InputError


def check_output_file(
    name: str, path: pathlib.Path, overwrite: bool | None = None, instead: str = "--overwrite"
) -> None:
    """Refuses a path that a file must not be written to.

    Args:
        name: of the setting that holds the path, for the error.
        path: of the file.
        overwrite: whether an earlier file may be replaced; None where users cannot ask for that.
        instead: what permits to replace a file, for the error.

    Raises:
        InputError: it is a folder or below a file, or a file that must not be replaced is there.
    """
    kind = {True: "a file", False: f"a new file (or {instead})", None: "a new file"}[overwrite]
    expected = f"Expected {name} to be {kind}"
    if path.is_dir():
        raise InputError(f"{expected}. Received: {path}, a folder")
    if path.exists() and not overwrite:
        raise InputError(f"{expected}. Received: {path}, a file that is there")
    _check_above(f"Expected {name} in a folder", path)


def check_output_folder(
    name: str,
    folder: pathlib.Path,
    is_new: Callable[[pathlib.Path], bool],
    overwrite: bool,
    instead: str,
) -> None:
    """Refuses a folder that must not be written to.

    Args:
        name: of the setting that holds the path, for the error.
        folder: to write to.
        is_new: whether an existing folder counts as empty.
        overwrite: whether its files may be replaced.
        instead: what permits that, for the error.

    Raises:
        InputError: it is a file or below one, or a folder with files that must not be replaced.
    """
    if folder.is_file():
        raise InputError(f"Expected {name} to be a folder. Received: {folder}, a file")
    _check_above(f"Expected {name} to be a folder", folder)
    if folder.is_dir() and not overwrite and not is_new(folder):
        raise InputError(
            f"Expected {name} to be a new or empty folder (or {instead}). "
            f"Received: {str(folder)!r}, which is not empty; {str(free_folder(folder))!r} is free"
        )


def free_folder(folder: pathlib.Path) -> pathlib.Path:
    """Returns the path if nothing is there, or else with a number appended, `folder-2`."""
    number, path = 1, folder
    while path.exists() or path.is_symlink():
        number += 1
        path = folder.with_name(f"{folder.name}-{number}")
    return path


def _check_above(expected: str, path: pathlib.Path) -> None:
    blocked = [parent for parent in path.parents if parent.exists() and not parent.is_dir()]
    if blocked:
        raise InputError(f"{expected}. Received: {path}, but {blocked[0]} is a file")
