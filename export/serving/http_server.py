"""HTTP connections: bounded in number, time and size; every answer is JSON."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import logging
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from aiohttp import HttpVersion11, web

from darts_tf.errors import first_line, shortened, shown
from darts_tf.export.serving.errors import failure

SOFTWARE = "darts-tf"
"""Value of the header `Server`, without versions."""
KEEP_ALIVE = 75.0
"""Time that a connection may be idle between two requests, seconds."""
UPLOAD = 10.0
"""Time for which the rest of a refused body is received, so that the client reads why, seconds."""
GRACE = 0.25
"""Time after which a connection that waits for a request can be closed for another, seconds."""
LINGER = 1.0
"""Time that a refused client has to read why, seconds."""
MOST_LINGERING = 64
"""Largest number of refused clients that are given this time."""
BODIES = 16
"""Number of bodies of the largest size that may be in memory at the same time."""
UNREAD = (408, 413, 417)
"""Statuses of requests whose body is not read: their connections are closed."""
MESSAGE_LENGTH = 300
"""Largest length of the HTTP parser's messages, characters."""


class HTTPError(Exception):
    """An error of the HTTP layer that is returned to the client.

    Attributes:
        status: HTTP status.
        message: one line for the client.
        headers: headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}

    def response(self) -> web.Response:
        """Returns the answer."""
        response = error_response(self.status, self.message, self.headers)
        if self.status in UNREAD:
            response.force_close()
        return response


def error_response(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Returns an answer that is an error, as TensorFlow Serving writes them."""
    response = json_response(status, _error(message))
    response.headers.update(headers or {})
    return response


def json_response(status: int, text: str) -> web.Response:
    """Returns an answer whose body is `text`, a JSON document."""
    headers = {"Server": SOFTWARE}
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Returns a request's body without its content encoding.

    Args:
        body: bytes that the client sent.
        encoding: value of the header `Content-Encoding`, or an empty text.
        limit: largest size of the result, bytes; nothing beyond it is inflated.

    Raises:
        HTTPError: another encoding than gzip and deflate, broken data, or more than `limit` bytes.
    """
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return body
    if kind not in ("gzip", "x-gzip", "deflate"):
        message = f"Expected Content-Encoding to be gzip or deflate. Received: {shown(encoding)}"
        raise HTTPError(415, message, {"Accept-Encoding": "gzip, deflate"})
    # 32 lets zlib find out which of its headers there is; some clients send deflate without one
    is_bare = kind == "deflate" and body[:1] and body[0] & 15 != 8
    inflater = zlib.decompressobj(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS | 32)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise HTTPError(400, f"Expected a body in {kind}. Received: {error}") from error
    if len(plain) > limit:
        raise _too_large(limit, "more, inflated")
    if not inflater.eof or inflater.unused_data:
        raise HTTPError(400, f"Expected one whole body in {kind}. Received: a part, or more")
    return plain


class HTTPServer(web.Server):
    """Connections of clients, and the function that answers their requests.

    If there are too many connections, the one that has waited longest for the rest of a request is
    closed; if all of them are being answered, a new one is refused.

    Args:
        handle: returns the answer to a request, or raises HTTPError.
        timeout: time limit for a request's headers, for its body, and for the client to accept the
            answer, seconds.
        most: largest number of connections.
        limit: largest size of a body, bytes.

    Attributes:
        draining: set when the server ends: clients are asked to close their connections.
    """

    def __init__(
        self,
        handle: Callable[[web.BaseRequest], Awaitable[web.Response]],
        *,
        timeout: float,
        most: int,
        limit: int,
    ):
        super().__init__(self._answer, handler_cancellation=True)  # if the client has left
        self.timeout = timeout
        self.draining = False
        self.refused: set[Connection] = set()
        self._handle = handle
        self._most = most
        self._limit = limit
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, float] = {}  # since when, the longest first
        self._held = 0  # bytes of bodies in memory

    def __call__(self) -> Connection:
        """Returns the protocol of a new connection; called by asyncio."""
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=min(self.timeout, UPLOAD),
            logger=_silent(),
            access_log=None,
            auto_decompress=False,  # it would inflate in the event loop
        )

    @contextlib.asynccontextmanager
    async def body(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """Context manager: yields a request's body, which counts as in memory until the end.

        Raises:
            HTTPError: it is too large, is not whole in time, is broken, or too many are in memory.
        """
        chunks: list[bytes] = []
        try:
            try:
                await asyncio.wait_for(self._read(request, chunks), self.timeout)
            except asyncio.TimeoutError as error:
                expected = f"Expected the whole body within {self.timeout:.3g} seconds"
                raise HTTPError(408, f"{expected}. Received: a part") from error
            except web.RequestPayloadError as error:
                raise HTTPError(400, "Expected a whole body. Received: a broken one") from error
            self.answer_request(request.protocol)
            yield b"".join(chunks)
        finally:
            self._held -= sum(map(len, chunks))

    async def _read(self, request: web.BaseRequest, chunks: list[bytes]) -> None:
        if (request.content_length or 0) > self._limit:
            raise _too_large(self._limit, f"{request.content_length} bytes")
        await _ask_to_continue(request)
        size = 0
        while chunk := await request.content.readany():
            chunks.append(chunk)
            size += len(chunk)
            self._held += len(chunk)
            if size > self._limit:
                raise _too_large(self._limit, "more")
            if self._held > BODIES * self._limit:
                raise HTTPError(503, "too many large requests at the same time; try again later")

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        request.protocol.headers_received()
        try:
            response = await self._handle(request)
        except HTTPError as error:
            response = error.response()
        except ConnectionError:
            raise
        except Exception as error:
            if request.transport is None:  # the client has left
                raise ConnectionResetError from error
            response = error_response(500, failure(shown(request.rel_url.raw_path), error))
        if self.draining:
            response.force_close()
        return response

    def shed(self) -> bool:
        """Closes the connection that has waited longest for a request; False if there is none."""
        oldest = next(iter(self._waiting), None)
        if oldest is None or _now() - self._waiting[oldest] < GRACE:
            return False
        oldest.force_close()
        self.forget(oldest)
        return True

    def admit(self, connection: Connection) -> bool:
        """Counts a new connection; False if there are too many."""
        if len(self._open) >= self._most and not self.shed():
            return False
        self._open.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """Removes a connection that is closed."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        self.refused.discard(connection)

    def wait_for_request(self, connection: Connection) -> None:
        """Notes that a connection waits for a request, or for the rest of one."""
        self._waiting.pop(connection, None)
        if connection in self._open:
            self._waiting[connection] = _now()

    def answer_request(self, connection: Connection) -> None:
        """Notes that a connection's request is whole and is being answered."""
        self._waiting.pop(connection, None)

    def is_waiting(self, connection: Connection) -> bool:
        """Returns whether a connection waits for a request, or for the rest of one."""
        return connection in self._waiting


class Connection(web.RequestHandler):
    """The protocol of a connection: aiohttp's, with time limits, and with errors in JSON."""

    def __init__(self, server: HTTPServer, **settings):
        super().__init__(server, **settings)
        self._server = server
        self._timer: asyncio.TimerHandle | None = None
        self._has_begun = False  # part of a request's headers is there

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Accepts or refuses a new connection."""
        if not self._server.admit(self):
            self._refuse(transport)
            return
        super().connection_made(transport)
        self._server.wait_for_request(self)
        self._limit_time(self._give_up)

    def _refuse(self, transport: asyncio.Transport) -> None:
        refused = self._server.refused
        if len(refused) >= MOST_LINGERING:
            transport.abort()
            return
        refused.add(self)
        transport.write(_raw(503, "too many connections; try again later"))
        if transport.can_write_eof():
            transport.write_eof()
        # if it were closed at once, the client's request would meet a reset instead of the answer
        asyncio.get_running_loop().call_later(LINGER, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forgets the connection."""
        self._server.forget(self)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses bytes; starts the time limit with the first bytes of a request."""
        if self in self._server.refused:
            return
        if data and not self._has_begun and self._server.is_waiting(self):
            self._has_begun = True
            if self._timer is None:
                self._limit_time(self._give_up)
        super().data_received(data)

    def headers_received(self) -> None:
        """Ends the time limit of a request's headers; that of its body begins."""
        self._stop_timer()
        self._has_begun = False
        self._server.wait_for_request(self)

    async def finish_response(self, *arguments):
        """Sends an answer, in limited time."""
        self._stop_timer()
        self._server.answer_request(self)
        if self.transport is not None:
            self._limit_time(self.transport.abort)
        try:
            return await super().finish_response(*arguments)
        finally:
            self._stop_timer()
            self._has_begun = False
            self._server.wait_for_request(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.Response:
        """Returns the answer to bytes that are not HTTP; they are no event for a log."""
        text = shortened(first_line(exc) if message is None else message, MESSAGE_LENGTH)
        response = error_response(status, f"Expected an HTTP request. Received: {text}")
        response.force_close()
        return response

    def _limit_time(self, end: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._server.timeout, end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """Closes a connection whose headers are not whole in time."""
        self._timer = None
        if self._has_begun and self.transport is not None:
            expected = f"Expected whole headers within {self._server.timeout:.3g} seconds"
            self.transport.write(_raw(408, f"{expected}. Received: a part"))
        self.force_close()


async def _ask_to_continue(request: web.BaseRequest) -> None:
    """Sends 100 to a client that waits for it before it sends the body."""
    expected = request.headers.get("Expect", "")
    if not expected or request.version < HttpVersion11:
        return
    if expected.lower() != "100-continue":
        raise HTTPError(417, f"Expected Expect to be 100-continue. Received: {shown(expected)}")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer has not begun


def _too_large(limit: int, received: str) -> HTTPError:
    return HTTPError(413, f"Expected a body of at most {limit} bytes. Received: {received}")


def _raw(status: int, message: str) -> bytes:
    """Returns the bytes of an answer that is an error, for a client without a request."""
    body = _error(message).encode()
    lines = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Server: {SOFTWARE}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def _error(message: str) -> str:
    return json.dumps({"error": message}) + "\n"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _silent() -> logging.Logger:
    """Returns a silent logger for aiohttp, which reports bytes that are not HTTP.

    Internal failures are logged elsewhere.
    """
    logger = logging.getLogger("darts_tf.http")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
