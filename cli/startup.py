"""Start of TensorFlow without its log messages."""

from __future__ import annotations

import contextlib
import gc
import logging
import logging.handlers
import os
import sys
import tempfile
from collections.abc import Iterator

from darts_tf import plugins
from darts_tf.cli import output
from darts_tf.errors import InputError

KERAS = {"KERAS_BACKEND": "tensorflow"}
"""Variables of the environment that Keras must see; they go before its file keras.json."""
LEGACY = "TF_USE_LEGACY_KERAS"
"""Variable that makes TensorFlow use Keras 2."""


_before: dict[str, str | None] = {}
"""Values that the variables had before `set_environment` changed them."""


def set_environment() -> None:
    """Sets the variables that Keras and TensorFlow read when they are imported.

    Another backend or Keras 2, which other programs of the user may need, cannot run our networks.
    """
    for name in (*KERAS, LEGACY):
        _before.setdefault(name, os.environ.get(name))
    os.environ.update(KERAS)
    os.environ.pop(LEGACY, None)


def users_environment() -> dict[str, str]:
    """Returns the environment as it was before `set_environment`."""
    environment = {**os.environ, **_before}
    return {name: value for name, value in environment.items() if value is not None}


def start_tensorflow(on_text: bool = False) -> None:
    """Imports and configures TensorFlow for a command.

    Args:
        on_text: whether the command runs a recurrent cell, one operation after another.
    """
    # importing and tracing create millions of lasting objects: scanning them repeatedly would take
    # a fifteenth of the start-up time
    gc.set_threshold(100_000, 20, 100)
    import_tensorflow()
    from darts_tf.runtime.execution import CHAINS, prefer_parallel_operations, use_default_keras

    prefer_parallel_operations(1 if on_text else CHAINS)
    use_default_keras()


def import_tensorflow(level: int = 2) -> None:
    """Imports TensorFlow and lists devices, without its start-up messages.

    After start-up only errors are printed; at level 3 not even those, since TensorFlow logs
    harmless events as errors, such as an optimization that does not apply to a graph.

    TensorFlow 2.21 writes start-up messages to file descriptor 2 at any log level. If the user has
    set `TF_CPP_MIN_LOG_LEVEL`, no message is suppressed.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = str(level)
    with held_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


def load_plugin(path: str) -> None:
    """Runs a user's script, without TensorFlow's start-up messages if the script imports it."""
    level = "TF_CPP_MIN_LOG_LEVEL"
    if level in os.environ:
        plugins.load_plugin(path)
        return
    os.environ[level] = "2"
    try:
        with held_stderr():
            plugins.load_plugin(path)
    finally:
        del os.environ[level]  # import_tensorflow sets it again


@contextlib.contextmanager
def logged() -> Iterator[None]:
    """Context manager: prints warnings, and buffers log records for a run that starts later."""
    logger, printer = logging.getLogger("darts_tf"), _Printer(logging.WARNING)
    kept = logging.handlers.MemoryHandler(capacity=10_000, flushLevel=logging.CRITICAL + 1)
    for handler in (printer, kept):
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in (printer, kept):
            logger.removeHandler(handler)


class _Printer(logging.Handler):
    """Prints log records by `output.warn`, so that they do not break a progress bar."""

    def emit(self, record):
        output.warn(record.getMessage(), record.levelname.lower())


@contextlib.contextmanager
def held_stderr() -> Iterator[None]:
    """Context manager: buffers everything written to file descriptor 2; prints it on failure.

    On an `InputError` the buffer is dropped, since its message describes the problem better than
    TensorFlow's output.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except InputError:
            raise
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
