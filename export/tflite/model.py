"""The TFLite formats: one image per call, for phones and small boards."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.export.images import Examples
from darts_tf.export.inference import frozen_logits, image_shape
from darts_tf.export.tflite.metadata import with_metadata
from darts_tf.export.tflite.quantization import VARIANTS
from darts_tf.models.network import GenotypeNetwork
from darts_tf.ops.xnnpack import written_for_xnnpack

SIGNATURE = "serving_default"


def write(
    network: GenotypeNetwork,
    preprocessing: Preprocessing,
    path: pathlib.Path,
    examples: Examples,
    variant: str = "float32",
) -> None:
    """Writes a file with one signature, from `images` (one raw image) to `logits`.

    Args:
        network: without an auxiliary head.
        preprocessing: its normalization becomes part of the graph.
        path: new file.
        examples: labels for the file's metadata, and images to calibrate int8 with.
        variant: a key of `VARIANTS`.

    Raises:
        InputError: int8 without calibration images.
    """
    with written_for_xnnpack():
        frozen = frozen_logits(network, preprocessing, batch=1)
    shape = image_shape(preprocessing, 1)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="images")])
    def serve(images):
        return {"logits": frozen(images)[0]}

    model = VARIANTS[variant](serve.get_concrete_function(), examples)
    path.write_bytes(with_metadata(model, preprocessing, examples.classes))


def open_logits(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model as a function from images uint8 `(n, height, width, channels)` to logits."""
    run = Interpreter(model_path=str(path)).get_signature_runner(SIGNATURE)
    kind = run.get_input_details()["images"]["dtype"]  # float32, or uint8 with scale 1: raw values

    def logits(images):
        singles = (image[None].astype(kind) for image in images)
        return np.concatenate([run(images=image)["logits"] for image in singles])

    return logits
