"""Settings of `darts-tf serve`."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Literal

from darts_tf.configs.base import Config, setting
from darts_tf.errors import InputError

HIGHEST_PORT = 65_535


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeConfig(Config):
    """Serve an export over gRPC and REST, as TensorFlow Serving does, or by TensorFlow Serving."""

    model: pathlib.Path = setting(dataclasses.MISSING, place="MODEL", names="export")
    """Folder of an export, its saved_model folder, or one model in that folder."""
    output: pathlib.Path | None = None
    """Folder for TensorFlow Serving's files: models.config, batching.config and run.sh, which
    starts the server with them; by default `serving` in the model's folder."""
    server: Literal["auto", "embedded", "none"] = "auto"
    """auto: tensorflow_model_server if it is on the PATH, else embedded, which is darts-tf's own
    server for development. none: only write the files."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all. tensorflow_model_server always listens on all."""
    port: int = setting(8500, "zero or more")
    """Port of gRPC; 0 for a free one."""
    rest_port: int | None = setting(None, "zero or more")
    """Port of REST; by default port + 1, or a free one if `port` is 0."""
    max_batch_size: int = setting(32, "positive")
    """Maximum number of images in a batch, from one or several requests."""
    batch_timeout_ms: float = setting(1.0, "zero or more")
    """Maximum milliseconds that a request waits for others to fill its batch."""
    batch_threads: int = setting(2, "positive")
    """Number of batches that run in parallel."""
    max_queued_batches: int = setting(16, "positive")
    """Maximum number of full batches in the queue; further requests are rejected as UNAVAILABLE
    (503)."""
    max_request_mb: float = setting(32.0, "positive")
    """Maximum size of a request in megabytes, for the embedded server; also once inflated."""
    max_connections: int = setting(1000, "positive")
    """Maximum number of connections of each protocol, for the embedded server. Beyond it, the REST
    connection that has waited longest for the rest of a request is closed."""
    timeout: float = setting(30.0, "positive")
    """Seconds after which a request fails; earlier deadlines of gRPC clients are respected."""
    poll_seconds: float = setting(1.0, "positive")
    """Seconds between checks for new versions of the model."""
    quiet: bool = False
    """Print only errors."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("port", "rest_port"):
            if (value := getattr(self, name)) is not None and value > HIGHEST_PORT:
                raise InputError(
                    f"Expected {name} to be at most {HIGHEST_PORT}. Received: {name}={value}"
                )
        if self.rest_port is None:
            object.__setattr__(self, "rest_port", self.port + 1 if self.port else 0)
        if self.port and self.port == self.rest_port:
            raise InputError(
                f"Expected port and rest_port to differ. Received: {self.port} for both"
            )
