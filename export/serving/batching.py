"""Batching: requests of several clients are run together, and each client gets its own answer."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from darts_tf.errors import shortened
from darts_tf.export.serving.errors import RequestError, invalid
from darts_tf.export.serving.servable import Signature

Arrays = Mapping[str, np.ndarray]

MESSAGE_LENGTH = 300
"""Largest length of an error message for a client, characters."""
ASSERTION = "assertion failed: ["
"""Beginning of TensorFlow's message for a failed assertion, whose values are in brackets."""


class Request(NamedTuple):
    """Inputs of a client, their number of rows, and the future of its outputs."""

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

    A batch may grow until a thread is free for it. Batches are therefore large under load, and a
    single request waits no longer than `wait`.

    Args:
        largest: largest number of rows in a batch.
        wait: time that the first request of a batch waits for others, seconds.
        threads: number of batches that run in parallel.
        queue: number of full batches that may wait.
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
        """Runs a signature on a client's arrays, possibly together with other requests.

        Args:
            signature: signature to run.
            arrays: inputs by name.
            limit: largest size of an input, bytes.
            within: time limit, seconds.

        Raises:
            RequestError: the inputs do not fit the signature, the queue is full, the time is over,
                or the model rejects the inputs.
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
        """Ends the threads once all requests are done."""
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
            # skip clients that have given up in the meantime
            wanted = [request for request in batch.requests if not request.outcome.done()]
            if not wanted:
                return
            loop = asyncio.get_running_loop()
            results = await loop.run_in_executor(self._threads, outcomes, run, wanted)
        for request, outcome in zip(wanted, results, strict=True):
            if not request.outcome.done():
                failed = isinstance(outcome, Exception)
                (request.outcome.set_exception if failed else request.outcome.set_result)(outcome)


def outcomes(run: Callable[[Arrays], Arrays], requests: list[Request]) -> list[Arrays | Exception]:
    """Runs requests together; if the model rejects them, in halves, to isolate the faulty ones."""
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
    """Returns the essential line of TensorFlow's error message, without names of graph nodes.

    The values of a failed assertion are joined to a sentence.
    """
    if isinstance(error, UnicodeDecodeError):  # TensorFlow fails to decode the bytes it quotes
        text = error.object.decode("utf-8", "replace")
    else:
        text = getattr(error, "message", None) or str(error)
    text = re.sub(r"\{\{[^}]*\}\} ?", "", text.partition("\n\t [[")[0])
    lines = text.strip().splitlines()
    line = lines[-1] if lines else type(error).__name__
    if line.startswith(ASSERTION):
        line = line.removeprefix(ASSERTION).removesuffix("]").replace("] [", " ")
    return shortened(line, MESSAGE_LENGTH)


def _split(outputs: Arrays, rows: list[int]) -> list[Arrays]:
    for name, array in outputs.items():
        if len(array) != sum(rows):
            raise RuntimeError(f"{name} has {len(array)} rows for {sum(rows)} of the inputs")
    ends = np.cumsum(rows)[:-1]
    parts = {name: np.split(array, ends) for name, array in outputs.items()}
    return [{name: parts[name][i] for name in parts} for i in range(len(rows))]
