"""`darts-tf serve`: serving of an export over gRPC and REST."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pathlib
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Mapping

from darts_tf.cli import startup
from darts_tf.configs import ServeConfig
from darts_tf.errors import InputError, escaped
from darts_tf.export.serving import config as files
from darts_tf.export.serving import folders
from darts_tf.runtime.processes import free_ports
from darts_tf.runtime.signals import Interrupted

NEEDS = "darts-tf[serving]"


def run(config: ServeConfig) -> int:
    """Writes TensorFlow Serving's files and starts it, or else our own server."""
    models = folders.models(config.model)
    program = shutil.which(files.BINARY) if config.server == "auto" else None
    fixed = _with_ports(config)
    folder = files.write(fixed, models)
    if not config.quiet:
        print(f"written: {folder / files.RUN}, {files.MODELS} and {files.BATCHING}", flush=True)
    command = files.binary_command(fixed, folder, files.batches(models))
    if config.server == "none":
        print(shlex.join(command))
        print(shlex.join(files.container_command(fixed, folder, models)))
        return 0
    if program:
        _replace_by(program, command)
    return _embedded(config, models, folder)


def _with_ports(config: ServeConfig) -> ServeConfig:
    """Returns the config with free ports instead of 0."""
    free = iter(free_ports(2))
    chosen = {name: getattr(config, name) or next(free) for name in ("port", "rest_port")}
    return dataclasses.replace(config, **chosen)


def _replace_by(program: str, command: list[str]) -> None:
    """Replaces the process by TensorFlow Serving, which then receives all signals."""
    print(shlex.join(command), flush=True)
    sys.stderr.flush()
    os.execv(program, command)


def _embedded(config: ServeConfig, models: Mapping[str, pathlib.Path], folder: pathlib.Path) -> int:
    startup.import_tensorflow(level=3)  # the server reports failures itself
    try:
        from darts_tf.export.serving import server
    except ModuleNotFoundError as error:
        raise InputError(
            f"Expected {NEEDS} to be installed, or {files.BINARY} on the PATH. "
            f"Received: no module {error.name!r}"
        ) from error

    def report(line: str) -> None:
        if not config.quiet or line.startswith("error"):
            print(f"{time.strftime('%H:%M:%S')} {escaped(line)}", flush=True)

    def ready(ports) -> None:
        host = "127.0.0.1" if config.host == "0.0.0.0" else config.host
        rest = f"http://{host}:{ports.rest}/v1/models"
        if config.quiet:
            return
        print(
            f"{files.BINARY} is not on the PATH: this is darts-tf's own server, for development\n"
            f"in production: {folder / files.RUN}\n"
            f"gRPC: grpc://{host}:{ports.grpc}   "
            f"REST: {'  '.join(f'{rest}/{name}' for name in models)}\n"
            "stop with Ctrl-C",
            flush=True,
        )

    number = asyncio.run(server.serve(config, models, report=report, ready=ready))
    if number == signal.SIGINT:
        raise Interrupted("", number)
    report("stopped")
    return 0
