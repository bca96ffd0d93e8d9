"""What is answered to requests, whichever way they came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from darts_tf.export.serving import examples
from darts_tf.export.serving.batching import Arrays, Batches
from darts_tf.export.serving.errors import RequestError, invalid
from darts_tf.export.serving.models import Model
from darts_tf.export.serving.servable import CLASSIFY, Signature
from google.protobuf.any_pb2 import Any
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2 as status_pb2
from tensorflow_serving.apis.classification_pb2 import ClassificationResult
from tensorflow_serving.apis.input_pb2 import Input
from tensorflow_serving.apis.model_pb2 import ModelSpec

SIGNATURES = "signature_def"
"""The only metadata there are."""

FAILED = 2
"""The error code, UNKNOWN, of a version that could not be loaded."""


class Answer(NamedTuple):
    """What a model made of a request, and which."""

    spec: ModelSpec
    signature: Signature
    outputs: Mapping[str, np.ndarray]


class Answers:
    """Everything that can be asked of the models.

    Args:
        models: by name.
        batches: what runs them.
        limit: bytes of an input at most.

    All methods raise `RequestError`.
    """

    def __init__(self, models: Mapping[str, Model], batches: Batches, limit: int):
        self.models = models
        self.batches = batches
        self.limit = limit

    async def predict(
        self, spec: ModelSpec, read: Callable[[Signature], Arrays], within: float
    ) -> Answer:
        """Runs a signature on what `read` makes of a request once the signature is known.

        Args:
            spec: model, version and signature.
            read: gives the signature's inputs.
            within: seconds.
        """
        with self._model(spec).used(_version(spec)) as servable:
            signature = servable.signature(spec.signature_name)
            outputs = await self.batches.run(signature, read(signature), self.limit, within)
            answered = ModelSpec(name=spec.name, signature_name=signature.name)
            answered.version.value = servable.version
            return Answer(answered, signature, outputs)

    async def classify(
        self, spec: ModelSpec, sent: Input, within: float
    ) -> tuple[ModelSpec, ClassificationResult]:
        """Classes and scores of examples."""

        def read(signature: Signature) -> Arrays:
            if signature.method != CLASSIFY or set(signature.inputs) != {"inputs"}:
                raise invalid(
                    f"Expected classification signature method_name to be {CLASSIFY}. "
                    f"Was: {signature.method}"
                )
            return {"inputs": examples.serialized(sent)}

        answer = await self.predict(spec, read, within)
        return answer.spec, examples.result(answer.outputs)

    def metadata(self, spec: ModelSpec, fields: list[str]) -> metadata_pb2.GetModelMetadataResponse:
        """The signatures of a model."""
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
        """How far the versions of a model are, the newest first."""
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
