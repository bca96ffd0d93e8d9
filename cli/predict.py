"""`darts-tf predict`: labels of image files, with probabilities."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf

import export
from cli import quiet
from darts_tf.configs import PredictConfig
from darts_tf.data import Preprocessing
from darts_tf.errors import InputError


def run(config: PredictConfig) -> int:
    """Prints the most probable classes of every image, one image a line."""
    with quiet.held_stderr():
        model = export.load(config.model)
        images = np.stack([_decoded(model.preprocessing, path) for path in config.images])
        rows = model.probabilities(images)
    for path, probabilities in zip(config.images, rows, strict=True):
        best = (-probabilities).argsort(kind="stable")[: config.top]
        labels = "  ".join(f"{model.classes[i]} {probabilities[i]:.2%}" for i in best)
        print(f"{path}: {labels}")
    return 0


def _decoded(preprocessing: Preprocessing, path: pathlib.Path) -> np.ndarray:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise InputError(f"Expected an image file. Received: {str(path)!r}, which {what}")
    try:
        return preprocessing.decode(path.read_bytes()).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            "Expected a whole JPEG, PNG, GIF or BMP file. "
            f"Received: {str(path)!r}, which cannot be decoded"
        ) from error
