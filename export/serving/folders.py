"""Where an export has its models and their versions."""

from __future__ import annotations

import pathlib
import re

from darts_tf.errors import InputError

SAVED_MODELS = "saved_model"
"""The folder of an export in which its models lie."""
SAVED_MODEL = "saved_model.pb"
VOCABULARY = "assets/vocabulary.txt"
"""Inside the SavedModel of a language model."""
NAME = re.compile(r"[A-Za-z0-9_.-]+", re.A)
_VERSION = re.compile(r"\d{1,18}", re.A)


def models(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The folders of the models that `folder` stands for, by their names.

    Args:
        folder: an export, the folder of its models, or the folder of one model's versions.

    Raises:
        InputError: there is none, or one with a name that cannot be a part of an address.
    """
    base = folder.resolve()
    for place in (base, base / SAVED_MODELS):
        if versions(place):
            return {_checked(place.name): place}
        if place.is_dir():
            found = {path.name: path for path in sorted(place.iterdir()) if versions(path)}
            if found:
                return {_checked(name): path for name, path in found.items()}
    raise InputError(
        "Expected the folder of an export with saved_model/NAME/VERSION/saved_model.pb. "
        f"Received: {str(folder)!r}, {_what(base)}"
    )


def versions(base: pathlib.Path) -> dict[int, pathlib.Path]:
    """The folders of a model's versions by their numbers; what is half-written has none yet."""
    try:
        paths = list(base.iterdir())
    except OSError:  # no folder, or gone meanwhile
        return {}
    return {
        int(path.name): path
        for path in paths
        if _VERSION.fullmatch(path.name) and (path / SAVED_MODEL).is_file()
    }


def is_language_model(base: pathlib.Path) -> bool:
    """Whether the newest version of a model reads text, by the vocabulary in it."""
    found = versions(base)
    return bool(found) and (found[max(found)] / VOCABULARY).is_file()


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InputError(
            "Expected a model's folder to be named by letters, digits, _, - and . "
            f"Received: {name!r}"
        )
    return name


def _what(base: pathlib.Path) -> str:
    if not base.is_dir():
        return "which is not a folder" if base.exists() else "which is not there"
    for place in (base, base / SAVED_MODELS):
        if (place / SAVED_MODEL).is_file():
            return "a model without a version: move it into a folder such as saved_model/model/1"
    return "which has no such file"
