"""Warm-up requests of a model, run before those of clients."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from darts_tf.export.serving.examples import serialized
from darts_tf.export.serving.servable import Servable
from darts_tf.export.serving.tensors import from_proto

FILE = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
MOST = 1000
"""Largest number of warm-up requests that are run, as in TensorFlow Serving."""


def warm_up(servable: Servable, path: pathlib.Path, limit: int) -> int:
    """Runs the warm-up requests in a SavedModel's folder and returns their number.

    Raises:
        RequestError, tf.errors.OpError, google.protobuf.message.DecodeError: a request fails.
    """
    if not (path / FILE).is_file():
        return 0
    count = 0
    for record in tf.data.TFRecordDataset(str(path / FILE)).take(MOST):
        _run(servable, PredictionLog.FromString(record.numpy()), limit)
        count += 1
    return count


def _run(servable: Servable, log: PredictionLog, limit: int) -> None:
    if log.HasField("predict_log"):
        request = log.predict_log.request
        signature = servable.signature(request.model_spec.signature_name)
        arrays = {
            name: from_proto(proto, signature.inputs[name], name, limit)
            for name, proto in request.inputs.items()
            if name in signature.inputs
        }
    elif log.HasField("classify_log"):
        request = log.classify_log.request
        signature = servable.signature(request.model_spec.signature_name)
        arrays = {"inputs": serialized(request.input)}
    else:  # a kind of request that this server does not answer
        return
    signature.rows(arrays, limit)
    signature.run(arrays)
