"""The SavedModel format: any batch size, for TensorFlow, TF Serving and whoever reads it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.network import Network
from export.images import Examples
from export.inference import frozen_logits, image_shape

SIGNATURE = "serving_default"


def write(
    network: Network, preprocessing: Preprocessing, path: pathlib.Path, examples: Examples
) -> None:
    """Writes a folder with one signature: `images` to `logits` and `probabilities`.

    Args:
        network: without an auxiliary head.
        preprocessing: becomes a part of the graph.
        path: of the new folder.
        examples: not needed.
    """
    frozen = frozen_logits(network, preprocessing, batch=None)
    shape = image_shape(preprocessing, None)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="images")])
    def serve(images):
        (logits,) = frozen(tf.ensure_shape(images, shape))
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    tf.saved_model.save(tf.Module(), path, signatures={SIGNATURE: serve})


def open_logits(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """The model as a function from images uint8 `(n, height, width, channels)` to logits."""
    loaded = tf.saved_model.load(path)
    if SIGNATURE not in loaded.signatures:
        raise InputError(f"Expected a signature {SIGNATURE}. Received: {list(loaded.signatures)}")
    serve = loaded.signatures[SIGNATURE]
    return lambda images: serve(images=tf.cast(images, tf.float32))["logits"].numpy()
