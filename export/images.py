"""Image files, checks of images and batches, shared by the models of all formats."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.export.inference import image_shape
from darts_tf.models.network import logits_of
from darts_tf.runtime.atomic import contents

BATCH = 16
"""Images per batch: small enough for 224x224 pixels on a small machine."""


KINDS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
"""Suffixes of image files."""


class Examples(NamedTuple):
    """Labels and calibration images, which some formats need beside the network.

    Attributes:
        classes: labels in the order of the logits.
        calibration: images of the training split, uint8 `(n, height, width, channels)`, or None.
    """

    classes: tuple[str, ...]
    calibration: np.ndarray | None = None


def image_files(folder: pathlib.Path, most: int) -> list[pathlib.Path]:
    """Returns at most `most` image files below a folder, evenly spaced in their sorted order.

    Raises:
        InputError: the folder does not exist or has no image files.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in KINDS)
    if not paths:
        raise InputError(
            f"Expected a folder with image files ({', '.join(KINDS)}). Received: {str(folder)!r}"
        )
    count = min(most, len(paths))
    return [paths[i * len(paths) // count] for i in range(count)]


def read_images(paths: Sequence[pathlib.Path], preprocessing: Preprocessing) -> np.ndarray:
    """Reads and resizes image files: uint8 `(n, height, width, channels)`, before normalization.

    Raises:
        InputError: a file is missing or not an image; the message names it.
    """
    return np.stack([_read_image(path, preprocessing) for path in paths])


def _read_image(path: pathlib.Path, preprocessing: Preprocessing) -> np.ndarray:
    encoded = contents(path, "an image file")
    try:
        return preprocessing.decode(encoded).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            "Expected a whole JPEG, PNG, GIF, BMP or WEBP file. "
            f"Received: {str(path)!r}, which cannot be decoded"
        ) from error


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
    """Returns logits `(n, classes)` of images `(n, height, width, channels)`, by `BATCH` images."""
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return np.concatenate([logits(batch) for batch in batches])


def keras_logits(network, preprocessing: Preprocessing) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a network as a function from uint8 images to float32 logits."""

    def logits(images):
        outputs = network(preprocessing.normalize(images), training=False)
        return np.asarray(logits_of(outputs), np.float32)

    return logits
