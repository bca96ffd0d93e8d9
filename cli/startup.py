"""Starts TensorFlow without its chatter."""

from __future__ import annotations

import contextlib
import gc
import logging
import logging.handlers
import os
import sys
import tempfile
from collections.abc import Iterator

from darts_tf.cli import output

from darts_tf import plugins
from darts_tf.errors import InputError


def start_tensorflow(on_text: bool = False) -> None:
    """Makes TensorFlow ready for a command.

    Args:
        on_text: whether its work is that of a recurrence, one operation after another.
    """
    # importing and tracing make millions of objects that stay: looking through them again and
    # again would take a fifteenth of the start
    gc.set_threshold(100_000, 20, 100)
    import_tensorflow()
    from darts_tf.runtime.execution import CHAINS, prefer_parallel_operations

    prefer_parallel_operations(1 if on_text else CHAINS)


def import_tensorflow(level: int = 2) -> None:
    """Imports TensorFlow and looks for devices, and keeps what it says on the way to itself.

    Of what it says later errors are printed, at level 3 none: it calls an error, say, that one of
    its optimisations does not fit a graph.

    TensorFlow 2.21 writes its start-up notes to file descriptor 2 whatever the log level is.
    With `TF_CPP_MIN_LOG_LEVEL` set by the user, nothing is held back.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = str(level)
    with held_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()


def load_plugin(path: str) -> None:
    """Runs a user's script, without what TensorFlow says if that imports it."""
    level = "TF_CPP_MIN_LOG_LEVEL"
    if level in os.environ:
        plugins.load_plugin(path)
        return
    os.environ[level] = "2"
    try:
        with held_stderr():
            plugins.load_plugin(path)
    finally:
        del os.environ[level]  # what starts TensorFlow sets it anew


@contextlib.contextmanager
def logged() -> Iterator[None]:
    """Within this block warnings are printed, and the log is kept for a run that begins later."""
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
    """Prints, where a progress bar knows of it."""

    def emit(self, record):
        output.warn(record.getMessage(), record.levelname.lower())


@contextlib.contextmanager
def held_stderr() -> Iterator[None]:
    """Holds back all that reaches file descriptor 2; lets it out if the block fails.

    An `InputError` says in its own words what is wrong with the input; what TensorFlow has written
    about it goes.
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
