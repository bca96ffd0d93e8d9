"""A loaded version of a model: its signatures, and the count of requests that use it."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from darts_tf.export.serving import folders
from darts_tf.export.serving.errors import invalid
from darts_tf.export.serving.tensors import Size, Spec

DEFAULT = "serving_default"
CLASSIFY = "tensorflow/serving/classify"
INITIALIZER = "__saved_model_init_op"
TAG = "serve"


class Signature:
    """A function of a model that clients can call.

    Attributes:
        name: name that clients use.
        method: `tensorflow/serving/predict` or `/classify`.
        inputs, outputs: specs of the tensors by name.
        is_batch: whether rows of several requests may be run together.
    """

    def __init__(self, name: str, definition: SignatureDef, function):
        self.name = name
        self.method = definition.method_name
        self.inputs = {key: Spec.of(info) for key, info in sorted(definition.inputs.items())}
        self.outputs = {key: Spec.of(info) for key, info in sorted(definition.outputs.items())}
        self.is_batch = all(s.is_batch for s in (*self.inputs.values(), *self.outputs.values()))
        self._function = function

    def rows(self, arrays: Mapping[str, np.ndarray], limit: int) -> int:
        """Returns the number of rows of the arrays; 1 if the signature has no batch axis.

        Raises:
            RequestError: the arrays have other names or shapes, more than `limit` bytes, or no
                rows.
        """
        if set(arrays) != set(self.inputs):
            raise invalid(
                f"Expected inputs {', '.join(self.inputs)}. Received: {', '.join(arrays) or 'none'}"
            )
        for name, spec in self.inputs.items():
            spec.check(name, arrays[name].shape, limit)
        if not self.is_batch:
            return 1
        sizes = {len(array) for array in arrays.values()}
        if len(sizes) > 1 or not min(sizes):
            raise invalid(
                "Expected inputs with the same number of rows, at least 1. "
                f"Received: {', '.join(map(str, sorted(sizes)))}"
            )
        return sizes.pop()

    def most(self, rows: int, limit: int) -> Size:
        """Returns the largest size of a Predict request's inputs in JSON.

        Args:
            rows: largest number of rows.
            limit: largest size of an input, bytes.
        """
        rows = rows if self.is_batch else limit
        return sum((spec.most(rows, limit) for spec in self.inputs.values()), Size(0, 0))

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs the function on arrays that `rows` has checked."""
        tensors = {
            name: tf.constant(array, self.inputs[name].dtype) for name, array in arrays.items()
        }
        return {name: tensor.numpy() for name, tensor in self._function(**tensors).items()}


class Servable:
    """A version of a model, ready to run."""

    def __init__(self, version: int, definitions: Mapping[str, SignatureDef], loaded):
        self.version = version
        self.definitions = definitions
        self.signatures = {
            name: Signature(name, definition, loaded.signatures[name])
            for name, definition in definitions.items()
        }
        self._loaded = loaded  # keeps its variables alive, which the functions do not
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    def signature(self, name: str) -> Signature:
        """Returns the signature of that name, or the default one for an empty name."""
        if (name or DEFAULT) not in self.signatures:
            raise invalid(
                f"Serving signature key {(name or DEFAULT)!r} not found. "
                f"Expected one of {', '.join(sorted(self.signatures))}"
            )
        return self.signatures[name or DEFAULT]

    @contextlib.contextmanager
    def used(self) -> Iterator[Servable]:
        """Context manager: counts a request that uses the version, so that it is not unloaded."""
        self._users += 1
        self._unused.clear()
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def unused(self) -> None:
        """Waits until no request uses the version."""
        await self._unused.wait()


def load(path: pathlib.Path, version: int) -> Servable:
    """Loads a SavedModel with TensorFlow only.

    Raises:
        ValueError, OSError, tf.errors.OpError, google.protobuf.message.DecodeError: it is damaged.
    """
    saved = SavedModel.FromString((path / folders.SAVED_MODEL).read_bytes())
    graphs = [graph for graph in saved.meta_graphs if TAG in graph.meta_info_def.tags]
    if not graphs:
        raise ValueError(f"no graph with the tag {TAG!r}")
    definitions = {
        name: definition
        for name, definition in graphs[0].signature_def.items()
        if name != INITIALIZER
    }
    return Servable(version, definitions, tf.saved_model.load(str(path), tags=[TAG]))
