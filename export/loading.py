"""Loading of a trained network to classify images: from a run, an export or one of its models."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import zipfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError, first_line, listed
from darts_tf.export import folder
from darts_tf.export.formats import FORMATS
from darts_tf.export.images import check_images, in_batches, keras_logits
from darts_tf.export.web import page
from darts_tf.models.network import load_network
from darts_tf.runs import files

WANTED = "Expected the folder of a training run or of an export, or a .keras or .tflite file"
SUFFIXES = (".keras", ".tflite")
SAVED_MODEL = "saved_model.pb"
BROKEN = (
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    tf.errors.OpError,
    zipfile.BadZipFile,
)
"""Exceptions of Keras, TensorFlow and TFLite for a file that is damaged or of another kind."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """A network with its labels and preprocessing.

    Attributes:
        classes: labels in the order of the probabilities.
        preprocessing: decodes and resizes image files for `probabilities`.
        logits: function from uint8 images to logits `(n, classes)`.
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    logits: Callable[[np.ndarray], np.ndarray]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Classifies images.

        Args:
            images: uint8 `(n, height, width, channels)`, with the size of `preprocessing`.

        Returns:
            float32 `(n, classes)`; rows add up to 1.

        Raises:
            InputError: images of another shape or type, or different numbers of logits and labels.
        """
        check_images(images, self.preprocessing)
        logits = in_batches(self.logits, images)
        if logits.shape[-1] != len(self.classes):
            raise InputError(
                f"Expected as many labels as the model has logits, {logits.shape[-1]}. "
                f"Received: {len(self.classes)} labels"
            )
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        return exponentials / exponentials.sum(-1, keepdims=True)


def load(path: str | os.PathLike[str]) -> Exported:
    """Loads a trained network.

    Args:
        path: a run's folder; an export's folder (its first model in the order of `FORMATS` is
            loaded); the folder of a SavedModel's version or of its name (the newest version is
            loaded); or a `.keras` or `.tflite` file. Labels and preprocessing are read from inside
            the model, or else from the files beside it.

    Raises:
        InputError: `path` is none of these, or the model cannot be read or has no labels.
    """
    path = pathlib.Path(path)
    model = model_at(path)
    classes, preprocessing = _description(model)
    if model.suffix == ".keras":
        return Exported(classes, preprocessing, keras_logits(load_network(model), preprocessing))
    by_name = {form.path: form for form in FORMATS.values()}
    form = by_name.get(folder.SAVED_MODELS if model.is_dir() else model.name, FORMATS["tflite"])
    return Exported(classes, preprocessing, opened(form.open_logits, model))


def model_at(path: pathlib.Path) -> pathlib.Path:
    """Returns the .keras or .tflite file or the SavedModel's version that `path` refers to."""
    if path.is_file() and path.suffix in SUFFIXES:
        return path
    if path.is_dir():
        for place in (path, path / folder.SAVED_MODELS):
            if saved := _saved_model(place):
                return saved
        in_page = (page.MODEL, f"{FORMATS['web'].path}/{page.MODEL}")
        for name in (*(form.path for form in FORMATS.values()), *in_page, files.MODEL):
            if (path / name).is_file():
                return path / name
        raise InputError(f"{WANTED}. Received: {str(path)!r}, which has no model")
    problem = "is another file" if path.exists() else "is not there"
    raise InputError(f"{WANTED}. Received: {str(path)!r}, which {problem}")


def _saved_model(path: pathlib.Path) -> pathlib.Path | None:
    """Returns the newest SavedModel at `path`, or None.

    `path` may be the folder of a version, of a model's name, or of several names.
    """
    if (path / SAVED_MODEL).is_file():
        return path
    if not path.is_dir():
        return None
    newest = {model: _newest(model) for model in (path, *sorted(path.iterdir()))}
    models = {model: version for model, version in newest.items() if version}
    if len(models) > 1:
        raise InputError(
            f"Expected the folder of one model, such as {str(next(iter(models)))!r}. "
            f"Received: {str(path)!r} with {listed(p.name for p in models)}"
        )
    return next(iter(models.values()), None)


def _newest(model: pathlib.Path) -> pathlib.Path | None:
    whole = (p for p in folder.versions(model).values() if (p / SAVED_MODEL).is_file())
    return max(whole, key=lambda path: int(path.name), default=None)


def _description(model: pathlib.Path) -> tuple[tuple[str, ...], Preprocessing]:
    """Reads labels and preprocessing of a model."""
    for place in places(model):
        if (place / folder.VOCABULARY).is_file():
            raise InputError(
                f"Expected a network for images. Received: {str(model)!r}, a language model, which "
                "darts-tf sample is for"
            )
        if (place / folder.LABELS).is_file():
            return _read(place / folder.LABELS, place / folder.PREPROCESSING)
        if (place / files.DATASET).is_file():
            classes, stored = files.read_dataset(place / files.DATASET)
            return classes, Preprocessing.from_dict(stored)
    raise InputError(
        f"Expected {folder.LABELS} and {folder.PREPROCESSING}, or {files.DATASET}, beside the "
        f"model. Received: {str(model)!r} without them"
    )


def places(model: pathlib.Path) -> tuple:
    """Returns the places of a model's own files, in order of precedence: inside it, beside it."""
    inside = model / folder.ASSETS
    if model.suffix == ".tflite" and zipfile.is_zipfile(model):
        inside = zipfile.Path(model)  # TFLite's metadata tools append files as a zip archive
    return inside, model.parent


def _read(labels, preprocessing) -> tuple[tuple[str, ...], Preprocessing]:
    """Reads labels and preprocessing from two files, which may be inside an archive."""
    try:
        return (
            folder.read_labels(labels.read_bytes()),
            Preprocessing.from_json(preprocessing.read_bytes()),
        )
    except (InputError, *BROKEN) as error:
        raise InputError(
            f"Expected {folder.LABELS} and {folder.PREPROCESSING} of an export. "
            f"Received: {str(preprocessing)!r} ({first_line(error)})"
        ) from error


def opened(open_model: Callable, path: pathlib.Path):
    """Returns `open_model(path)`; raises InputError with one line if the model is damaged."""
    try:
        return open_model(path)
    except BROKEN as error:
        reason = first_line(error)
        raise InputError(f"Expected a model. Received: {str(path)!r} ({reason})") from error
