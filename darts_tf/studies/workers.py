"""Which process of a study this is, by KerasTuner's variables, and how they keep in touch."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pathlib
import time
from collections.abc import Callable, Collection, Iterator

from darts_tf.errors import InputError, shown
from darts_tf.runtime.repetition import repeated
from darts_tf.studies.oracles import Bounded

BEAT = 5.0
"""Seconds between two signs of life."""
LOST = 60.0
"""Seconds without any, by the clock of who waits, after which a worker counts as lost."""


@contextlib.contextmanager
def beating(folder: pathlib.Path, name: str) -> Iterator[None]:
    """Context manager: sends heartbeats of this worker.

    Args:
        folder: that all share.
        name: of the worker.
    """
    path, numbers = folder / f"{name}.alive", itertools.count()

    def beat():
        with contextlib.suppress(OSError):  # a disk that is away for a while
            path.write_text(f"{os.getpid()} {next(numbers)}")

    beat()
    try:
        with repeated(beat, BEAT):
            yield
    finally:
        path.unlink(missing_ok=True)


def watching(
    folder: pathlib.Path, names: Callable[[], Collection[str]], lost: Callable[[str], None]
) -> contextlib.AbstractContextManager[None]:
    """Context manager: reports workers that stop sending heartbeats.

    Args:
        folder: that all share.
        names: gives the workers that there should be.
        lost: called with the name of one that has shown no sign of life for `LOST` seconds.
    """
    seen = {}

    def look():
        for name in list(names()):
            sign = _sign(folder / f"{name}.alive")
            if name not in seen or seen[name][0] != sign:
                seen[name] = sign, time.monotonic()
            elif time.monotonic() - seen[name][1] > LOST:
                del seen[name]
                lost(name)

    return repeated(look, BEAT)


def _sign(path: pathlib.Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


_LOGGER = logging.getLogger("darts_tf")

CHIEF_SECONDS = 600
"""Seconds that a worker waits for the chief to start."""

TUNER_ID, ORACLE_IP, ORACLE_PORT = (
    f"KERASTUNER_{name}" for name in ("TUNER_ID", "ORACLE_IP", "ORACLE_PORT")
)
"""Environment variables that tell KerasTuner the role of a process."""


def role() -> str:
    """Returns the role of this process as KerasTuner reads it: `alone`, `chief` or `worker`.

    Raises:
        InputError: The environment says a part of it only.
    """
    given = [name for name in (TUNER_ID, ORACLE_IP, ORACLE_PORT) if os.environ.get(name)]
    if not given:
        return "alone"
    if len(given) < 3:
        raise InputError(
            f"Expected all of {TUNER_ID}, {ORACLE_IP} and {ORACLE_PORT} in the environment, or "
            f"none. Received: {' and '.join(given)}"
        )
    if not os.environ[ORACLE_PORT].isdigit():
        raise InputError(
            f"Expected {ORACLE_PORT} to be a number. Received: {shown(os.environ[ORACLE_PORT])}"
        )
    return "chief" if "chief" in os.environ[TUNER_ID] else "worker"


def in_touch(oracle: Bounded, folder: pathlib.Path) -> contextlib.AbstractContextManager[None]:
    """Context manager: a worker sends heartbeats, a chief reports missing ones.

    Args:
        oracle: the chief's.
        folder: that all share.
    """

    def lost(name):
        _LOGGER.warning("%s has shown no sign of life for %g s: another gets its trial", name, LOST)
        oracle.forget(name)

    if role() == "worker":
        return beating(folder, os.environ[TUNER_ID])
    if role() == "chief":
        return watching(folder, lambda: oracle.tuner_ids, lost)
    return contextlib.nullcontext()


def await_chief() -> None:
    """Waits until the chief answers.

    Raises:
        InputError: it does not in time.
    """
    import grpc  # late: of several processes alone

    address = f"{os.environ[ORACLE_IP]}:{os.environ[ORACLE_PORT]}"
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(CHIEF_SECONDS)
        except grpc.FutureTimeoutError as error:
            raise InputError(
                f"Expected a chief that answers at {address} within {CHIEF_SECONDS} s. "
                "Received: no answer"
            ) from error
