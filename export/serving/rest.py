"""TensorFlow Serving's REST paths."""

from __future__ import annotations

import asyncio
import re
import urllib.parse

import numpy as np
from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.model_pb2 import ModelSpec

from darts_tf.export.serving import examples, json_tensors
from darts_tf.export.serving.answers import SIGNATURES, Answers
from darts_tf.export.serving.errors import HTTP, RequestError, invalid
from darts_tf.export.serving.http_server import HTTPError, HTTPServer, decoded, json_response
from darts_tf.export.serving.json_tensors import text_of

_MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d{1,18})|/labels/([^/:]+))?"
POSTED = re.compile(_MODEL + ":(predict|classify)", re.I | re.A)
ASKED = re.compile(_MODEL + "(/metadata)?", re.I | re.A)
METHODS = ("GET", "HEAD", "POST")
VALUE_LENGTH = 16
"""Length of an output's value in JSON, roughly, characters."""


def server(answers: Answers, timeout: float, most: int) -> HTTPServer:
    """Creates a server without an address; every answer is JSON.

    Args:
        answers: answers requests.
        timeout: time limit of a request, including reading it, seconds.
        most: largest number of connections.
    """

    async def handle(request: web.BaseRequest) -> web.Response:
        try:
            return json_response(200, await _answer(answers, http, request) + "\n")
        except RequestError as error:
            raise HTTPError(HTTP[error.code], error.message) from error
        except asyncio.TimeoutError as error:
            raise HTTPError(504, f"no answer in {timeout:.3g} seconds") from error

    http = HTTPServer(handle, timeout=timeout, most=most, limit=answers.limit)
    return http


async def _answer(answers: Answers, http: HTTPServer, request: web.BaseRequest) -> str:
    path = request.rel_url.raw_path
    if request.method == "POST" and (match := POSTED.fullmatch(path)):
        return await _post(answers, http, request, match)
    if request.method in ("GET", "HEAD") and (match := ASKED.fullmatch(path)):
        spec = _spec(match)
        return text_of(_metadata(answers, spec) if match[4] else _json(answers.status(spec)))
    if request.method not in METHODS:
        message = f"Expected a method of {', '.join(METHODS)}. Received: {request.method}"
        raise HTTPError(405, message, {"Allow": ", ".join(METHODS)})
    if path.lower().startswith("/v1/"):
        raise invalid(f"Malformed request: {request.method} {path[:200]}")
    raise RequestError("NOT_FOUND", "Expected a path that begins with /v1/models/")


async def _post(
    answers: Answers, http: HTTPServer, request: web.BaseRequest, match: re.Match
) -> str:
    start = asyncio.get_running_loop().time()
    spec = _spec(match)
    is_predict = match[4].lower() == "predict"
    # an unknown model is refused before the body is read
    most = answers.most(spec) if is_predict else answers.most_examples(spec)
    encoding = request.headers.get("Content-Encoding", "")

    def parsed(sent: bytes) -> dict:
        return json_tensors.parse(decoded(sent, encoding, answers.limit), most)

    async with http.body(request) as sent:
        within = http.timeout - (asyncio.get_running_loop().time() - start)
        answer = _predict if is_predict else _classify

        size = answers.limit if encoding else len(sent)  # it may be that large inflated

        async def run() -> str:
            body = await answers.in_thread(size, parsed, sent)
            spec.signature_name = body.get("signature_name", "")
            return await answer(answers, spec, body, size, within)

        return await asyncio.wait_for(run(), max(0, within))


def _spec(match: re.Match) -> ModelSpec:
    name, label = (urllib.parse.unquote(match[i] or "") for i in (1, 3))
    spec = ModelSpec(name=name)
    if match[2]:
        spec.version.value = int(match[2])
    if label:
        spec.version_label = label
    return spec


async def _predict(answers: Answers, spec: ModelSpec, body: dict, size: int, within: float) -> str:
    def read(signature):
        return json_tensors.read(body, signature, answers.limit)

    def written() -> str:
        return text_of(json_tensors.write(body, answer.signature, answer.outputs))

    answer = await answers.predict(spec, read, size, within)
    size = sum(VALUE_LENGTH * output.size for output in answer.outputs.values())
    return await answers.in_thread(size, written)


async def _classify(answers: Answers, spec: ModelSpec, body: dict, size: int, within: float) -> str:
    sent = await answers.in_thread(size, examples.from_json, body)
    _, result = await answers.classify(spec, sent, within)
    rows = [[[c.label, _short(c.score)] for c in row.classes] for row in result.classifications]
    return text_of({"results": rows})


def _short(score: float) -> float | None:
    """Rounds a float32 score to its shortest decimal digits; None if it is not finite."""
    return float(str(np.float32(score))) if np.isfinite(score) else None


def _metadata(answers: Answers, spec: ModelSpec) -> dict:
    answer = answers.metadata(spec, [SIGNATURES])
    signatures = SignatureDefMap()
    answer.metadata[SIGNATURES].Unpack(signatures)
    return {
        "model_spec": _json(answer.model_spec),
        "metadata": {SIGNATURES: _json(signatures)},
    }


def _json(message) -> dict:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
