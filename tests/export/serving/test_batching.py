"""Batching of requests: which ones run together, whose errors they get, and rejected ones."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
import tensorflow as tf

from darts_tf.export.serving.batching import Batches, message
from darts_tf.export.serving.errors import RequestError
from darts_tf.export.serving.servable import Signature

LIMIT = 10**6


class Doubling(Signature):
    """A model that doubles x, rejects negative numbers like TensorFlow, and records its inputs."""

    def __init__(self, is_batch=True):
        from darts_tf.export.serving.tensors import Spec

        self.name, self.is_batch = "doubling", is_batch
        self.inputs = self.outputs = {"x": Spec(tf.float32, (None, None) if is_batch else (1, 1))}
        self.batches, self.go = [], threading.Event()
        self.go.set()

    def run(self, arrays):
        assert self.go.wait(60)
        self.batches.append(arrays["x"][:, 0].tolist())
        if (arrays["x"] < 0).any():
            raise tf.errors.InvalidArgumentError(None, None, "Graph error:\nnegative\n\t [[node]]")
        if (arrays["x"] > 1e6).any():
            raise tf.errors.ResourceExhaustedError(None, None, "too much")
        return {"x": 2 * arrays["x"]}


def rows(*numbers, width=1):
    return {"x": np.repeat(np.array(numbers, np.float32)[:, None], width, 1)}


def together(signature, requests, *, within=60.0, meanwhile=None, **settings):
    """Returns the answers or errors of simultaneous requests."""

    async def run():
        defaults = {"largest": 4, "wait": 60.0, "threads": 1, "queue": 4}
        batches = Batches(**{**defaults, **settings})
        tasks = [
            asyncio.create_task(batches.run(signature, request, LIMIT, within))
            for request in requests
        ]
        if meanwhile:
            await asyncio.sleep(0.05)
            meanwhile(tasks)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(batches.close)
        return found

    return asyncio.run(run())


def test_full_batch_is_run_at_once_and_everyone_gets_their_own():
    signature = Doubling()
    found = together(signature, [rows(1, 2), rows(3), rows(4)])
    assert signature.batches == [[1, 2, 3, 4]]
    assert [f["x"].ravel().tolist() for f in found] == [[2, 4], [6], [8]]


def test_lone_request_waits_no_longer_than_it_must():
    assert together(Doubling(), [rows(1)], wait=0.01)[0]["x"] == 2
    assert together(Doubling(), [rows(1)], wait=0)[0]["x"] == 2


def test_batches_grow_while_all_threads_are_busy():
    signature = Doubling()
    signature.go.clear()
    found = together(
        *(signature, [rows(i) for i in range(7)]),
        **{"wait": 0, "meanwhile": lambda tasks: signature.go.set()},
    )
    assert [int(f["x"][0, 0]) for f in found] == [0, 2, 4, 6, 8, 10, 12]
    assert [len(batch) for batch in signature.batches] == [4, 3]


def test_requests_of_other_shapes_and_signatures_are_run_apart():
    one, other = Doubling(), Doubling()

    async def run():
        batches = Batches(largest=2, wait=0.05, threads=2, queue=4)
        requests = ((one, 1, 1), (one, 2, 3), (other, 3, 1), (one, 4, 1))
        found = await asyncio.gather(
            *(batches.run(s, rows(x, width=w), LIMIT, 60) for s, x, w in requests)
        )
        batches.close()
        return found

    found = asyncio.run(run())
    assert [f["x"].tolist() for f in found] == [[[2]], [[4, 4, 4]], [[6]], [[8]]]
    assert sorted(one.batches) == [[1, 4], [2]]
    assert other.batches == [[3]]


def test_signature_without_batches_is_run_alone():
    signature = Doubling(is_batch=False)
    found = together(signature, [rows(1), rows(2)])
    assert [f["x"].tolist() for f in found] == [[[2]], [[4]]]
    assert sorted(signature.batches) == [[1], [2]]


@pytest.mark.parametrize("bad", [{0}, {3}, {1, 2}, {0, 1, 2, 3}])
def test_bad_request_fails_alone(bad):
    found = together(Doubling(), [rows(-1 if i in bad else i) for i in range(4)])
    for i, outcome in enumerate(found):
        if i in bad:
            assert (outcome.code, outcome.message) == ("INVALID_ARGUMENT", "negative")
        else:
            assert outcome["x"] == 2 * i


def test_shortage_is_told_as_such_and_other_failures_are_left():
    assert together(Doubling(), [rows(1e7)], wait=0)[0].code == "RESOURCE_EXHAUSTED"
    signature = Doubling()
    signature.run = lambda arrays: {"x": np.zeros((7, 1))}
    assert isinstance(together(signature, [rows(1), rows(2, 3, 4)])[0], RuntimeError)


def test_full_queue_refuses_and_recovers():
    signature = Doubling()
    signature.go.clear()
    found = together(
        *(signature, [rows(i) for i in range(12)]),
        **{"wait": 0, "queue": 1, "meanwhile": lambda tasks: signature.go.set()},
    )
    refused = [f for f in found if isinstance(f, RequestError)]
    assert {f.code for f in refused} == {"UNAVAILABLE"}
    assert len(refused) == 12 - 4
    assert [int(f["x"][0, 0]) for f in found[:4]] == [0, 2, 4, 6]


def test_request_that_waits_too_long_fails_and_is_not_run():
    signature = Doubling()
    found = together(signature, [rows(1)], within=0.01, wait=0.1)
    assert found[0].code == "DEADLINE_EXCEEDED"
    assert signature.batches == []


def test_request_that_is_given_up_is_left_out():
    signature = Doubling()
    cancel = {"meanwhile": lambda tasks: tasks[0].cancel()}
    found = together(signature, [rows(1), rows(2)], wait=0.2, **cancel)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1]["x"] == 4
    assert signature.batches == [[2]]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (rows(1, 2, 3, 4, 5), "at most 4 rows"),
        (rows(), "at least 1"),
        ({"y": np.zeros((1, 1), np.float32)}, "Expected inputs x"),
        ({"x": np.zeros(1, np.float32)}, "of shape"),
        ({"x": np.zeros((1, LIMIT), np.float32)}, "bytes"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(arrays, said):
    (refused,) = together(Doubling(), [arrays])
    assert refused.code == "INVALID_ARGUMENT"
    assert said in refused.message


def test_message_is_tensorflows_last_line():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.function(lambda x: tf.io.decode_image(x))(tf.constant(b"text"))
    assert message(caught.value).startswith("Unknown image file format")
    assert message(ValueError()) == "ValueError"

    @tf.function
    def bounded(x):
        tf.debugging.Assert(x < 3, ["Expected at most 3 pixels. Received:", x])

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        bounded(tf.constant(4))
    assert message(caught.value) == "Expected at most 3 pixels. Received: 4"
    garbled = UnicodeDecodeError("utf-8", b"Graph error:\nCould not parse '\xff'", 33, 34, "why")
    assert message(garbled) == "Could not parse '\ufffd'"
