"""What a request can be refused with: gRPC's codes, and HTTP's as TensorFlow Serving maps them."""

from __future__ import annotations

import logging

from darts_tf.errors import first_line

HTTP = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "DEADLINE_EXCEEDED": 504,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
}


_LOG = logging.getLogger("darts_tf")


class RequestError(Exception):
    """A request that gets no answer.

    Attributes:
        code: name of a gRPC status code, one of `HTTP`.
        message: one line for the client.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> RequestError:
    """A request that is the client's mistake; the caller raises it."""
    return RequestError("INVALID_ARGUMENT", message)


def failure(request: str, error: Exception) -> str:
    """Logs a failure of our own, with its traceback; returns what its client is told of it."""
    _LOG.error(
        "%s failed: %s: %s", request, type(error).__name__, first_line(error), exc_info=error
    )
    return type(error).__name__
