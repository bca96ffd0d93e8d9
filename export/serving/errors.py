"""Errors of requests: gRPC status codes, and the HTTP codes of TensorFlow Serving for them."""

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
    """An error that is returned to the client instead of an answer.

    Attributes:
        code: name of a gRPC status code, a key of `HTTP`.
        message: one line for the client.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> RequestError:
    """Returns an error for an invalid request; the caller raises it."""
    return RequestError("INVALID_ARGUMENT", message)


def failure(request: str, error: Exception) -> str:
    """Logs an internal failure with its traceback; returns the message for the client."""
    _LOG.error(
        "%s failed: %s: %s", request, type(error).__name__, first_line(error), exc_info=error
    )
    return type(error).__name__
