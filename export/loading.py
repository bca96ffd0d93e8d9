"""Opens a trained network to classify images, from a run, an export or one of its models."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import zipfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from darts_tf import runs
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.names import first_line
from darts_tf.network import load_network
from export import folder
from export.formats import FORMATS
from export.images import check_images, in_batches, keras_logits
from export.web import page

WANTED = "Expected the folder of a training run or of an export, or a .keras or .tflite file"
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
"""What Keras, TensorFlow and TFLite raise on a file that is broken or something else."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """A network with all that it takes to use it.

    Attributes:
        classes: labels in the order of the probabilities.
        preprocessing: from image files to the images that `probabilities` takes.
        logits: from images to logits `(n, classes)`.
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    logits: Callable[[np.ndarray], np.ndarray]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Classifies images.

        Args:
            images: uint8 `(n, height, width, channels)`, of the size `preprocessing` says.

        Returns:
            float32 `(n, classes)`; rows add up to 1.

        Raises:
            InputError: images of another shape or type, or not as many logits as labels.
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
    """Opens a trained network.

    Args:
        path: a run's folder, an export's folder (of its models the first in the order of
            `FORMATS`), a SavedModel's or page's folder, or a `.keras` or `.tflite` file. Labels and
            preprocessing are looked for beside the model, and inside a SavedModel.

    Raises:
        InputError: nothing of that kind there, a model that cannot be read, or one without labels.
    """
    path = pathlib.Path(path)
    model = _model(path)
    classes, preprocessing = _description(model)
    if model.suffix == ".keras":
        return Exported(classes, preprocessing, keras_logits(load_network(model), preprocessing))
    form = FORMATS["saved_model" if model.is_dir() else "tflite"]
    return Exported(classes, preprocessing, _opened(form.open_logits, model))


def _model(path: pathlib.Path) -> pathlib.Path:
    """The .keras or .tflite file or the SavedModel's folder that `path` stands for."""
    if path.is_file() and path.suffix in (".keras", ".tflite"):
        return path
    if (path / SAVED_MODEL).is_file():
        return path
    if path.is_dir():
        for name in (*(form.path for form in FORMATS.values()), page.MODEL, runs.MODEL):
            if (path / name).exists():
                return _model(path / name)
        raise InputError(f"{WANTED}. Received: {str(path)!r}, which has no model")
    what = "is another file" if path.exists() else "is not there"
    raise InputError(f"{WANTED}. Received: {str(path)!r}, which {what}")


def _description(model: pathlib.Path) -> tuple[tuple[str, ...], Preprocessing]:
    """Labels and preprocessing of a model."""
    for place in (model / folder.EXTRA, model.parent):
        if (place / folder.LABELS).is_file():
            stored = runs.read_json(place / folder.PREPROCESSING)
            return folder.read_labels(place), Preprocessing.from_dict(stored)
        if (place / runs.DATASET).is_file():
            classes, stored = runs.read_dataset(place / runs.DATASET)
            return classes, Preprocessing.from_dict(stored)
    raise InputError(
        f"Expected {folder.LABELS} and {folder.PREPROCESSING}, or {runs.DATASET}, beside the "
        f"model. Received: {str(model)!r} without them"
    )


def _opened(open_model: Callable, path: pathlib.Path):
    try:
        return open_model(path)
    except BROKEN as error:
        reason = first_line(error)
        raise InputError(f"Expected a model. Received: {str(path)!r} ({reason})") from error
