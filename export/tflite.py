"""The TFLite format: one image at a time, for phones and small boards."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.network import Network
from export.images import Examples
from export.inference import frozen_logits, image_shape

SIGNATURE = "serving_default"


def write(
    network: Network, preprocessing: Preprocessing, path: pathlib.Path, examples: Examples
) -> None:
    """Writes a file with one signature: `images` (one of them) to `logits`.

    Args:
        network: without an auxiliary head.
        preprocessing: becomes a part of the graph.
        path: of the new file.
        examples: not needed.
    """
    frozen = frozen_logits(network, preprocessing, batch=1)
    shape = image_shape(preprocessing, 1)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="images")])
    def serve(images):
        return {"logits": frozen(images)[0]}

    functions = [serve.get_concrete_function()]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, tf.Module())
    # Anything else would need a runtime with TensorFlow's own kernels.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())


def open_logits(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """The model as a function from images uint8 `(n, height, width, channels)` to logits."""
    run = Interpreter(model_path=str(path)).get_signature_runner(SIGNATURE)

    def logits(images):
        singles = (image[None].astype(np.float32) for image in images)
        return np.concatenate([run(images=image)["logits"] for image in singles])

    return logits
