"""`darts-tf predict`: classification of image files."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from darts_tf.cli import output, startup
from darts_tf.configs import PredictConfig
from darts_tf.errors import InputError, escaped
from darts_tf.runtime.atomic import contents

AT_ONCE = 8
"""Number of requests sent to a server in parallel, so that it can batch them."""
TIMEOUT = 60.0
"""Seconds to wait for a server's answer to one image."""


def run(config: PredictConfig) -> int:
    """Prints the most probable classes of every image, one image per line."""
    predict = _locally if config.url is None else _by_server
    for path, ranking in zip(config.images, predict(config), strict=True):
        best = "  ".join(f"{label} {share:.2%}" for label, share in ranking[: config.top])
        output.result(f"{escaped(path)}: {escaped(best)}")
    return 0


def _locally(config: PredictConfig) -> list[Sequence[tuple[str, float]]]:
    startup.start_tensorflow()
    from darts_tf.jobs.exports import predict_images

    with startup.held_stderr():
        return predict_images(config.model, config.images, top=config.top)


def _by_server(config: PredictConfig) -> Iterable[Sequence[tuple[str, float]]]:
    from darts_tf.export.serving.client import Refused, predictor

    if config.url.startswith("grpc:"):
        startup.import_tensorflow()  # the official stubs import it
    try:
        predict = predictor(config.url, config.name, TIMEOUT)
    except ModuleNotFoundError as error:
        raise InputError(
            f"Expected darts-tf[serving] to be installed, or an http:// url. "
            f"Received: no module {error.name!r}"
        ) from error
    images = [(path, contents(path, "an image file")) for path in config.images]

    def ask(image: tuple[pathlib.Path, bytes]) -> Sequence[tuple[str, float]]:
        path, content = image
        try:
            return list(zip(*predict(content), strict=True))
        except Refused as error:
            raise _refusal(error, config, path) from error

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(ask, images))


def _refusal(error, config: PredictConfig, path: pathlib.Path) -> Exception:
    """Returns a server's error as an exception about the user's settings or file."""
    answer = f"the server says: {error}"
    if error.code == "NOT_FOUND":
        return InputError(
            f"Expected name of a model at {config.url}. Received: name={config.name!r}; {answer}"
        )
    if "predict_bytes" in str(error):  # the signature that was requested
        return InputError(
            f"Expected name of a network for images at {config.url}. "
            f"Received: name={config.name!r}; {answer}"
        )
    if error.code == "INVALID_ARGUMENT":
        return InputError(
            f"Expected a whole JPEG, PNG, GIF, BMP or WEBP file. Received: {str(path)!r}; {answer}"
        )
    return RuntimeError(f"{path}: {error.code}: {answer}")
