"""`darts-tf predict`: labels of image files, with probabilities."""

from __future__ import annotations

import export
from cli import quiet
from darts_tf.configs import PredictConfig
from export.images import read_images


def run(config: PredictConfig) -> int:
    """Prints the most probable classes of every image, one image a line."""
    with quiet.held_stderr():
        model = export.load(config.model)
        rows = model.probabilities(read_images(config.images, model.preprocessing))
    for path, probabilities in zip(config.images, rows, strict=True):
        best = (-probabilities).argsort(kind="stable")[: config.top]
        labels = "  ".join(f"{model.classes[i]} {probabilities[i]:.2%}" for i in best)
        print(f"{path}: {labels}")
    return 0
