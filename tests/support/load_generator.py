"""Clients that send requests without pause, check the answers, and count wrong ones."""

from __future__ import annotations

import base64
import collections
import itertools
import threading
import time

import grpc
import numpy as np
import psutil
import tensorflow as tf
from servers import LABELS, Server, drawn, png, probabilities_of
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

IMAGES = drawn(16, seed=1)
FILES = [png(image) for image in IMAGES]
BAD = (b"", b"text", FILES[0][:40], FILES[0][:-20] + bytes(20))


class Load:
    """Clients in threads, half of them over gRPC and half over REST.

    Every client sends an image, valid or (one in `bad_one_in`) malformed, waits for the answer and
    compares it with the formula for the version that answered, or for any version if the
    protocol does not return it.
    """

    def __init__(self, server: Server, shifts: dict[int, float], clients: int, bad_one_in: int):
        self.server = server
        self.right = {version: probabilities_of(IMAGES, shift) for version, shift in shifts.items()}
        self.counts = collections.Counter()
        self.latencies: list[float] = []
        self.memory: list[float] = []
        self._bad_one_in = bad_one_in
        self._over = threading.Event()
        asks = itertools.cycle((self._over_grpc, self._over_rest))
        self._threads = [
            threading.Thread(target=self._client, args=(i, next(asks))) for i in range(clients)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)

    def go_on(self, seconds: float) -> None:
        """Lets the clients send requests, and samples the server's memory."""
        process = psutil.Process(self.server.process.pid)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(0.5, seconds))
            self.memory.append(process.memory_info().rss / 1e6)

    def _client(self, number: int, protocol) -> None:
        draw = np.random.default_rng(number)
        ask = protocol()
        while not self._over.is_set():
            bad = draw.integers(self._bad_one_in) == 0
            chosen = draw.integers(len(BAD if bad else FILES))
            start = time.perf_counter()
            try:
                outcome = ask((BAD if bad else FILES)[chosen])
            except Exception as error:  # any failure is counted and reported
                outcome = repr(error)
            self.latencies.append(time.perf_counter() - start)
            self.counts[self._judged(bad, chosen, outcome)] += 1

    def _judged(self, bad: bool, chosen: int, outcome) -> str:
        if bad or not isinstance(outcome, tuple):
            return "refused" if bad and outcome == "INVALID_ARGUMENT" else f"{bad=} {outcome}"
        version, labels, shares = outcome
        for known in (version,) if version else self.right:
            received = dict(
                zip(labels, shares, strict=True)
            )  # equal probabilities may have any order
            expected = self.right[known][chosen]
            if np.allclose([received[label] for label in LABELS], expected, atol=1e-5):
                return f"right by {known}" if version else "right"
        return f"wrong: {outcome}"

    def _over_grpc(self):
        stub = PredictionServiceStub(
            grpc.insecure_channel(self.server.grpc, options=[("grpc.use_local_subchannel_pool", 1)])
        )

        def ask(content):
            request = PredictRequest()
            request.model_spec.name = "model"
            request.model_spec.signature_name = "predict_bytes"
            request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([content]))
            try:
                answer = stub.Predict(request, timeout=30)
            except grpc.RpcError as error:
                return error.code().name
            labels = [label.decode() for label in answer.outputs["labels"].string_val]
            shares = tf.make_ndarray(answer.outputs["probabilities"])[0]
            return answer.model_spec.version.value, labels, shares

        return ask

    def _over_rest(self):
        def ask(content):
            encoded = {"b64": base64.b64encode(content).decode()}
            body = {"signature_name": "predict_bytes", "instances": [encoded]}
            status, answer = self.server.post("/v1/models/model:predict", body)
            if status != 200:
                return {400: "INVALID_ARGUMENT"}.get(status, f"{status} {answer}")
            (row,) = answer["predictions"]
            return None, row["labels"], row["probabilities"]

        return ask
