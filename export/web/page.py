"""The web format: a static folder with a page, the model, and a runtime in WebAssembly."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable

import numpy as np

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.export import folder
from darts_tf.export.images import Examples
from darts_tf.export.tflite import model as tflite_model
from darts_tf.export.web import vendoring
from darts_tf.models.network import GenotypeNetwork
from darts_tf.runtime import atomic

STATIC = pathlib.Path(__file__).parent / "static"
MODEL = "model.tflite"
RUNTIME = "litert"
LISTED = "files.js"
"""Script with the list of files that the service worker caches for use offline."""


def write(
    network: GenotypeNetwork, preprocessing: Preprocessing, path: pathlib.Path, examples: Examples
) -> None:
    """Writes the folder of the page, for any static web server.

    Args:
        network: without an auxiliary head.
        preprocessing: the page repeats it, except for the normalization, which is in the model.
        path: new folder.
        examples: gives the labels; calibration images are not used.

    Raises:
        InputError: the runtime has not been fetched.
    """
    vendoring.check()
    shutil.copytree(STATIC, path)
    shutil.copytree(vendoring.VENDOR, path / RUNTIME)
    tflite_model.write(network, preprocessing, path / MODEL, examples)
    folder.describe(path, preprocessing, examples.classes)
    atomic.write_text(path / LISTED, _listed(path))


def open_logits(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the page's model: images uint8 `(n, height, width, channels)` to logits."""
    return tflite_model.open_logits(path / MODEL)


def _listed(path: pathlib.Path) -> str:
    """Returns a script with the files below `path` and a version, a hash of their contents."""
    digests = folder.digests(path)
    version = hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]
    return f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps([*digests])};\n"
