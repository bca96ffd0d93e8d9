"""A served model: its newest version, and replacement by a newer one."""

from __future__ import annotations

import asyncio
import gc
import pathlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import tensorflow as tf
from google.protobuf.message import DecodeError

from darts_tf.errors import first_line
from darts_tf.export.serving import folders
from darts_tf.export.serving.errors import RequestError
from darts_tf.export.serving.servable import Servable, load
from darts_tf.export.serving.warming import warm_up

BROKEN = (
    *(AttributeError, IndexError, KeyError, MemoryError, NotImplementedError, OSError),
    *(RuntimeError, TypeError, ValueError),
    *(DecodeError, RequestError, tf.errors.OpError),
)
"""Exceptions of TensorFlow for a SavedModel that is damaged or of another kind."""


class Status(NamedTuple):
    """State of a version: START, LOADING, AVAILABLE, UNLOADING or END, and its error, if any."""

    state: str
    error: str = ""


class Model:
    """The newest version of a model that can be loaded.

    A version that fails to load is reported once and tried again only after its file has changed.

    Args:
        name: name that clients use.
        base: folder of its versions.
        limit: largest size of an input of a warm-up request, bytes.
        report: called with a line of text at every change.

    Attributes:
        statuses: states of all versions that were ever tried, by number.
    """

    def __init__(self, name: str, base: pathlib.Path, limit: int, report: Callable[[str], None]):
        self.name = name
        self.base = base
        self.statuses: dict[int, Status] = {}
        self._limit = limit
        self._report = report
        self._current: Servable | None = None
        self._broken: set[tuple] = set()
        self._retiring: set[asyncio.Task] = set()

    def used(self, version: int | None) -> AbstractContextManager[Servable]:
        """Context manager: keeps a version loaded for a request, by default the newest one."""
        if self._current is None or version not in (None, self._current.version):
            which = f"{self.name} / {version}" if version is not None else f"Latest({self.name})"
            raise RequestError("NOT_FOUND", f"Servable not found for request: {which}")
        return self._current.used()

    async def refresh(self) -> None:
        """Looks for a newer version, loads it and replaces the current one."""
        paths = folders.versions(self.base)
        for version in sorted(paths, reverse=True):
            if self._current and self._current.version == version:
                return
            stamp = (version, _stamp(paths[version]))
            if stamp in self._broken:
                continue
            if servable := await self._try_load(paths[version], version):
                return self._replace_by(servable)
            self._broken.add(stamp)

    async def _try_load(self, path: pathlib.Path, version: int) -> Servable | None:
        self.statuses[version] = Status("LOADING")
        start = time.perf_counter()
        try:
            servable, requests = await asyncio.to_thread(self._load, path, version)
        except BROKEN as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            self.statuses[version] = Status("END", reason)
            kept = f"; version {self._current.version} stays" if self._current else ""
            self._report(f"error: {self.name}: version {version} cannot be loaded: {reason}{kept}")
            return None
        seconds = time.perf_counter() - start
        warm = f", {requests} warm-up requests" if requests else ""
        self._report(f"{self.name}: version {version} loaded in {seconds:.1f} s{warm}")
        return servable

    def _load(self, path: pathlib.Path, version: int) -> tuple[Servable, int]:
        servable = load(path, version)
        return servable, warm_up(servable, path, self._limit)

    def _replace_by(self, servable: Servable) -> None:
        before, self._current = self._current, servable
        self.statuses[servable.version] = Status("AVAILABLE")
        if before:
            self.statuses[before.version] = Status("UNLOADING")
            task = asyncio.create_task(self._retire(before))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, servable: Servable) -> None:
        await servable.unused()
        version = servable.version
        del servable
        gc.collect()  # TensorFlow's functions are in reference cycles and hold a model's memory
        if self.statuses[version].state == "UNLOADING":  # it may have been loaded again
            self.statuses[version] = Status("END")
        self._report(f"{self.name}: version {version} unloaded")


def _stamp(path: pathlib.Path) -> tuple[int, int] | None:
    """Returns modification time and size of a version's file; None if it cannot be read."""
    try:
        status = (path / folders.SAVED_MODEL).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
