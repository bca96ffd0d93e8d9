"""Loading of trained models."""

from __future__ import annotations

import os
import zipfile
from typing import TypeVar

import keras

from darts_tf.errors import InputError, first_line

Kind = TypeVar("Kind", bound=keras.Model)


def load_model(path: str | os.PathLike[str], kind: type[Kind]) -> Kind:
    """A trained model from a `.keras` file, without its optimizer.

    Args:
        path: of the file.
        kind: the class that it should be of.

    Raises:
        InputError: the file is missing or broken, or holds another model.
    """
    path = os.fspath(path)
    try:
        model = keras.saving.load_model(path, compile=False)
    except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"Expected a model. Received: {path!r} ({first_line(error)})") from error
    if not isinstance(model, kind):
        received = f"{type(model).__name__} in {path!r}"
        raise InputError(f"Expected a {kind.__name__}. Received: {received}")
    return model
