"""Requests of several clients, run together: an answer is each client's own all the same."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from darts_tf.export.serving.errors import RequestError, invalid
from darts_tf.export.serving.servable import Signature

from darts_tf.errors import shortened

Arrays = Mapping[str, np.ndarray]

SAID = 300
"""Characters of an error that a client is told."""


class Request(NamedTuple):
    """What a client waits for."""

    arrays: Arrays
    rows: int
    outcome: asyncio.Future


class Batch:
    """Requests that will be run together."""

    def __init__(self):
        self.requests: list[Request] = []
        self.rows = 0
        self.full = asyncio.Event()


class Batches:
    """Gathers requests and runs them in threads, a bounded number at a time.

    A batch may grow until a thread is free for it, so that batches are large when there is much to
    do and a lone request waits no longer than `wait`.

    Args:
        largest: rows of a batch at most.
        wait: seconds that the first request of a batch waits for others.
        threads: batches that are run side by side.
        queue: full batches that may wait.
    """

    def __init__(self, *, largest: int, wait: float, threads: int, queue: int):
        self.largest = largest
        self.wait = wait
        self.queue = queue * largest
        self._queued = 0
        self._open: dict[Hashable, Batch] = {}
        self._tasks: set[asyncio.Task] = set()
        self._free = asyncio.Semaphore(threads)
        self._threads = ThreadPoolExecutor(threads, "batch")

    async def run(self, signature: Signature, arrays: Arrays, limit: int, within: float) -> Arrays:
        """What the model makes of a client's arrays.

        Args:
            signature: what to run.
            arrays: its inputs.
            limit: bytes of an input at most.
            within: seconds.

        Raises:
            RequestError: inputs that do not fit, no room in the queue, no time left, or what the
                model says of these inputs.
        """
        rows = signature.rows(arrays, limit)
        if rows > self.largest:
            raise invalid(f"Expected at most {self.largest} rows in a request. Received: {rows}")
        if self._queued + rows > self.queue:
            raise RequestError("UNAVAILABLE", "the queue of requests is full; try again later")
        request = Request(arrays, rows, asyncio.get_running_loop().create_future())
        self._add(signature, request)
        try:
            return await asyncio.wait_for(request.outcome, within)
        except asyncio.TimeoutError as error:
            raise RequestError("DEADLINE_EXCEEDED", f"no answer in {within:.3g} seconds") from error

    def close(self) -> None:
        """Ends the threads, once no request is left."""
        self._threads.shutdown()

    def _add(self, signature: Signature, request: Request) -> None:
        shapes = [array.shape[1:] for array in request.arrays.values()]
        key = (signature, *shapes) if signature.is_batch else object()
        batch = self._open.get(key)
        if batch and batch.rows + request.rows > self.largest:
            batch.full.set()
            batch = None
        if batch is None:
            batch = self._open[key] = Batch()
            task = asyncio.create_task(self._serve(key, batch, signature.run))
            self._tasks.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._tasks.discard)
        batch.requests.append(request)
        batch.rows += request.rows
        self._queued += request.rows
        if batch.rows == self.largest or not signature.is_batch:
            batch.full.set()

    async def _serve(self, key: Hashable, batch: Batch, run: Callable[[Arrays], Arrays]) -> None:
        if self.wait:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(batch.full.wait(), self.wait)
        async with self._free:
            if self._open.get(key) is batch:
                del self._open[key]
            self._queued -= batch.rows
            # who has given up meanwhile is left out
            wanted = [request for request in batch.requests if not request.outcome.done()]
            if not wanted:
                return
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._threads, outcomes, run, wanted)
        for request, outcome in zip(wanted, found, strict=True):
            if not request.outcome.done():
                failed = isinstance(outcome, Exception)
                (request.outcome.set_exception if failed else request.outcome.set_result)(outcome)


def outcomes(run: Callable[[Arrays], Arrays], requests: list[Request]) -> list[Arrays | Exception]:
    """Runs requests together; where the model refuses them, in halves, to find the faulty ones."""
    try:
        if len(requests) == 1:
            return [run(requests[0].arrays)]
        names = requests[0].arrays
        together = {name: np.concatenate([r.arrays[name] for r in requests]) for name in names}
        return _split(run(together), [request.rows for request in requests])
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        if len(requests) == 1:
            return [invalid(message(error))]
        middle = len(requests) // 2
        return outcomes(run, requests[:middle]) + outcomes(run, requests[middle:])
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        return [RequestError("RESOURCE_EXHAUSTED", message(error))] * len(requests)
    except Exception as error:
        return [error] * len(requests)


def message(error: Exception) -> str:
    """What TensorFlow says is wrong, without the names of the graph's nodes around it."""
    if isinstance(error, UnicodeDecodeError):  # TensorFlow quotes bytes, and fails to say so
        text = error.object.decode("utf-8", "replace")
    else:
        text = getattr(error, "message", None) or str(error)
    text = re.sub(r"\{\{[^}]*\}\} ?", "", text.partition("\n\t [[")[0])
    lines = text.strip().splitlines()
    return shortened(lines[-1] if lines else type(error).__name__, SAID)


def _split(outputs: Arrays, rows: list[int]) -> list[Arrays]:
    for name, array in outputs.items():
        if len(array) != sum(rows):
            raise RuntimeError(f"{name} has {len(array)} rows for {sum(rows)} of the inputs")
    ends = np.cumsum(rows)[:-1]
    parts = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: parts[name][i] for name in parts} for i in range(len(rows))]
