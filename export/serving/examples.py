"""Conversion of Classify requests and results, in gRPC and in JSON."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.classification_pb2 import ClassificationResult
from tensorflow_serving.apis.input_pb2 import Input

from darts_tf.export.serving.errors import invalid
from darts_tf.export.serving.json_tensors import as_bytes

INT64 = range(-(2**63), 2**63)
LARGEST = float(np.finfo(np.float32).max)


def serialized(sent: Input) -> np.ndarray:
    """Returns the examples of a request, string (n,), merged with the context if there is one."""
    kind = sent.WhichOneof("kind")
    if kind == "example_list":
        examples = list(sent.example_list.examples)
    elif kind == "example_list_with_context":
        context = sent.example_list_with_context.context
        examples = [_merged(context, e) for e in sent.example_list_with_context.examples]
    else:
        examples = []
    if not examples:
        raise invalid("Expected one example or more. Received: none")
    return np.array([example.SerializeToString() for example in examples], object)


def result(outputs: Mapping[str, np.ndarray]) -> ClassificationResult:
    """Converts the outputs `classes` and `scores`, each (n, classes), to a result message."""
    classified = ClassificationResult()
    shape = next(iter(outputs.values())).shape
    labels = outputs.get("classes", np.full(shape, b"", object))
    scores = outputs.get("scores", np.zeros(shape, np.float32))
    for row in zip(labels.tolist(), scores.tolist(), strict=True):
        classes = classified.classifications.add().classes
        for label, score in zip(*row, strict=True):
            classes.add(label=label.decode("utf-8", "replace"), score=score)
    return classified


def from_json(body: Mapping) -> Input:
    """Parses the examples of a JSON request, a list of objects of features.

    Raises:
        RequestError: the request has another form.
    """
    listed = body.get("examples")
    if not isinstance(listed, list) or not listed:
        raise invalid("Expected 'examples', a list of one object or more. Received: something else")
    examples = [_example(values) for values in listed]
    if "context" not in body:
        return Input(example_list={"examples": examples})
    context = _example(body["context"])
    return Input(example_list_with_context={"context": context, "examples": examples})


def _merged(context: tf.train.Example, example: tf.train.Example) -> tf.train.Example:
    whole = tf.train.Example()
    whole.CopyFrom(context)
    whole.MergeFrom(example)
    return whole


def _example(values) -> tf.train.Example:
    if not isinstance(values, dict):
        raise invalid("Expected an example to be an object of features. Received: something else")
    return tf.train.Example(
        features=tf.train.Features(feature={k: _feature(k, v) for k, v in values.items()})
    )


def _feature(name: str, values) -> tf.train.Feature:
    values = values if isinstance(values, list) else [values]
    kinds = set(map(type, values))
    if kinds and kinds <= {str, dict}:
        texts = [as_bytes(value, name) for value in values]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
    if kinds <= {int, bool} and all(value in INT64 for value in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=map(int, values)))
    if kinds == {float} and all(not abs(v) > LARGEST or abs(v) == float("inf") for v in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    raise invalid(
        f"Expected feature {name!r} to be numbers, texts or b64. Received: something else"
    )
