"""Answers of the embedded server over gRPC and REST, compared with a formula."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import threading
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from servers import (
    asked,
    drawn,
    example,
    logits_of,
    png,
    probabilities_of,
    ranked,
    serving,
    write_version,
)
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from darts_tf.export.serving.answers import SMALL, Answers
from darts_tf.export.serving.batching import Batches

IMAGES = drawn(5)
FILES = [png(image) for image in IMAGES]
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("export") / "saved_model" / "model"
    base.mkdir(parents=True)
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "predict_bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(FILES[:2]))
    log = prediction_log_pb2.PredictionLog(predict_log={"request": request})
    write_version(base, 3, warm_up=[log, log])
    return base.parent.parent


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder, "--max-request-mb", "1", "--max-batch-size", "8") as server:
        yield server


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request_of(signature="", name="model", version=None, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def b64(content: bytes) -> dict:
    return {"b64": base64.b64encode(content).decode()}


# gRPC


def test_predict_answers_images_with_the_formula(stub):
    response = stub.Predict(request_of(images=IMAGES.astype(np.float32)))
    found = {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}
    np.testing.assert_allclose(found["logits"], logits_of(IMAGES), atol=1e-4)
    np.testing.assert_allclose(found["probabilities"], probabilities_of(IMAGES), atol=1e-5)
    assert len(response.outputs["logits"].float_val) == 15
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("model", 3, "serving_default")


def test_predict_answers_files_of_one_version_and_output(stub):
    request = request_of("predict_bytes", version=3, image_bytes=FILES)
    request.output_filter.append("labels")
    response = stub.Predict(request)
    labels, _ = ranked(IMAGES)
    assert list(response.outputs) == ["labels"]
    assert tf.make_ndarray(response.outputs["labels"]).astype(str).tolist() == labels


def test_classify_answers_examples_and_contexts(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "model", "classify"
    request.input.example_list.examples.extend(map(example, FILES))
    labels, shares = ranked(IMAGES)
    rows = stub.Classify(request).result.classifications
    assert [[c.label for c in row.classes] for row in rows] == labels
    np.testing.assert_allclose([[c.score for c in row.classes] for row in rows], shares, atol=1e-5)
    request.input.example_list_with_context.context.CopyFrom(example(FILES[0]))
    request.input.example_list_with_context.examples.extend([tf.train.Example()] * 2)
    rows = stub.Classify(request).result.classifications
    assert [[c.label for c in row.classes] for row in rows] == [labels[0]] * 2


def test_metadata_are_the_signatures(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "model"
    response = stub.GetModelMetadata(request)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    assert set(found.signature_def) == {"serving_default", "predict_bytes", "classify"}
    assert found.signature_def["classify"].method_name == "tensorflow/serving/classify"
    assert response.model_spec.version.value == 3


def test_status_is_available(server):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "model"
    with grpc.insecure_channel(server.grpc) as channel:
        service = model_service_pb2_grpc.ModelServiceStub(channel)
        (status,) = service.GetModelStatus(request).model_version_status
        request.model_spec.name = "other"
        assert refusal(service.GetModelStatus, request) == Code.NOT_FOUND
    assert (status.version, status.state) == (3, get_model_status_pb2.ModelVersionStatus.AVAILABLE)


def refusal(method, request, **options):
    with pytest.raises(grpc.RpcError) as caught:
        method(request, **options)
    assert "\n" not in caught.value.details()
    return caught.value.code()


def broadcast(count):
    """Returns a message with a single value for a large tensor."""
    request = request_of(images=np.zeros((1, 6, 6, 3), np.float32))
    request.inputs["images"].tensor_content = b""
    request.inputs["images"].float_val.append(1.0)
    request.inputs["images"].tensor_shape.dim[0].size = count
    return request


WRONG = {
    "no model": (request_of(name="other", images=1.0), Code.NOT_FOUND),
    "no version": (request_of(version=4, images=1.0), Code.NOT_FOUND),
    "no name": (request_of(name=""), Code.INVALID_ARGUMENT),
    "no signature": (request_of("nothing", images=1.0), Code.INVALID_ARGUMENT),
    "path for a name": (request_of(name="../model"), Code.NOT_FOUND),
    "no input": (request_of(), Code.INVALID_ARGUMENT),
    "other input": (request_of(pictures=1.0), Code.INVALID_ARGUMENT),
    "other type": (request_of(images=np.zeros((1, 6, 6, 3))), Code.INVALID_ARGUMENT),
    "other size": (request_of(images=np.zeros((1, 7, 6, 3), np.float32)), Code.INVALID_ARGUMENT),
    "no rows": (request_of(images=np.zeros((0, 6, 6, 3), np.float32)), Code.INVALID_ARGUMENT),
    "many rows": (request_of(images=np.zeros((9, 6, 6, 3), np.float32)), Code.INVALID_ARGUMENT),
    "terabytes": (broadcast(2**40), Code.INVALID_ARGUMENT),
    "negative": (broadcast(-1), Code.INVALID_ARGUMENT),
    "no image": (request_of("predict_bytes", image_bytes=[b"text"]), Code.INVALID_ARGUMENT),
    "too large": (request_of("predict_bytes", image_bytes=[bytes(2**20)]), Code.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize("name", WRONG)
def test_predict_refuses(stub, name):
    request, code = WRONG[name]
    assert refusal(stub.Predict, request) == code


def test_bound_that_the_graph_asserts_is_told_in_both_protocols(stub, server):
    text = FILES[0] + bytes(200_000)
    said = f"Expected an image of at most 100000 bytes. Received: {len(text)}"
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request_of("predict_bytes", image_bytes=[text]))
    assert (caught.value.code(), caught.value.details()) == (Code.INVALID_ARGUMENT, said)
    body = {"signature_name": "predict_bytes", "instances": [b64(text)]}
    assert server.post("/v1/models/model:predict", body) == (400, {"error": said})


def test_grpc_refuses_what_is_no_message_and_what_comes_too_late(stub, server):
    with grpc.insecure_channel(server.grpc) as channel:
        raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        assert refusal(raw, b"\xff\xff\xff") == Code.INVALID_ARGUMENT
    request = request_of("predict_bytes", image_bytes=FILES)
    assert refusal(stub.Predict, request, timeout=1e-4) == Code.DEADLINE_EXCEEDED
    request = classification_pb2.ClassificationRequest(model_spec={"name": "model"})
    assert refusal(stub.Classify, request) == Code.INVALID_ARGUMENT


# REST


def test_rest_answers_rows_as_it_is_asked(server):
    body = {"instances": IMAGES.tolist()}
    status, answer = server.post("/v1/models/model:predict", body)
    assert (status, list(answer)) == (200, ["predictions"])
    logits = [row["logits"] for row in answer["predictions"]]
    np.testing.assert_allclose(logits, logits_of(IMAGES), atol=1e-4)
    named = {"instances": [{"images": image} for image in IMAGES.tolist()]}
    assert server.post("/V1/models/model/versions/3:predict", named) == (200, answer)


def test_rest_answers_columns(server):
    for inputs in ([b64(file) for file in FILES], {"image_bytes": [b64(file) for file in FILES]}):
        body = {"signature_name": "predict_bytes", "inputs": inputs}
        status, answer = server.post("/v1/models/model:predict", body)
        labels, shares = ranked(IMAGES)
        assert (status, list(answer), answer["outputs"]["labels"]) == (200, ["outputs"], labels)
        np.testing.assert_allclose(answer["outputs"]["probabilities"], shares, atol=1e-5)


def test_rest_classifies(server):
    body = {
        "signature_name": "classify",
        "examples": [{"image/encoded": b64(file)} for file in FILES],
    }
    status, answer = server.post("/v1/models/model:classify", body)
    labels, shares = ranked(IMAGES)
    assert (status, [[label for label, _ in row] for row in answer["results"]]) == (200, labels)
    found = [[score for _, score in row] for row in answer["results"]]
    np.testing.assert_allclose(found, shares, atol=1e-5)
    assert max(len(repr(score)) for row in found for score in row) <= 14  # the digits of float32


def test_rest_tells_status_and_metadata(server):
    status = {"error_code": "OK", "error_message": ""}
    entry = {"version": "3", "state": "AVAILABLE", "status": status}
    for path in ("/v1/models/model", "/v1/models/model/versions/3"):
        assert server.get(path) == (200, {"model_version_status": [entry]})
    status, found = server.get("/v1/models/model/metadata")
    assert (status, found["model_spec"]["version"]) == (200, "3")
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    sizes = [dim["size"] for dim in signature["inputs"]["images"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "6", "6", "3"]
    assert signature["method_name"] == "tensorflow/serving/predict"


def test_rest_writes_null_for_numbers_that_json_does_not_have(server):
    """TensorFlow Serving writes NaN and Infinity, which few parsers take."""
    images = [np.full((6, 6, 3), 3e38).tolist(), IMAGES[0].tolist()]
    data = json.dumps({"instances": images}).encode()
    address = f"{server.rest}/v1/models/model:predict"
    with urllib.request.urlopen(address, data) as answer:
        text = answer.read().decode()
    first, second = json.loads(text, parse_constant=pytest.fail)["predictions"]
    assert first["logits"] == first["probabilities"] == [None] * 3
    np.testing.assert_allclose(second["logits"], logits_of(IMAGES[:1])[0], atol=1e-4)


def test_large_requests_are_read_in_threads_and_small_ones_at_once():
    async def run():
        answers = Answers({}, Batches(largest=1, wait=0, threads=1, queue=1), 10**6)
        found = [await answers.in_thread(size, threading.get_ident) for size in (SMALL, SMALL + 1)]
        answers.close()
        return found

    small, large = asyncio.run(run())
    assert small == threading.get_ident() != large


def test_rest_takes_inflated_bodies_and_bounds_them(server):
    body = json.dumps({"instances": IMAGES.tolist()}).encode()
    headers = {"Content-Encoding": "gzip"}

    def post(data):
        address = f"{server.rest}/v1/models/model:predict"
        return asked(urllib.request.Request(address, gzip.compress(data), headers))

    status, answer = post(body)
    assert (status, len(answer["predictions"])) == (200, len(IMAGES))
    assert post(bytes(1_000_001))[0] == 413
    status, answer = post(b'{"instances": [' + b"0, " * 300_000 + b"0]}")
    assert status == 400
    assert "at most" in answer["error"]
    assert "300001" in answer["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/other", 404),
        ("/v1/models/model/versions/4", 404),
        ("/v1/models/model/labels/stable", 400),
        ("/v1/models/..%2Fmodel", 404),
        ("/v1/models/../../etc/passwd", 400),
        ("/v1/models/model/other", 400),
        ("/v1/models/model:predict", 400),
        ("/v1/models", 400),
        ("/", 404),
    ],
)
def test_rest_refuses_paths(server, path, status):
    found, answer = server.get(path)
    assert (found, list(answer)) == (status, ["error"])


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_rest_refuses_methods(server, method):
    address = f"{server.rest}/v1/models/model"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(address, method=method))
    with caught.value as error:
        assert (error.code, error.headers["Allow"]) == (405, "GET, HEAD, POST")
        assert "Expected a method" in json.load(error)["error"]


IMAGE = IMAGES[0].tolist()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"\xff", b"[" * 10_000, b'{"instances": 1e999999}'),
        *({}, {"instances": []}, {"instances": "text"}, {"instances": [IMAGE], "inputs": [IMAGE]}),
        *({"instances": [IMAGE, IMAGE[1:]]}, {"instances": [[IMAGE]]}, {"instances": [[[[1]]]]}),
        *({"instances": [IMAGE, {"images": IMAGE}]}, {"instances": [{"pictures": IMAGE}]}),
        {"instances": [[[[True] * 3] * 6] * 6]},
        {"instances": [[[[1e39] * 3] * 6] * 6]},
        {"instances": [[[[10**39] * 3] * 6] * 6]},
        json.dumps({"instances": [[[[1.5] * 3] * 6] * 6]}).replace("1.5", "1e400").encode(),
        json.dumps({"instances": [[[[1.5] * 3] * 6] * 6]}).replace("1.5", "-1e400").encode(),
        {"instances": [IMAGE] * 9},
        {"instances": [IMAGE], "signature_name": 1},
        {"instances": [IMAGE], "signature_name": "nothing"},
        {"instances": ["text"], "signature_name": "predict_bytes"},
        {"instances": [{"b64": "é"}], "signature_name": "predict_bytes"},
        {"instances": [{"b64": 1}], "signature_name": "predict_bytes"},
        {"instances": ["\ud800"], "signature_name": "predict_bytes"},
        {"instances": ["text"], "signature_name": "\ud800"},
        {"inputs": 1},
    ],
)
def test_rest_refuses_bodies(server, body):
    status, answer = server.post("/v1/models/model:predict", body)
    assert (status, list(answer)) == (400, ["error"])
    assert len(answer["error"]) < 400


@pytest.mark.parametrize(
    "examples", [None, [], [1], [{"image/encoded": None}], [{"image/encoded": [1, "a"]}], [{}]]
)
def test_rest_refuses_examples(server, examples):
    body = {"signature_name": "classify", "examples": examples}
    assert server.post("/v1/models/model:classify", body)[0] == 400


def test_rest_refuses_what_is_too_large_and_what_is_no_http(server):
    assert server.post("/v1/models/model:predict", bytes(2**20))[0] == 413
    host, port = server.rest.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert b'{"error": ' in connection.recv(1000)
    assert server.get("/v1/models/model")[0] == 200


def test_module_server_has_failed_at_nothing(server):
    """Comes last, after all other requests to the server."""
    assert any("2 warm-up requests" in line for line in server.lines)
    assert server.stop() == (0, "")
    assert server.said("stopped")
