"""Files and command lines that start TensorFlow Serving with an export."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import stat
from collections.abc import Mapping

from darts_tf.configs import ServeConfig
from darts_tf.errors import InputError
from darts_tf.export.serving import folders
from darts_tf.runtime import atomic

BINARY = "tensorflow_model_server"
IMAGE = "tensorflow/serving:2.19.1"
"""Container image; later versions work as well."""
MODELS, BATCHING, RUN = "models.config", "batching.config", "run.sh"


def write(config: ServeConfig, models: Mapping[str, pathlib.Path]) -> pathlib.Path:
    """Writes models.config, batching.config and run.sh; returns their folder.

    Args:
        config: output folder and settings of the server.
        models: folder of every model's versions, by name of the model.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = (config.output or config.model / "serving").resolve()
    try:
        atomic.write_text(folder / MODELS, models_config(models))
        atomic.write_text(folder / BATCHING, batching_config(config))
        atomic.write_text(folder / RUN, run_script(config, folder, models))
        os.chmod(folder / RUN, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH)
    except OSError as error:
        raise InputError(
            f"Expected output to be a folder to write to. Received: {str(folder)!r} "
            f"({error.strerror})"
        ) from error
    return folder


def models_config(models: Mapping[str, pathlib.Path]) -> str:
    """Returns a ModelServerConfig as protocol buffer text: the latest version of every model."""
    entries = (
        f"""  config {{
    name: {_quoted(name)}
    base_path: {_quoted(str(base))}
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
"""
        for name, base in models.items()
    )
    return f"model_config_list {{\n{''.join(entries)}}}\n"


def batching_config(config: ServeConfig) -> str:
    """Returns BatchingParameters as protocol buffer text."""
    return f"""max_batch_size {{ value: {config.max_batch_size} }}
batch_timeout_micros {{ value: {round(1000 * config.batch_timeout_ms)} }}
num_batch_threads {{ value: {config.batch_threads} }}
max_enqueued_batches {{ value: {config.max_queued_batches} }}
"""


def batches(models: Mapping[str, pathlib.Path]) -> bool:
    """Returns whether TensorFlow Serving may batch requests: not if any is a language model.

    It would reject texts of different lengths in one batch; our own server keeps them apart.
    """
    return not any(folders.is_language_model(base) for base in models.values())


def binary_command(config: ServeConfig, folder: pathlib.Path, batched: bool = True) -> list[str]:
    """Returns the command that starts `tensorflow_model_server` with the files in `folder`."""
    ports = [f"--port={config.port}", f"--rest_api_port={config.rest_port}"]
    return [BINARY, *ports, *_flags(config, folder, batched)]


def container_command(
    config: ServeConfig, folder: pathlib.Path, models: Mapping[str, pathlib.Path]
) -> list[str]:
    """Returns the command that starts the container; folders have the same paths inside it."""
    mounted = sorted({folder, *models.values()})
    return [
        *("docker", "run", "--rm", "--init"),
        *("--publish", f"{_host(config)}:{config.port}:8500"),
        *("--publish", f"{_host(config)}:{config.rest_port}:8501"),
        *(word for path in mounted for word in ("--volume", f"{path}:{path}:ro")),
        *(IMAGE, *_flags(config, folder, batches(models))),
    ]


def run_script(
    config: ServeConfig, folder: pathlib.Path, models: Mapping[str, pathlib.Path]
) -> str:
    """Returns a shell script that starts the program if it is installed, or else the container."""
    return f"""#!/bin/sh
# Starts TensorFlow Serving: gRPC on port {config.port}, REST on port {config.rest_port}.
if command -v {BINARY} >/dev/null; then
  exec {shlex.join(binary_command(config, folder, batches(models)))}
fi
exec {shlex.join(container_command(config, folder, models))}
"""


def _flags(config: ServeConfig, folder: pathlib.Path, batched: bool) -> list[str]:
    batching = ["--enable_batching=true", f"--batching_parameters_file={folder / BATCHING}"]
    return [
        f"--model_config_file={folder / MODELS}",
        *(batching if batched else []),
        f"--rest_api_timeout_in_ms={round(1000 * config.timeout)}",
        f"--file_system_poll_wait_seconds={max(1, round(config.poll_seconds))}",
    ]


def _host(config: ServeConfig) -> str:
    return f"[{config.host}]" if ":" in config.host else config.host


def _quoted(text: str) -> str:
    """Quotes a string; protocol buffer text has the escapes of JSON."""
    return json.dumps(text, ensure_ascii=False)
