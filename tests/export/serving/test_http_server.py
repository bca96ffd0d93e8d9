"""Connections of the REST server: clients that are slow, many, wrong or gone, and bodies."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import zlib

import pytest
from aiohttp import web

from darts_tf.export.serving import http_server
from darts_tf.export.serving.http_server import (
    GRACE,
    HTTPError,
    HTTPServer,
    decoded,
    json_response,
)

SOON = 10
"""Time limit of every read, seconds, on a busy machine."""
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


class Client:
    """Connections to a server that answers every request with the size of its body."""

    def __init__(self):
        self.answering = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self.writers = []

    def listen_to(self, http, port):
        self.http, self.port = http, port

    async def handle(self, request):
        async with self.http.body(request) as body:
            self.answering.set()
            await self.go.wait()
            return json_response(200, json.dumps({"size": len(body)}))

    async def open(self, data=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(data)
        return reader, writer

    async def ask(self, data):
        """Returns status, headers and body of the answer on a new connection."""
        reader, _ = await self.open(data)
        return await answer_of(reader)


async def answer_of(reader):
    """Returns status, headers by their names in lower case, and parsed body."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).decode()
    status, *lines = head.strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    text = await asyncio.wait_for(reader.readexactly(int(headers["content-length"])), SOON)
    return int(status.split()[1]), headers, json.loads(text)


def run(scenario, *, timeout=60.0, most=100, limit=1000):
    """Runs a scenario with a server, and returns its result; nothing may be logged."""

    async def whole():
        client = Client()
        http = HTTPServer(client.handle, timeout=timeout, most=most, limit=limit)
        runner = web.ServerRunner(http, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client.listen_to(http, runner.addresses[0][1])
        try:
            return await scenario(client)
        finally:
            client.go.set()
            http.draining = True
            await runner.cleanup()
            for writer in client.writers:
                writer.transport.abort()
            await asyncio.sleep(0)  # for the transports to close

    return asyncio.run(whole())


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog):
    """No client is an event for the log, whatever it does."""
    caplog.set_level(logging.DEBUG)
    yield
    records = [r for r in caplog.records if r.getMessage() != "Using selector: EpollSelector"]
    assert records == []


# Requests that are wrong


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\x01\x02 nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),  # TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (GET + b"A: " + b"b" * 20_000 + b"\r\n\r\n", 400),
        (GET + b"no header\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (POST + b"Content-Length: 1001\r\n\r\n", 413),
        (POST + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + bytes(1001), 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\naaaa\r\n", 400),
        (POST + b"Content-Length: 2\r\nExpect: tea\r\n\r\n{}", 417),
    ],
)
def test_wrong_requests_are_answered_at_once_in_json(data, status):
    """The client still holds its connection open, and sends nothing more."""
    found, headers, answer = run(lambda client: client.ask(data))
    assert (found, list(answer)) == (status, ["error"])
    assert headers["content-type"].startswith("application/json")
    assert headers["server"] == "darts-tf"
    assert "Received" in answer["error"]
    assert len(answer["error"]) < 400


def test_client_that_waits_is_asked_to_continue():
    async def scenario(client):
        reader, writer = await client.open(
            POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)
        writer.write(b"abc")
        return first, await answer_of(reader)

    first, (status, _, answer) = run(scenario)
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (status, answer) == (200, {"size": 3})


# Clients that are slow


def test_headers_and_bodies_that_are_not_whole_in_time_end_the_connection():
    async def scenario(client):
        for data in (GET + b"A: b", POST + b"Content-Length: 9\r\n\r\n{"):
            reader, _ = await client.open(data)
            status, _, answer = await answer_of(reader)
            assert status == 408
            assert "within 0.2 seconds" in answer["error"]
            assert await asyncio.wait_for(reader.read(), SOON) == b""

    run(scenario, timeout=0.2)


def test_headers_that_come_byte_by_byte_are_not_waited_for():
    async def scenario(client):
        reader, writer = await client.open(GET + b"A: ")
        answer = asyncio.create_task(answer_of(reader))
        for _ in range(200):
            if answer.done():
                break
            writer.write(b"b")
            await asyncio.sleep(0.02)
        return await answer

    assert run(scenario, timeout=0.3)[0] == 408


def test_silent_connection_is_closed_without_an_answer():
    async def scenario(client):
        reader, _ = await client.open()
        return await asyncio.wait_for(reader.read(), SOON)

    assert run(scenario, timeout=0.2) == b""


def test_connection_stays_open_between_requests_and_is_timed_again():
    async def scenario(client):
        reader, writer = await client.open()
        for _ in range(3):
            writer.write(GET + b"\r\n")
            assert (await answer_of(reader))[0] == 200
            await asyncio.sleep(0.3)  # longer than the time limit
        writer.write(GET)
        return await answer_of(reader)

    assert run(scenario, timeout=0.2)[0] == 408


def test_client_that_reads_no_answer_is_left():
    async def scenario(client):
        large = "1" * 30_000_000  # more than the buffers of the system take

        async def handle(request):
            return json_response(200, large)

        client.http._handle = handle
        _, writer = await client.open(GET + b"\r\n")
        writer.transport.pause_reading()
        for _ in range(500):
            if client.http.connections:
                break
            await asyncio.sleep(0.02)
        for _ in range(500):
            if not client.http.connections:
                return True
            await asyncio.sleep(0.02)

    assert run(scenario, timeout=0.3)


# Clients that are many


@pytest.mark.parametrize("data", [b"", GET + b"A: b", POST + b"Content-Length: 9\r\n\r\n{"])
def test_connections_that_wait_make_room_for_others(data):
    async def scenario(client):
        waiting = [await client.open(data) for _ in range(5)]
        await asyncio.sleep(2 * GRACE)
        statuses = [(await client.ask(GET + b"\r\n"))[0] for _ in range(3)]
        await asyncio.sleep(0.05)
        return statuses, [reader.at_eof() for reader, _ in waiting]

    statuses, ended = run(scenario, most=5)
    assert statuses == [200] * 3
    assert ended[0]
    assert not ended[-1]


def test_connection_beyond_the_bound_is_refused_while_all_are_answered():
    async def scenario(client):
        client.go.clear()
        readers = []
        for _ in range(3):
            client.answering.clear()
            readers.append((await client.open(GET + b"\r\n"))[0])
            await asyncio.wait_for(client.answering.wait(), SOON)
        await asyncio.sleep(2 * GRACE)
        refused = await client.ask(GET + b"\r\n")
        client.go.set()
        return refused, [await answer_of(reader) for reader in readers]

    (status, headers, answer), others = run(scenario, most=3)
    assert (status, headers["connection"]) == (503, "close")
    assert "too many connections" in answer["error"]
    assert [status for status, _, _ in others] == [200] * 3


def test_bodies_in_memory_are_bounded(monkeypatch):
    monkeypatch.setattr(http_server, "BODIES", 2)

    async def scenario(client):
        client.go.clear()
        head = POST + b"Content-Length: 900\r\n\r\n"
        readers = [(await client.open(head + bytes(900)))[0] for _ in range(2)]
        await asyncio.wait_for(client.answering.wait(), SOON)
        await asyncio.sleep(0.1)
        refused = await client.ask(head + bytes(900))
        client.go.set()
        others = [await answer_of(reader) for reader in readers]
        return refused, others, await client.ask(head + bytes(900))

    refused, others, later = run(scenario)
    assert refused[0] == 503
    assert [status for status, _, _ in [*others, later]] == [200] * 3


# Clients that leave, and a server that ends


@pytest.mark.parametrize(
    "data",
    [
        *(b"", GET, GET + b"\r\n", POST + b"Content-Length: 9\r\n\r\n{"),
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
@pytest.mark.parametrize("abruptly", [False, True])
def test_client_that_leaves_is_no_event(data, abruptly):
    async def scenario(client):
        client.go.clear()
        _, writer = await client.open(data)
        await asyncio.sleep(0.05)
        writer.transport.abort() if abruptly else writer.close()
        await asyncio.sleep(0.05)
        client.go.set()
        return await client.ask(GET + b"\r\n")

    assert run(scenario)[0] == 200


def test_failure_is_logged_and_answered_in_json(caplog):
    async def scenario(client):
        async def handle(request):
            raise KeyError("cause")

        client.http._handle = handle
        return await client.ask(GET + b"\r\n")

    status, _, answer = run(scenario)
    assert (status, answer) == (500, {"error": "KeyError"})
    (record,) = [r for r in caplog.records if r.name == "darts_tf"]
    assert "'/' failed: KeyError: 'cause'" in record.getMessage()
    caplog.clear()


def test_clients_are_asked_to_close_while_the_server_ends():
    async def scenario(client):
        reader, writer = await client.open(GET + b"\r\n")
        before = await answer_of(reader)
        client.go.clear()
        client.answering.clear()
        writer.write(GET + b"\r\n")
        await asyncio.wait_for(client.answering.wait(), SOON)
        client.http.draining = True
        client.go.set()
        return before[1], (await answer_of(reader))[1]

    before, while_it_ends = run(scenario)
    assert "connection" not in before
    assert while_it_ends["connection"] == "close"


# Content encodings

BODY = b'{"instances": [1, 2]}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        *(("", BODY), ("identity", BODY), ("gzip", gzip.compress(BODY, mtime=0))),
        *(("X-GZIP", gzip.compress(BODY, mtime=0)), ("deflate", zlib.compress(BODY))),
        ("deflate", zlib.compress(BODY)[2:-4]),  # as some clients send it
    ],
)
def test_content_encodings_are_undone(encoding, body):
    assert decoded(body, encoding, len(BODY)) == BODY


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", BODY, 415),
        *(
            ("gzip", BODY, 400),
            ("gzip", b"", 400),
            ("gzip", gzip.compress(BODY, mtime=0)[:-1], 400),
        ),
        ("gzip", gzip.compress(BODY, mtime=0) * 2, 400),
        ("gzip", gzip.compress(bytes(1001), mtime=0), 413),
    ],
)
def test_content_encodings_are_refused(encoding, body, status):
    with pytest.raises(HTTPError) as caught:
        decoded(body, encoding, 1000)
    assert caught.value.status == status


def test_no_more_is_inflated_than_the_bound():
    import tracemalloc

    bomb = gzip.compress(bytes(50_000_000), mtime=0)
    tracemalloc.start()
    try:
        with pytest.raises(HTTPError):
            decoded(bomb, "gzip", 100_000)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000  # bytes
    finally:
        tracemalloc.stop()
