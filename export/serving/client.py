"""A client for the classes of images, of the server here or of TensorFlow Serving."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from darts_tf.errors import InputError, shortened, shown
from darts_tf.export.serving.folders import NAME
from darts_tf.runtime.strict_json import parse_json

SIGNATURE = "predict_bytes"
PORTS = {"grpc": 8500, "http": 8501, "https": 443}
WANTED = "Expected url to be grpc://HOST:PORT or http://HOST:PORT"


class Refused(Exception):
    """An error that a server returned.

    Attributes:
        code: name of the gRPC status code.
    """

    def __init__(self, code: str, message: str):
        super().__init__(shortened(message, 300))
        self.code = code


class Prediction(NamedTuple):
    """Classes of one image with their probabilities, best first."""

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


def predictor(url: str, name: str, timeout: float) -> Callable[[bytes], Prediction]:
    """Returns a function from an image file's bytes to a server's prediction.

    Args:
        url: `grpc://host:port`, `http://host:port` or `https://host`.
        name: name of the model on the server.
        timeout: time to wait for an answer, seconds.

    Returns:
        A function that may be called from several threads. It raises ConnectionError if no server
        answers, and Refused if the server returns an error.

    Raises:
        InputError: an invalid address or name.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"Expected name to be letters, digits, _, - and . Received: name={shown(name)}"
        )
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError as error:  # an invalid port
        raise InputError(f"{WANTED}. Received: url={shown(url)}") from error
    if parts.scheme not in PORTS or not parts.hostname or parts.username or parts.query:
        raise InputError(f"{WANTED}. Received: url={shown(url)}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.scheme == "grpc":
        return _over_grpc(f"{host}:{port}", name, timeout)
    address = f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"
    return _over_rest(f"{address}/v1/models/{name}:predict", timeout)


def _over_grpc(address: str, name: str, timeout: float) -> Callable[[bytes], Prediction]:
    import grpc
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    from darts_tf.export.serving.tensors import string_proto

    service = PredictionServiceStub(grpc.insecure_channel(address))

    def predict(image: bytes) -> Prediction:
        request = PredictRequest()
        request.model_spec.name = name
        request.model_spec.signature_name = SIGNATURE
        request.inputs["image_bytes"].CopyFrom(string_proto([image]))
        try:
            outputs = service.Predict(request, timeout=timeout).outputs
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise ConnectionError(_no_answer(f"grpc://{address}", error.details())) from error
            raise Refused(error.code().name, error.details()) from error
        labels = (label.decode("utf-8", "replace") for label in outputs["labels"].string_val)
        return Prediction(tuple(labels), _floats(outputs["probabilities"]))

    return predict


def _floats(proto) -> tuple[float, ...]:
    import tensorflow as tf

    return tuple(tf.make_ndarray(proto).ravel().tolist())


def _over_rest(address: str, timeout: float) -> Callable[[bytes], Prediction]:
    def predict(image: bytes) -> Prediction:
        encoded = base64.b64encode(image).decode("ascii")
        body = {"signature_name": SIGNATURE, "instances": [{"b64": encoded}]}
        request = urllib.request.Request(
            address, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return _read(parse_json(answer.read()))
        except urllib.error.HTTPError as error:
            raise Refused(CODES.get(error.code, str(error.code)), _error_text(error)) from error
        except OSError as error:  # URLError is one
            raise ConnectionError(_no_answer(address, getattr(error, "reason", error))) from error
        except (http.client.HTTPException, KeyError, TypeError, ValueError) as error:
            raise ConnectionError(_no_answer(address, "its answer is no prediction")) from error

    return predict


CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 504: "DEADLINE_EXCEEDED", 503: "UNAVAILABLE"}


def _read(body) -> Prediction:
    (row,) = body["predictions"]
    return Prediction(tuple(row["labels"]), tuple(map(float, row["probabilities"])))


def _error_text(error: urllib.error.HTTPError) -> str:
    text = error.read()
    try:
        return str(parse_json(text)["error"])
    except (KeyError, TypeError, ValueError):
        return text.decode("utf-8", "replace")


def _no_answer(address: str, reason: object) -> str:
    return f"no answer from {address} ({shortened(str(reason), 200)})"
