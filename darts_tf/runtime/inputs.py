"""Words about files and folders that are read and do not exist."""

from __future__ import annotations

import os
import pathlib

from darts_tf.errors import nearest


def not_there(path: str | os.PathLike[str]) -> str:
    """Says that a path does not exist, and names the most similar one beside it.

    Returns:
        Text such as `which is not there. Did you mean 'runs/train'?`
    """
    alike = similar(path)
    return "which is not there" + (f". Did you mean {str(alike)!r}?" if alike else "")


def similar(path: str | os.PathLike[str]) -> pathlib.Path | None:
    """Returns an existing path that differs from a missing one in one name; None without any."""
    path = pathlib.Path(os.path.expanduser(path))
    missing = next((each for each in (path, *path.parents) if os.path.isdir(each.parent)), path)
    try:
        names = [name for name in os.listdir(missing.parent) if not name.startswith(".")]
    except OSError:
        return None
    found = nearest(missing.name, names)
    if found is None:
        return None
    whole = missing.parent / found / path.relative_to(missing)
    return whole if os.path.exists(whole) else missing.parent / found
