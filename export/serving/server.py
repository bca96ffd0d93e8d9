"""The embedded server: both protocols in one event loop, with models in threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import pathlib
import resource
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import grpc
from aiohttp import web

from darts_tf.configs import ServeConfig
from darts_tf.errors import InputError
from darts_tf.export.serving import grpc_service, rest
from darts_tf.export.serving.answers import Answers
from darts_tf.export.serving.batching import Batches
from darts_tf.export.serving.http_server import HTTPServer
from darts_tf.export.serving.models import Model
from darts_tf.runtime.signals import ASKED

RESERVED = 256
"""Number of open files that are kept for others than the clients' connections, and for those that
are accepted before they are counted."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of a connection that the system has no room for."""
REPEATED = 60.0
"""Time between two lines about the same shortage, seconds."""


class Ports(NamedTuple):
    """Ports that a server listens on."""

    grpc: int
    rest: int


async def serve(
    config: ServeConfig,
    folders: Mapping[str, pathlib.Path],
    *,
    report: Callable[[str], None],
    ready: Callable[[Ports], None],
) -> int | None:
    """Serves models until SIGINT or SIGTERM, then finishes the requests in progress.

    Args:
        config: addresses and limits.
        folders: folders of the models' versions, by name of the model.
        report: called with a line of text when a model changes.
        ready: called when the server accepts requests.

    Returns:
        The number of the signal.

    Raises:
        InputError: no version of a model can be loaded, or an address is not free.
    """
    gc.collect()
    gc.freeze()  # imported modules stay; collections after unloading a version need not scan them
    # the millions of lists of a large request are no garbage: scanning them stops all threads
    gc.set_threshold(50_000, 5, 1000)
    limit = round(config.max_request_mb * 1e6)
    models = {name: Model(name, base, limit, report) for name, base in folders.items()}
    with _signals() as stop_signal:
        for model in models.values():
            await model.refresh()
            if not any(status.state == "AVAILABLE" for status in model.statuses.values()):
                raise InputError(_broken(model))
        batches = Batches(
            largest=config.max_batch_size,
            wait=config.batch_timeout_ms / 1000,
            threads=config.batch_threads,
            queue=config.max_queued_batches,
        )
        answers = Answers(models, batches, limit)
        most = most_connections(config.max_connections, report)
        async with _listening(config, answers, most, report) as ports:
            watches = [asyncio.create_task(_watch(m, config.poll_seconds)) for m in models.values()]
            ready(ports)
            try:
                return await stop_signal
            finally:
                for watch in watches:
                    watch.cancel()
                await asyncio.gather(*watches, return_exceptions=True)


async def _watch(model: Model, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await model.refresh()


@contextlib.contextmanager
def _signals() -> Iterator[asyncio.Future]:
    """Context manager: yields a future that the first SIGINT or SIGTERM sets.

    A second signal has its default effect.
    """
    loop = asyncio.get_running_loop()
    stop_signal = loop.create_future()

    def note(number: int) -> None:
        for each in ASKED:
            loop.remove_signal_handler(each)
        stop_signal.set_result(number)

    for number in ASKED:
        loop.add_signal_handler(number, note, number)
    try:
        yield stop_signal
    finally:
        for number in ASKED:
            loop.remove_signal_handler(number)


def raise_descriptor_limit(needed: int) -> int:
    """Raises the number of files that the process may have open as far as it may; returns it.

    Args:
        needed: number that is enough if there is no limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return needed
    most = max(soft, needed) if hard == resource.RLIM_INFINITY else hard
    with contextlib.suppress(OSError, ValueError):  # macOS has a lower limit than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return soft


def most_connections(wanted: int, report: Callable[[str], None]) -> int:
    """Returns the number of connections of each protocol that the system has descriptors for."""
    needed = RESERVED + 2 * wanted
    descriptors = raise_descriptor_limit(needed)
    if descriptors >= needed:
        return wanted
    most = max(1, descriptors // 8, (descriptors - RESERVED) // 2)
    report(f"at most {most} connections per protocol: the limit of open files is {descriptors}")
    return most


@contextlib.contextmanager
def reported_shortages(http: HTTPServer, report: Callable[[str], None]) -> Iterator[None]:
    """Context manager: reports in one line that no connection can be accepted, and closes one.

    asyncio would print a traceback for each attempt, hundreds of them per second.
    """
    loop = asyncio.get_running_loop()
    before, last = loop.get_exception_handler(), -REPEATED

    def handle(loop: asyncio.AbstractEventLoop, context: dict) -> None:
        nonlocal last
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in EXHAUSTED:
            loop.default_exception_handler(context)
            return
        http.shed()
        if loop.time() - last >= REPEATED:
            last = loop.time()
            report(f"error: a connection cannot be accepted: {error.strerror}")

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


@contextlib.asynccontextmanager
async def _listening(
    config: ServeConfig, answers: Answers, most: int, report: Callable[[str], None]
):
    """Context manager: runs both servers; at exit they finish their requests and take no more."""
    grpc_server = grpc_service.server(answers, config.timeout, most)
    http = rest.server(answers, config.timeout, most)
    runner = web.ServerRunner(http, shutdown_timeout=config.timeout)
    await runner.setup()
    with reported_shortages(http, report):
        try:
            ports = Ports(_bind_grpc(grpc_server, config), await _bind_rest(runner, config))
            await grpc_server.start()
            yield ports
        finally:
            http.draining = True
            await asyncio.gather(grpc_server.stop(config.timeout), runner.cleanup())
            answers.close()


def _bind_grpc(server: grpc.aio.Server, config: ServeConfig) -> int:
    host, family = config.host, socket.AF_INET
    if ":" in host:
        host, family = f"[{host}]", socket.AF_INET6
    try:
        # try the port first, since gRPC prints many lines about one that is in use
        socket.create_server((config.host, config.port), family=family).close()
        return server.add_insecure_port(f"{host}:{config.port}")
    except (OSError, RuntimeError) as error:
        raise InputError(_in_use("port", config.host, config.port)) from error


async def _bind_rest(runner: web.ServerRunner, config: ServeConfig) -> int:
    site = web.TCPSite(runner, config.host, config.rest_port)
    try:
        await site.start()
    except OSError as error:
        raise InputError(_in_use("rest_port", config.host, config.rest_port)) from error
    return runner.addresses[0][1]


def _in_use(name: str, host: str, port: int) -> str:
    return (
        f"Expected host and {name} to be an address of this machine that is free. "
        f"Received: {host}:{port}"
    )


def _broken(model: Model) -> str:
    reasons = (f"version {v}: {s.error}" for v, s in sorted(model.statuses.items()) if s.error)
    return (
        f"Expected a model that can be loaded. Received: {str(model.base)!r} "
        f"({'; '.join(reasons) or 'no version'})"
    )
