"""Folders of an export's models and their versions."""

from __future__ import annotations

import pathlib
import re

from darts_tf.errors import InputError

SAVED_MODELS = "saved_model"
"""Folder of the models inside an export."""
SAVED_MODEL = "saved_model.pb"
VOCABULARY = "assets/vocabulary.txt"
"""Path of the vocabulary inside the SavedModel of a language model."""
NAME = re.compile(r"[A-Za-z0-9_.-]+", re.A)
_VERSION = re.compile(r"\d{1,18}", re.A)


def models(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the folders of the models in `folder`, by name.

    Args:
        folder: an export, the folder of its models, or the folder of one model's versions.

    Raises:
        InputError: there is no model, or its name cannot be part of a URL.
    """
    base = folder.resolve()
    for place in (base, base / SAVED_MODELS):
        if versions(place):
            return {_valid_name(place.name): place}
        if place.is_dir():
            paths = [path for path in sorted(place.iterdir()) if versions(path)]
            if paths:
                return {_valid_name(path.name): path for path in paths}
    raise InputError(
        "Expected the folder of an export with saved_model/NAME/VERSION/saved_model.pb. "
        f"Received: {str(folder)!r}, {_problem(base)}"
    )


def versions(base: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the folders of a model's versions by number, without incomplete ones."""
    try:
        paths = list(base.iterdir())
    except OSError:  # no folder, or removed in the meantime
        return {}
    return {
        int(path.name): path
        for path in paths
        if _VERSION.fullmatch(path.name) and (path / SAVED_MODEL).is_file()
    }


def is_language_model(base: pathlib.Path) -> bool:
    """Returns whether the newest version of a model contains a vocabulary."""
    paths = versions(base)
    return bool(paths) and (paths[max(paths)] / VOCABULARY).is_file()


def _valid_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InputError(
            "Expected a model's folder to be named by letters, digits, _, - and . "
            f"Received: {name!r}"
        )
    return name


def _problem(base: pathlib.Path) -> str:
    if not base.is_dir():
        return "which is not a folder" if base.exists() else "which is not there"
    for place in (base, base / SAVED_MODELS):
        if (place / SAVED_MODEL).is_file():
            return "a model without a version: move it into a folder such as saved_model/model/1"
    return "which has no such file"
