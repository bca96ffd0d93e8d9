"""The embedded server: both protocols in one event loop, with models in threads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import pathlib
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
from darts_tf.export.serving.models import Model
from darts_tf.runtime.signals import ASKED


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
        async with _listening(config, answers) as ports:
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


@contextlib.asynccontextmanager
async def _listening(config: ServeConfig, answers: Answers):
    """Context manager: runs both servers; at exit they finish their requests and take no more."""
    grpc_server = grpc_service.server(answers, config.timeout)
    runner = web.AppRunner(
        rest.application(answers, config.timeout),
        access_log=None,
        logger=_silent(),
        shutdown_timeout=config.timeout,
        handler_cancellation=True,  # if the client has disconnected
    )
    await runner.setup()
    try:
        ports = Ports(_bind_grpc(grpc_server, config), await _bind_rest(runner, config))
        await grpc_server.start()
        yield ports
    finally:
        await asyncio.gather(grpc_server.stop(config.timeout), runner.cleanup())
        answers.batches.close()


def _silent() -> logging.Logger:
    """Returns a silent logger for aiohttp, which reports bytes that are not HTTP.

    Internal failures are logged elsewhere.
    """
    logger = logging.getLogger("darts_tf.http")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


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


async def _bind_rest(runner: web.AppRunner, config: ServeConfig) -> int:
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
