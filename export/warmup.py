"""Warm-up requests: TF Serving runs them when it loads a model, so that no client waits for that.

They are `PredictionLog` messages of TF Serving's protocol buffers. They are encoded here, since
four small nested messages do not justify a dependency on the package that defines them.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from darts_tf.data.preprocessing import Preprocessing

PLACE = "assets.extra/tf_serving_warmup_requests"
"""Path inside a SavedModel where TF Serving looks for warm-up requests."""


def write(path: pathlib.Path, preprocessing: Preprocessing) -> None:
    """Writes one request for each signature into a SavedModel, all with one gray image.

    Args:
        path: folder of the SavedModel's version, inside the folder of the model's name.
        preprocessing: gives the size of the images.
    """
    shape = (preprocessing.height, preprocessing.width, preprocessing.channels)
    gray = np.full(shape, 128, np.uint8)
    encoded = tf.io.encode_png(gray).numpy()
    features = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))}
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    # A single value in the message fills the whole tensor.
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
        path: folder of the SavedModel's version.
        requests: serialized `PredictionLog` messages.
    """
    file = path / PLACE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as records:
        for request in requests:
            records.write(request)


def predict(model: str, signature: str, inputs: Mapping[str, bytes]) -> bytes:
    """Returns a serialized `PredictionLog` of a `PredictRequest`.

    Args:
        model: name of the model.
        signature: name of its signature.
        inputs: serialized `TensorProto` messages by input name.
    """
    entries = (
        _field(2, _field(1, name.encode()) + _field(2, tensor))
        for name, tensor in sorted(inputs.items())
    )
    return _field(6, _field(1, _field(1, _model(model, signature)) + b"".join(entries)))


def classify(model: str, signature: str, example: bytes) -> bytes:
    """Returns a serialized `PredictionLog` of a `ClassificationRequest` with one `tf.Example`.

    See `predict` for `model` and `signature`.
    """
    examples = _field(1, _field(1, example))
    return _field(2, _field(1, _field(1, _model(model, signature)) + _field(2, examples)))


def _model(name: str, signature: str) -> bytes:
    """Returns a serialized `ModelSpec`."""
    return _field(1, name.encode()) + _field(3, signature.encode())


def strings(value: bytes) -> bytes:
    """Returns a serialized `TensorProto` with one string, of shape `(1,)`."""
    return tf.make_tensor_proto([value], tf.string).SerializeToString()


def _field(number: int, payload: bytes) -> bytes:
    """Returns a length-delimited field of a message: a string, bytes or a nested message."""
    length, digits = len(payload), bytearray()
    while length > 127:
        digits.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *digits, length]) + payload
