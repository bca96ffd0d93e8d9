"""Answers to requests, independent of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from google.protobuf.any_pb2 import Any
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2 as status_pb2
from tensorflow_serving.apis.classification_pb2 import ClassificationResult
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.model_pb2 import ModelSpec

from darts_tf.export.serving import examples
from darts_tf.export.serving.batching import Arrays, Batches
from darts_tf.export.serving.errors import RequestError, invalid
from darts_tf.export.serving.models import Model
from darts_tf.export.serving.servable import CLASSIFY, Signature
from darts_tf.export.serving.tensors import Size

SIGNATURES = "signature_def"
"""Name of the only metadata field."""

FAILED = 2
"""Error code, UNKNOWN, of a version that could not be loaded."""

EXAMPLE_VALUES = 10_000
"""Largest number of values that an example of a Classify request in JSON may have."""

READERS = 4
"""Number of threads that parse requests and write answers."""
SMALL = 2**14
"""Size of requests and answers that take less time than a change of threads, bytes."""


class Answer(NamedTuple):
    """Outputs of a model for a request, with the model's version and signature."""

    spec: ModelSpec
    signature: Signature
    outputs: Mapping[str, np.ndarray]


class Answers:
    """Answers to all kinds of requests.

    Args:
        models: models by name.
        batches: gathers requests and runs them.
        limit: largest size of an input, bytes.

    All methods raise `RequestError`.
    """

    def __init__(self, models: Mapping[str, Model], batches: Batches, limit: int):
        self.models = models
        self.batches = batches
        self.limit = limit
        self._readers = ThreadPoolExecutor(READERS, "read")

    async def in_thread(self, size: int, function: Callable, *arguments):
        """Runs a function in a thread, as others are served too; at once if its data are small.

        Args:
            size: number of bytes that it reads or writes, roughly.
            function: function to run.
            *arguments: its arguments.
        """
        if size <= SMALL:
            return function(*arguments)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, function, *arguments)

    def close(self) -> None:
        """Ends all threads once all requests are done."""
        self.batches.close()
        self._readers.shutdown()

    def most(self, spec: ModelSpec) -> Size:
        """Returns the largest size in JSON of the inputs of a Predict request to a model."""
        with self._model(spec).used(_version(spec)) as servable:
            sizes = [s.most(self.batches.largest, self.limit) for s in servable.signatures.values()]
            return Size(max(s.values for s in sizes), max(s.lists for s in sizes))

    async def predict(
        self, spec: ModelSpec, read: Callable[[Signature], Arrays], size: int, within: float
    ) -> Answer:
        """Runs a signature on the inputs of a request.

        Args:
            spec: model, version and signature.
            read: parses the request's inputs, given the signature; may be called in a thread.
            size: size of the request, bytes.
            within: time limit, seconds.
        """
        with self._model(spec).used(_version(spec)) as servable:
            signature = servable.signature(spec.signature_name)
            arrays = await self.in_thread(size, read, signature)
            outputs = await self.batches.run(signature, arrays, self.limit, within)
            resolved = ModelSpec(name=spec.name, signature_name=signature.name)
            resolved.version.value = servable.version
            return Answer(resolved, signature, outputs)

    def most_examples(self, spec: ModelSpec) -> Size:
        """Returns the largest size in JSON of the examples of a Classify request to a model."""
        with self._model(spec).used(_version(spec)):
            most = (self.batches.largest + 1) * EXAMPLE_VALUES  # one is the context of all others
            return Size(most, most)

    async def classify(
        self, spec: ModelSpec, sent: Input, within: float
    ) -> tuple[ModelSpec, ClassificationResult]:
        """Returns classes and scores of examples."""

        def read(signature: Signature) -> Arrays:
            if signature.method != CLASSIFY or set(signature.inputs) != {"inputs"}:
                raise invalid(
                    f"Expected classification signature method_name to be {CLASSIFY}. "
                    f"Was: {signature.method}"
                )
            return {"inputs": examples.serialized(sent)}

        answer = await self.predict(spec, read, sent.ByteSize(), within)
        return answer.spec, examples.result(answer.outputs)

    def metadata(self, spec: ModelSpec, fields: list[str]) -> metadata_pb2.GetModelMetadataResponse:
        """Returns the signatures of a model."""
        if not fields or set(fields) != {SIGNATURES}:
            raise invalid(f"Expected metadata_field {SIGNATURES}. Received: {', '.join(fields)}")
        with self._model(spec).used(_version(spec)) as servable:
            signatures = metadata_pb2.SignatureDefMap()
            for name, definition in servable.definitions.items():
                signatures.signature_def[name].CopyFrom(definition)
            answer = metadata_pb2.GetModelMetadataResponse()
            answer.model_spec.name = spec.name
            answer.model_spec.version.value = servable.version
            packed = Any()
            packed.Pack(signatures)
            answer.metadata[SIGNATURES].CopyFrom(packed)
            return answer

    def status(self, spec: ModelSpec) -> status_pb2.GetModelStatusResponse:
        """Returns the states of a model's versions, the newest first."""
        model, wanted = self._model(spec), _version(spec)
        answer = status_pb2.GetModelStatusResponse()
        for version, status in sorted(model.statuses.items(), reverse=True):
            if wanted in (None, version):
                state = status_pb2.ModelVersionStatus.State.Value(status.state)
                entry = answer.model_version_status.add(version=version, state=state)
                entry.status.error_code = FAILED if status.error else 0
                entry.status.error_message = status.error
        if not answer.model_version_status:
            which = "any versions" if wanted is None else f"version {wanted}"
            raise RequestError("NOT_FOUND", f"Could not find {which} of model {spec.name}")
        return answer

    def _model(self, spec: ModelSpec) -> Model:
        if not spec.name:
            raise invalid("Missing ModelSpec")
        if spec.name not in self.models:
            raise RequestError("NOT_FOUND", f"Servable not found for request: Latest({spec.name})")
        return self.models[spec.name]


def _version(spec: ModelSpec) -> int | None:
    if spec.version_label:
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return spec.version.value if spec.HasField("version") else None
