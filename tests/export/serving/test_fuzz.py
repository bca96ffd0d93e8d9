"""2,000 malformed images, examples, JSON bodies and tensors: rejected cleanly, or answered.

The expected answer is that of a SavedModel without the package: it accepts an input or fails, and
the server must do the same, also with other requests at the same time.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import io
import json

import grpc
import numpy as np
import psutil
import pytest
import tensorflow as tf
from audit_reader import SETTINGS
from damaged_bytes import encoded, hostile_json
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from servers import LABELS, ByColour, drawn, example, logits_of, png, serving, write_version
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

IMAGES = drawn(4)
FILES = [png(image) for image in IMAGES]
EACH = 500
AT_ONCE = 20
REFUSED = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("export") / "saved_model" / "model"
    base.mkdir(parents=True)
    write_version(base, 1)
    with serving(base, "--max-request-mb", "1") as server:
        yield server


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def model():
    return ByColour(0.0)


def damaged(draw, content: bytes) -> bytes:
    """Damages bytes: cuts, overwrites, extends or replaces them."""
    place = int(draw.integers(len(content) + 1))
    few = draw.bytes(int(draw.integers(1, 9)))
    kind = draw.integers(5)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + few + content[place + len(few) :]
    if kind == 2:
        return content[:place] + few + content[place:]
    if kind == 3:
        return content[:place] + content[place + len(few) :]
    return draw.bytes(int(draw.integers(60)))


def saved(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.kron(IMAGES[0], np.ones((4, 4, 1), np.uint8))).save(file, kind)
    return file.getvalue()


def right_of(function, content: bytes):
    """Returns expected probabilities by label, or None if TensorFlow itself fails."""
    try:
        outputs = function(tf.constant([content]))
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # the latter of its own message
        return None
    labels, shares = (outputs[name][0].numpy() for name in sorted(outputs))
    return {label.decode(): share for label, share in zip(labels, shares, strict=True)}


def fuzzed(contents, function, send, read) -> int:
    """Sends requests in parallel, one of them valid; returns the number of rejected ones."""
    refused = 0
    for start in range(0, len(contents), AT_ONCE):
        part = [*contents[start : start + AT_ONCE], contents[0]]
        calls = [send(content) for content in part]
        for content, call in zip(part, calls, strict=True):
            right = right_of(function, content)
            if right is None:
                refused += 1
                assert call.exception().code() == REFUSED, (content, call.exception())
            else:
                found = read(call.result())
                np.testing.assert_allclose(
                    [found[label] for label in LABELS],
                    [right[label] for label in LABELS],
                    atol=1e-5,
                )
    return refused


def test_damaged_images(stub, model):
    draw = np.random.default_rng(0)
    whole = [*FILES, *(saved(kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP"))]
    contents = [whole[0], *(damaged(draw, whole[i % len(whole)]) for i in range(EACH))]

    def send(content):
        request = PredictRequest(model_spec={"name": "model", "signature_name": "predict_bytes"})
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([content]))
        return stub.Predict.future(request)

    def read(response):
        labels = (label.decode() for label in response.outputs["labels"].string_val)
        return dict(zip(labels, response.outputs["probabilities"].float_val, strict=True))

    def function(texts):
        found = model.predict_bytes(texts)
        return {"0": found["labels"], "1": found["probabilities"]}

    assert fuzzed(contents, function, send, read) > EACH // 2


def test_damaged_examples(stub, model):
    draw = np.random.default_rng(1)
    whole = [example(file).SerializeToString() for file in FILES]
    contents = [whole[0], *(damaged(draw, whole[i % len(whole)]) for i in range(EACH))]
    contents = [content for content in contents if is_example(content)]

    def send(content):
        request = ClassificationRequest(model_spec={"name": "model", "signature_name": "classify"})
        request.input.CopyFrom(
            Input(example_list={"examples": [tf.train.Example.FromString(content)]})
        )
        return stub.Classify.future(request)

    def read(response):
        return {c.label: c.score for c in response.result.classifications[0].classes}

    def function(texts):
        found = model.classify(texts)
        return {"0": found["classes"], "1": found["scores"]}

    assert fuzzed(contents, function, send, read) > EACH // 10


def is_example(content: bytes) -> bool:
    """Only valid examples fit into a Classify request; damaged requests are tested below."""
    with contextlib.suppress(Exception):
        return bool(tf.train.Example.FromString(content))
    return False


ROWS = {"instances": np.round(IMAGES[:1, ...].astype(float), 1).tolist()}
TEXTS = {"signature_name": "predict_bytes", "instances": [{"b64": "iVBORw0KGgo="}]}
COLUMNS = {"signature_name": "predict_bytes", "inputs": {"image_bytes": ["text"]}}
EXAMPLES = {
    **{"signature_name": "classify", "context": {"size": [1, 2]}},
    "examples": [{"image/encoded": {"b64": "iVBORw0KGgo="}, "share": 0.5}],
}


@pytest.mark.parametrize(
    ("verb", "documents"), [("predict", (TEXTS, COLUMNS, ROWS)), ("classify", (EXAMPLES,))]
)
def test_hostile_json(server, verb, documents):
    connection = http.client.HTTPConnection(server.rest.removeprefix("http://"), timeout=60)
    outcomes = collections.Counter()

    @settings(max_examples=EACH // 2, **SETTINGS)
    @given(st.one_of(hostile_json(*documents), st.sampled_from(documents).map(encoded)))
    def one(body):
        connection.request("POST", f"/v1/models/model:{verb}", body)
        answer = connection.getresponse()
        found = json.load(answer, parse_constant=pytest.fail)
        outcomes[answer.status] += 1
        if answer.status == 200:  # some damaged images are still valid
            images = np.array(json.loads(body)["instances"], np.float32)
            logits = np.array([row["logits"] for row in found["predictions"]], float)
            with np.errstate(all="ignore"):
                right = logits_of(images)
                right[~np.isfinite(right)] = np.nan  # null in JSON
                np.testing.assert_allclose(logits, right, rtol=1e-4, atol=1e-2)
        else:
            assert answer.status in (400, 413)
            assert list(found) == ["error"]

    with contextlib.closing(connection):
        one()
    assert outcomes[400] > EACH // 4


def tensors():
    """Strategy of tensors of any type, shape and values, mostly inconsistent."""
    sizes = st.one_of(st.integers(0, 8), st.sampled_from([-1, 2**31, 2**62, 2**63 - 1]))
    values = {
        "float_val": st.lists(st.floats(width=32), max_size=4),
        "string_val": st.lists(st.binary(max_size=9), max_size=4),
        "int_val": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
        "tensor_content": st.binary(max_size=500),
    }
    return st.fixed_dictionaries(
        {
            "dtype": st.sampled_from([1, 1, 7, *types_pb2.DataType.values()]),
            "tensor_shape": st.fixed_dictionaries(
                {
                    "dim": st.one_of(
                        st.lists(sizes.map(lambda size: {"size": size}), max_size=5),
                        sizes.map(lambda n: [{"size": size} for size in (n, 6, 6, 3)]),
                    ),
                    "unknown_rank": st.booleans(),
                }
            ),
        },
        optional=values,
    )


def test_hostile_tensors_and_messages(server, stub):
    whole = PredictRequest(model_spec={"name": "model"})
    whole.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGES[:1].astype(np.float32)))
    whole = whole.SerializeToString()
    names = st.sampled_from(["images", "image_bytes", "inputs", "", "é"])
    signatures = st.sampled_from(["", "predict_bytes", "classify", "é"])
    outcomes, lengths = collections.Counter(), []
    channel = grpc.insecure_channel(server.grpc)
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    def ask(method, request):
        try:
            method(request)
            outcomes["taken"] += 1
        except grpc.RpcError as error:
            outcomes[error.code().name] += 1
            lengths.append(len(error.details()))

    @settings(max_examples=EACH // 2, **SETTINGS)
    @given(st.dictionaries(names, tensors(), max_size=2), signatures)
    def one(inputs, signature):
        spec = {"name": "model", "signature_name": signature}
        ask(stub.Predict, PredictRequest(model_spec=spec, inputs=inputs))

    with channel:
        one()
        draw = np.random.default_rng(2)
        for _ in range(EACH // 2):
            ask(raw, damaged(draw, whole))
    # images that are still valid, with other colors, and models with other names
    assert set(outcomes) <= {"taken", "INVALID_ARGUMENT", "NOT_FOUND"}, outcomes
    assert outcomes["INVALID_ARGUMENT"] > EACH // 2
    assert max(lengths) < 500


def test_server_is_up_and_right_after_all_that(server):
    status, answer = server.post("/v1/models/model:predict", {"instances": IMAGES.tolist()})
    assert status == 200
    logits = [row["logits"] for row in answer["predictions"]]
    np.testing.assert_allclose(logits, logits_of(IMAGES), atol=1e-4)
    assert psutil.Process(server.process.pid).memory_info().rss < 3e9  # bytes
    status, errors = server.stop()
    assert status == 0
    # image decoders write there directly; internal failures would be there too
    assert "Traceback" not in errors
    assert not [line for line in server.lines if "error" in line]
