"""SavedModels with the export's signatures whose answers follow from a formula, and servers.

The logits are a known linear function of an image's mean color, so that the expected answers do not
depend on the package. Servers are separate processes, as for users.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE = 6
LABELS = ("blue", "green", "red")
MOST_BYTES = 100_000
"""Largest size of an image file, which the graph itself asserts."""
SLOPES = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], np.float32) / 40
WAIT = 60
"""Time limit of everything here, seconds, on a busy machine."""


def logits_of(images: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """Returns logits (n, 3) of images (n, h, w, 3): a linear function of their mean colors."""
    return images.astype(np.float64).mean((1, 2)) @ SLOPES.T + shift * np.arange(3)


def probabilities_of(images: np.ndarray, shift: float = 0.0) -> np.ndarray:
    exponentials = np.exp(logits_of(images, shift))
    return exponentials / exponentials.sum(1, keepdims=True)


def ranked(images):
    """Returns labels and probabilities of images, best first."""
    shares = probabilities_of(images)
    order = (-shares).argsort(1)
    return np.array(LABELS)[order].tolist(), np.take_along_axis(shares, order, 1)


class ByColour(tf.Module):
    """A module with the export's three signatures; versions differ in `shift`."""

    def __init__(self, shift: float):
        super().__init__()
        self.shift = tf.Variable(shift * np.arange(3, dtype=np.float32))
        self.slopes = tf.constant(SLOPES)
        self.labels = tf.constant(LABELS)

    def logits(self, images):
        images = tf.ensure_shape(images, (None, SIZE, SIZE, 3))
        return tf.reduce_mean(images, (1, 2)) @ tf.transpose(self.slopes) + self.shift

    def decoded(self, texts):
        def one(text):
            length = tf.strings.length(text)
            words = [f"Expected an image of at most {MOST_BYTES} bytes. Received:", length]
            tf.debugging.Assert(length <= MOST_BYTES, words)
            image = tf.io.decode_image(text, channels=3, expand_animations=False)
            image = tf.image.resize(tf.ensure_shape(image, (None, None, 3)), (SIZE, SIZE))
            return tf.ensure_shape(image, (SIZE, SIZE, 3))

        return tf.map_fn(one, texts, fn_output_signature=tf.float32)

    def ranked(self, images):
        return tf.math.top_k(tf.nn.softmax(self.logits(images)), 3)

    @tf.function(input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32, "images")])
    def serve(self, images):
        logits = self.logits(images)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "image_bytes")])
    def predict_bytes(self, image_bytes):
        best = self.ranked(self.decoded(image_bytes))
        return {"labels": tf.gather(self.labels, best.indices), "probabilities": best.values}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "inputs")])
    def classify(self, inputs):
        feature = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
        best = self.ranked(self.decoded(tf.io.parse_example(inputs, feature)["image/encoded"]))
        return {"classes": tf.gather(self.labels, best.indices), "scores": best.values}


def write_version(base: pathlib.Path, version: int, shift: float = 0.0, warm_up=()) -> None:
    """Writes a version, which appears by a rename as in an export."""
    module = ByColour(shift)
    path = base / f".{version}"
    signatures = {
        "serving_default": module.serve,
        "predict_bytes": module.predict_bytes,
        "classify": module.classify,
    }
    tf.saved_model.save(module, str(path), signatures)
    name_classify(path)
    if warm_up:
        (path / "assets.extra").mkdir()
        with tf.io.TFRecordWriter(str(path / "assets.extra/tf_serving_warmup_requests")) as file:
            for log in warm_up:
                file.write(log.SerializeToString())
    path.rename(base / str(version))


def name_classify(path: pathlib.Path) -> None:
    """Sets TensorFlow Serving's method name of the signature `classify`."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    file = path / "saved_model.pb"
    saved = SavedModel.FromString(file.read_bytes())
    (graph,) = saved.meta_graphs
    graph.signature_def["classify"].method_name = "tensorflow/serving/classify"
    file.write_bytes(saved.SerializeToString())


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """Returns single-color images, uint8 (n, size, size, 3)."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 1, 1, 3), np.uint8)
    return np.broadcast_to(colours, (count, SIZE, SIZE, 3)).copy()


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def example(content: bytes) -> tf.train.Example:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
    return tf.train.Example(features=tf.train.Features(feature={"image/encoded": feature}))


class Server(NamedTuple):
    """Process of a server."""

    process: subprocess.Popen
    lines: list[str]
    errors: io.TextIOBase
    grpc: str
    rest: str

    def said(self, text: str) -> bool:
        """Returns whether it prints a line with that text within the time limit."""
        return becomes(lambda: any(text in line for line in self.lines))

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        return self.process.wait(WAIT), read_from_start(self.errors)

    def get(self, path: str):
        return asked(f"{self.rest}{path}")

    def post(self, path: str, body) -> tuple[int, dict]:
        return asked(f"{self.rest}{path}", body)


def quiet_environment() -> dict[str, str]:
    """Returns a user's environment, without the tests' own settings for TensorFlow's log."""
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return {**kept, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def serving(folder: pathlib.Path, *words: str):
    """Context manager: runs `darts-tf serve` on free ports; yields it when it answers."""
    command = [sys.executable, "-m", "darts_tf.cli", "serve", "--model", str(folder), "--port", "0"]
    with tempfile.TemporaryFile("w+") as errors:  # an unread pipe would fill up and block it
        process = subprocess.Popen(
            [*command, "--poll-seconds", "0.1", *words],
            env=quiet_environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
        reader.start()
        try:
            assert becomes(lambda: "Ctrl-C" in "".join(lines) or process.poll() is not None)
            assert process.poll() is None, read_from_start(errors)
            text = "".join(lines)
            grpc, rest = re.search(r"grpc://(\S+)", text)[1], re.search(r"http://[\w.:]+", text)[0]
            yield Server(process, lines, errors, grpc, rest)
        finally:
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()


def read_from_start(file) -> str:
    file.seek(0)
    return file.read()


def becomes(condition) -> bool:
    end = threading.Event()
    for _ in range(WAIT * 50):
        if condition():
            return True
        end.wait(0.02)
    return False


def asked(url: str | urllib.request.Request, body=None) -> tuple[int, dict]:
    """Sends a request; returns status and parsed JSON. A body that is not bytes is sent as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(url, body, timeout=WAIT) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
