"""`darts-tf predict`: labels of image files, with probabilities."""

from __future__ import annotations

import pathlib

import keras
import tensorflow as tf

from darts_tf import runs
from darts_tf.configs import PredictConfig
from darts_tf.data import Preprocessing


def run(config: PredictConfig) -> int:
    """Prints the most probable classes of every image."""
    described = runs.read_json(runs.existing(config.model, runs.DATASET))
    preprocessing = Preprocessing.from_dict(described["preprocessing"])
    images = tf.stack([_decoded(preprocessing, path) for path in config.images])
    network = keras.saving.load_model(runs.existing(config.model, runs.MODEL))
    logits = network(preprocessing.normalize(images), training=False)
    logits = logits["logits"] if isinstance(logits, dict) else logits
    for path, probabilities in zip(config.images, tf.nn.softmax(logits).numpy(), strict=True):
        best = (-probabilities).argsort(kind="stable")[: config.top]
        labels = "  ".join(f"{described['classes'][i]} {probabilities[i]:.4f}" for i in best)
        print(f"{path}: {labels}")
    return 0


def _decoded(preprocessing: Preprocessing, path: pathlib.Path) -> tf.Tensor:
    if not path.is_file():
        raise ValueError(f"Expected an image file. Received: {str(path)!r}, which is not there")
    try:
        return preprocessing.decode(path.read_bytes())
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            "Expected a whole JPEG, PNG, GIF or BMP file. "
            f"Received: {str(path)!r}, which cannot be decoded"
        ) from error
