"""TensorFlow Serving's REST paths."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.parse

import numpy as np
from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.model_pb2 import ModelSpec

from darts_tf.export.serving import examples, json_tensors
from darts_tf.export.serving.answers import SIGNATURES, Answers
from darts_tf.export.serving.errors import HTTP, RequestError, failure, invalid

_MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d{1,18})|/labels/([^/:]+))?"
POSTED = re.compile(_MODEL + ":(predict|classify)", re.I | re.A)
ASKED = re.compile(_MODEL + "(/metadata)?", re.I | re.A)


def application(answers: Answers, timeout: float) -> web.Application:
    """Creates the web application with all paths; every answer is JSON.

    Args:
        answers: answers requests.
        timeout: time limit of a request, including reading it, seconds.
    """

    async def handle(request: web.Request) -> web.Response:
        try:
            body = await asyncio.wait_for(_answer(answers, request, timeout), timeout)
            return _response(200, body)
        except RequestError as error:
            return _response(HTTP[error.code], {"error": error.message})
        except web.HTTPException as error:  # a body that is too large
            return _response(error.status, {"error": error.reason})
        except web.RequestPayloadError:
            return _response(400, {"error": "Expected a whole body. Received: a broken one"})
        except asyncio.TimeoutError:
            return _response(504, {"error": f"no answer in {timeout:.3g} seconds"})
        except Exception as error:
            return _response(500, {"error": failure(request.path, error)})

    app = web.Application(client_max_size=answers.limit)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


async def _answer(answers: Answers, request: web.Request, within: float) -> dict:
    path = request.rel_url.raw_path
    if request.method == "POST" and (match := POSTED.fullmatch(path)):
        body = json_tensors.parse(await request.read())
        spec = _spec(match, body.get("signature_name", ""))
        answer = _predict if match[4].lower() == "predict" else _classify
        return await answer(answers, spec, body, within)
    if request.method == "GET" and (match := ASKED.fullmatch(path)):
        spec = _spec(match)
        return _metadata(answers, spec) if match[4] else _json(answers.status(spec))
    if path.lower().startswith("/v1/"):
        raise invalid(f"Malformed request: {request.method} {path[:200]}")
    raise RequestError("NOT_FOUND", "Expected a path that begins with /v1/models/")


def _spec(match: re.Match, signature: str = "") -> ModelSpec:
    name, label = (urllib.parse.unquote(match[i] or "") for i in (1, 3))
    spec = ModelSpec(name=name, signature_name=signature)
    if match[2]:
        spec.version.value = int(match[2])
    if label:
        spec.version_label = label
    return spec


async def _predict(answers: Answers, spec: ModelSpec, body: dict, within: float) -> dict:
    def read(signature):
        return json_tensors.read(body, signature, answers.limit)

    answer = await answers.predict(spec, read, within)
    return json_tensors.write(body, answer.signature, answer.outputs)


async def _classify(answers: Answers, spec: ModelSpec, body: dict, within: float) -> dict:
    _, result = await answers.classify(spec, examples.from_json(body), within)
    rows = [[[c.label, _short(c.score)] for c in row.classes] for row in result.classifications]
    return {"results": rows}


def _short(score: float) -> float:
    """Rounds a float32 score to its shortest decimal digits."""
    return float(str(np.float32(score)))


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


def _response(status: int, body: dict) -> web.Response:
    return web.Response(
        status=status, text=json.dumps(body) + "\n", content_type="application/json"
    )
