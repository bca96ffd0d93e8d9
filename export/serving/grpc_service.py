"""TensorFlow Serving's gRPC services, limited to what classifiers and language models need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import classification_pb2, predict_pb2
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2 as status_pb2

from darts_tf.export.serving.answers import Answers
from darts_tf.export.serving.errors import RequestError, failure, invalid
from darts_tf.export.serving.servable import Signature
from darts_tf.export.serving.tensors import from_proto, to_proto

PREDICTION = "tensorflow.serving.PredictionService"
MODEL = "tensorflow.serving.ModelService"
IDLE = 300.0
"""Time after which a connection without requests is closed, seconds."""


def server(answers: Answers, timeout: float, most: int) -> grpc.aio.Server:
    """Creates a server without an address.

    Args:
        answers: answers requests.
        timeout: time limit of a request, seconds; the request's own deadline may be sooner.
        most: largest number of connections.
    """
    grpc_server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", answers.limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # fail if another server uses the port
            ("grpc.max_allowed_incoming_connections", most),
            ("grpc.server_handshake_timeout_ms", round(1000 * timeout)),
            ("grpc.max_connection_idle_ms", round(1000 * IDLE)),  # clients connect again unasked
        ]
    )

    def method(request_class: type[Message], answer: Callable):
        # we parse the bytes ourselves: gRPC would report malformed messages as INTERNAL
        return grpc.unary_unary_rpc_method_handler(
            _method(request_class, answer, timeout),
            response_serializer=lambda message: message.SerializeToString(),
        )

    def predict(request, within):
        return _predict(answers, request, within)

    def classify(request, within):
        return _classify(answers, request, within)

    async def metadata(request, within):
        return answers.metadata(request.model_spec, list(request.metadata_field))

    async def status(request, within):
        return answers.status(request.model_spec)

    prediction = {
        "Predict": method(predict_pb2.PredictRequest, predict),
        "Classify": method(classification_pb2.ClassificationRequest, classify),
        "GetModelMetadata": method(metadata_pb2.GetModelMetadataRequest, metadata),
    }
    model = {"GetModelStatus": method(status_pb2.GetModelStatusRequest, status)}
    grpc_server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(PREDICTION, prediction),
            grpc.method_handlers_generic_handler(MODEL, model),
        )
    )
    return grpc_server


def _method(
    request_class: type[Message],
    answer: Callable[[Message, float], Awaitable[Message]],
    timeout: float,
):
    async def handle(request: bytes, context: grpc.aio.ServicerContext) -> Message:
        left = context.time_remaining()
        within = timeout if left is None else min(left, timeout)
        try:
            return await answer(_parse(request_class, request), within)
        except RequestError as error:
            code, message = error.code, error.message
        except Exception as error:
            code, message = "INTERNAL", failure(request_class.__name__, error)
        await context.abort(grpc.StatusCode[code], message)

    return handle


def _parse(request_class: type[Message], request: bytes) -> Message:
    try:
        return request_class.FromString(request)
    except DecodeError as error:
        raise invalid(f"Expected a {request_class.__name__}. Received: other bytes") from error


async def _predict(
    answers: Answers, request: predict_pb2.PredictRequest, within: float
) -> predict_pb2.PredictResponse:
    wanted = list(request.output_filter)

    def read(signature: Signature):
        for name in (*request.inputs, *wanted):
            known = signature.outputs if name in wanted else signature.inputs
            if name not in known:
                raise invalid(f"Expected names of {', '.join(known)}. Received: {name}")
        return {
            name: from_proto(proto, signature.inputs[name], name, answers.limit)
            for name, proto in request.inputs.items()
        }

    answer = await answers.predict(request.model_spec, read, request.ByteSize(), within)
    response = predict_pb2.PredictResponse(model_spec=answer.spec)
    for name in wanted or answer.outputs:
        response.outputs[name].CopyFrom(to_proto(answer.outputs[name]))
    return response


async def _classify(
    answers: Answers, request: classification_pb2.ClassificationRequest, within: float
) -> classification_pb2.ClassificationResponse:
    spec, result = await answers.classify(request.model_spec, request.input, within)
    return classification_pb2.ClassificationResponse(model_spec=spec, result=result)
