"""Requests that TF Serving answers to itself before a model's first user, so that none waits.

They are messages of TF Serving's protocol buffers, `PredictionLog`. Four kinds nested in each other
are too little to depend on the package that has them all.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import Preprocessing

PLACE = "assets.extra/tf_serving_warmup_requests"
"""Inside a SavedModel, where TF Serving looks for them."""


def write(path: pathlib.Path, preprocessing: Preprocessing) -> None:
    """Writes one request for each signature into a SavedModel, all of one gray image.

    Args:
        path: of the SavedModel's version, in the folder of its name.
        preprocessing: knows the size of its images.
    """
    shape = (preprocessing.height, preprocessing.width, preprocessing.channels)
    gray = np.full(shape, 128, np.uint8)
    encoded = tf.io.encode_png(gray).numpy()
    features = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))}
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    # One number stands for a whole tensor of it.
    images = tf.make_tensor_proto(128.0, shape=(1, *shape))
    name = path.parent.name
    record(
        path,
        predict(name, "serving_default", {"images": images.SerializeToString()}),
        predict(name, "predict_bytes", {"image_bytes": strings(encoded)}),
        classify(name, "classify", example),
    )


def record(path: pathlib.Path, *requests: bytes) -> None:
    """Writes requests into a SavedModel.

    Args:
        path: of the SavedModel's version.
        requests: each a `PredictionLog`.
    """
    file = path / PLACE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as records:
        for request in requests:
            records.write(request)


def predict(model: str, signature: str, inputs: Mapping[str, bytes]) -> bytes:
    """A `PredictionLog` of a `PredictRequest`.

    Args:
        model: its name.
        signature: of the model.
        inputs: each a `TensorProto`, by their names.
    """
    entries = (
        _field(2, _field(1, name.encode()) + _field(2, tensor))
        for name, tensor in sorted(inputs.items())
    )
    return _field(6, _field(1, _field(1, _model(model, signature)) + b"".join(entries)))


def classify(model: str, signature: str, example: bytes) -> bytes:
    """A `PredictionLog` of a `ClassificationRequest` with one `tf.Example`; as `predict`."""
    examples = _field(1, _field(1, example))
    return _field(2, _field(1, _field(1, _model(model, signature)) + _field(2, examples)))


def _model(name: str, signature: str) -> bytes:
    """A `ModelSpec`."""
    return _field(1, name.encode()) + _field(3, signature.encode())


def strings(value: bytes) -> bytes:
    """A `TensorProto` of one text."""
    return tf.make_tensor_proto([value], tf.string).SerializeToString()


def _field(number: int, payload: bytes) -> bytes:
    """A field of a message, of the kind that has a length: text, bytes and messages."""
    length, digits = len(payload), bytearray()
    while length > 127:
        digits.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *digits, length]) + payload
