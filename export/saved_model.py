"""The SavedModel format: any batch size, for TensorFlow, TF Serving and other readers."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.export import folder, warmup
from darts_tf.export.images import Examples
from darts_tf.export.inference import frozen_logits, image_shape
from darts_tf.models.network import GenotypeNetwork

SIGNATURE = "serving_default"
BEST = 5
"""Number of labels that `predict_bytes` returns, unless the network has fewer classes."""
ENCODED = "image/encoded"
"""The feature of a `tf.Example` that holds an image file."""

_METHODS = {"classify": "tensorflow/serving/classify"}
"""Method names of the signatures that TF Serving uses for methods other than Predict."""


def write(
    network: GenotypeNetwork, preprocessing: Preprocessing, path: pathlib.Path, examples: Examples
) -> None:
    """Writes a version's folder with three signatures, labels, preprocessing and warm-up requests.

    - `serving_default`: `images`, float32 `(n, height, width, channels)`, values 0 to 255, to
      `logits` and `probabilities`, both `(n, classes)`;
    - `predict_bytes`: `image_bytes`, string `(n,)`, image files for `Preprocessing.decode`, to the
      best `labels`, string `(n, k)`, and their `probabilities`, best first;
    - `classify`: `inputs`, string `(n,)`, each a `tf.Example` with an image file, to all `classes`,
      string `(n, classes)`, and their `scores`, best first.

    Args:
        network: without an auxiliary head.
        preprocessing: becomes part of the graph.
        path: new folder of the version, inside the folder of the model's name.
        examples: gives the labels; calibration images are not used.
    """
    module = tf.Module()
    with tempfile.TemporaryDirectory() as temporary:
        assets = pathlib.Path(temporary)
        folder.describe(assets, preprocessing, examples.classes)
        names = (folder.LABELS, folder.PREPROCESSING)
        module.assets = [tf.saved_model.Asset(str(assets / name)) for name in names]
        signatures = _signatures(network, preprocessing, examples.classes)
        tf.saved_model.save(module, path, signatures=signatures)
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(path))
    for signature, method in _METHODS.items():
        updater.replace_method_name(signature, method)
    updater.save()
    warmup.write(path, preprocessing)


def _signatures(network, preprocessing: Preprocessing, classes: Sequence[str]) -> dict:
    frozen = frozen_logits(network, preprocessing, batch=None)
    shape = image_shape(preprocessing, None)
    labels = tf.constant(classes)
    best = min(BEST, len(classes))

    def function(name: str, dtype: tf.DType, shape):
        return tf.function(
            input_signature=[tf.TensorSpec(shape, dtype, name=name)], autograph=False
        )

    @function("images", tf.float32, shape)
    def serve(images):
        (logits,) = frozen(_nonempty(tf.ensure_shape(images, shape)))
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    def ranked(encoded, count):
        (logits,) = frozen(tf.cast(_decode(preprocessing, _nonempty(encoded)), tf.float32))
        values, indices = tf.math.top_k(tf.nn.softmax(logits), count)
        return tf.gather(labels, indices), values

    @function("image_bytes", tf.string, (None,))
    def predict_bytes(image_bytes):
        names, values = ranked(image_bytes, best)
        return {"labels": names, "probabilities": values}

    @function("inputs", tf.string, (None,))
    def classify(inputs):
        parsed = tf.io.parse_example(inputs, {ENCODED: tf.io.FixedLenFeature((), tf.string)})
        names, values = ranked(parsed[ENCODED], len(classes))
        return {"classes": names, "scores": values}

    return {SIGNATURE: serve, "predict_bytes": predict_bytes, "classify": classify}


def _nonempty(batch: tf.Tensor) -> tf.Tensor:
    """Returns the batch, or fails with a clear error if it is empty; convolutions give none."""
    message = "Expected one image or more. Received: none"
    with tf.control_dependencies([tf.debugging.Assert(tf.shape(batch)[0] > 0, [message])]):
        return tf.identity(batch)


def _decode(preprocessing: Preprocessing, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes image files, string `(n,)`, to uint8 `(n, height, width, channels)`."""
    spec = tf.TensorSpec(image_shape(preprocessing, None)[1:], tf.uint8)

    return tf.map_fn(preprocessing.decode, encoded, fn_output_signature=spec)


def open_logits(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model as a function from images uint8 `(n, height, width, channels)` to logits."""
    serve = signature_of(path)
    return lambda images: serve(images=tf.cast(images, tf.float32))["logits"].numpy()


def signature_of(path: pathlib.Path):
    """Returns the signature `serving_default` of a SavedModel.

    Raises:
        InputError: the SavedModel has no such signature.
    """
    loaded = tf.saved_model.load(path)
    if SIGNATURE not in loaded.signatures:
        raise InputError(f"Expected a signature {SIGNATURE}. Received: {list(loaded.signatures)}")
    return loaded.signatures[SIGNATURE]
