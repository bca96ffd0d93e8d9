"""Limits of the server's process: files that it may have open, and connections without one."""

from __future__ import annotations

import asyncio
import errno
import resource

import pytest

from darts_tf.export.serving import server

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "limit"),
    [(1024, 4096, 4096), (1024, UNLIMITED, 2000), (9000, UNLIMITED, 9000)],
)
def test_limit_of_open_files_is_raised(monkeypatch, soft, hard, limit):
    limits = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append(limit))
    assert server.raise_descriptor_limit(2000) == limit
    assert limits == [(limit, hard)]


@pytest.mark.parametrize(("files", "connections"), [(1024, 384), (256, 32), (4, 1)])
def test_connections_are_as_many_as_the_limit_that_cannot_be_raised(
    monkeypatch, files, connections
):
    def refuse(kind, limit):
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (files, UNLIMITED))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    lines = []
    assert server.most_connections(1000, lines.append) == connections
    (line,) = lines
    assert f"at most {connections} connections" in line


class Http:
    shed_ = 0

    def shed(self):
        self.shed_ += 1


def test_connections_that_cannot_be_accepted_are_one_line(caplog):
    lines, http = [], Http()

    async def run():
        loop = asyncio.get_running_loop()
        with server.reported_shortages(http, lines.append):
            for _ in range(1000):
                error = OSError(errno.EMFILE, "Too many open files")
                loop.call_exception_handler({"message": "socket.accept()", "exception": error})
            loop.call_exception_handler({"message": "another", "exception": ValueError("other")})
        assert loop.get_exception_handler() is None

    asyncio.run(run())
    assert lines == ["error: a connection cannot be accepted: Too many open files"]
    assert http.shed_ == 1000
    assert [record.getMessage() for record in caplog.records] == ["another"]
