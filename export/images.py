"""Images in, logits out: the checks and the batches that all models share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.network import logits_of
from export.inference import image_shape

BATCH = 16
"""Images at a time: few enough for 224x224 pixels on a small machine."""


class Examples(NamedTuple):
    """What a format may need beside the network.

    Attributes:
        classes: labels in the order of the logits.
        calibration: images of the training split, uint8 `(n, height, width, channels)`; None where
            there are none.
    """

    classes: tuple[str, ...]
    calibration: np.ndarray | None = None


def check_images(images: np.ndarray, preprocessing: Preprocessing) -> None:
    """Raises InputError unless images are uint8 `(n, height, width, channels)`, at least one."""
    _, *expected = image_shape(preprocessing, None)
    dtype, shape = getattr(images, "dtype", None), getattr(images, "shape", ())
    if dtype != np.uint8 or list(shape[1:]) != expected or not len(images):
        sides = ", ".join(map(str, expected))
        raise InputError(
            f"Expected images uint8 (n, {sides}) with n at least 1. Received: {dtype} {shape}"
        )


def in_batches(logits: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Logits `(n, classes)` of images `(n, height, width, channels)`, `BATCH` at a time."""
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return np.concatenate([logits(batch) for batch in batches])


def keras_logits(network, preprocessing: Preprocessing) -> Callable[[np.ndarray], np.ndarray]:
    """A network as a function from uint8 images to float32 logits."""

    def logits(images):
        outputs = network(preprocessing.normalize(images), training=False)
        return np.asarray(logits_of(outputs), np.float32)

    return logits
