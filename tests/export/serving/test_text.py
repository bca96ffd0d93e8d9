"""Serving of language models over REST and gRPC, and the script for TensorFlow Serving."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from servers import quiet_environment, serving
from text_export_fixtures import SIZE, UNITS, drawn_tokens

from darts_tf.export.serving import config as serving_config
from darts_tf.export.serving import folders


@pytest.fixture(scope="module")
def signatures(text_models):
    return tf.saved_model.load(text_models.output / "saved_model" / "model" / "1").signatures


@pytest.fixture(scope="module")
def server(text_models):
    pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    with serving(text_models.output, "--output", str(text_models.run / "serving")) as running:
        yield running


def test_server_answers_texts_and_tokens_over_rest(server, signatures):
    assert server.said("2 warm-up requests")
    texts = ["w1 w2", "w3"]
    body = {"signature_name": "predict_next", "instances": texts}
    status, answer = server.post("/v1/models/model:predict", body)
    expected = signatures["predict_next"](text=tf.constant(texts))
    assert status == 200
    for row, words in zip(answer["predictions"], expected["words"].numpy(), strict=True):
        assert row["words"] == [word.decode() for word in words]
    row = {"tokens": [1, 2, 3], "state": [0.0] * UNITS}
    status, answer = server.post("/v1/models/model:predict", {"instances": [row, row]})
    logits = [row["logits"] for row in answer["predictions"]]
    serve = signatures["serving_default"]
    expected = serve(tokens=tf.constant([[1, 2, 3]] * 2), state=tf.zeros((2, UNITS)))["logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    row["tokens"][1] = SIZE
    status, answer = server.post("/v1/models/model:predict", {"instances": [row]})
    assert status == 400
    assert f"Expected tokens from 0 to {SIZE - 1}" in answer["error"]


def test_server_answers_over_grpc(server, signatures):
    grpc = pytest.importorskip("grpc")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "model"
    inputs = {"tokens": drawn_tokens(2, 5), "state": np.ones((2, UNITS), np.float32)}
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    with grpc.insecure_channel(server.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        outputs = stub.Predict(request, 60).outputs
    given = {name: tf.constant(value) for name, value in inputs.items()}
    expected = signatures["serving_default"](**given)
    for name in ("logits", "state"):
        np.testing.assert_allclose(tf.make_ndarray(outputs[name]), expected[name], atol=1e-6)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_predict_by_url_says_that_the_server_has_no_images(server, scheme, tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    url = f"grpc://{server.grpc}" if scheme == "grpc" else server.rest
    command = [
        sys.executable,
        "-m",
        "darts_tf.cli",
        "predict",
        "--url",
        url,
        str(tmp_path / "a.png"),
    ]
    environment = quiet_environment()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert "Expected name of a network for images" in line


def test_tf_serving_runs_no_texts_of_different_lengths_together(text_models, exported):
    found = {
        kind: folders.models(output)
        for kind, output in (("text", text_models.output), ("images", exported.output))
    }
    assert not serving_config.batches(found["text"])
    assert serving_config.batches(found["images"])
