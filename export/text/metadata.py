"""TFLite metadata of a language model, with its vocabulary inside the file."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from darts_tf.export import folder
from darts_tf.export.text.words import Words
from darts_tf.export.tflite.metadata import (
    AXIS_LABELS,
    FEATURE,
    PARSER,
    Table,
    content,
    with_table_and_files,
)

VOCABULARY = np.int8(5)  # AssociatedFileType

_WORDS = {"name": folder.VOCABULARY, "description": "Words, one per line, in order of tokens."}
_FILES = {"tokens": VOCABULARY, "logits": AXIS_LABELS}
_DESCRIPTIONS = {
    "tokens": "One word: its line in the vocabulary, from 0.",
    "state": "State of the model: zeros at the beginning, then the last output of the same name.",
    "logits": "One per word; their softmax is the probabilities of the next word.",
}


def with_metadata(model: bytes, words: Words) -> bytes:
    """Returns a TFLite model with metadata, vocabulary and splitting rule inside the file.

    Args:
        model: TFLite file whose inputs and outputs are `tokens`, `state` and `logits`.
        words: vocabulary and splitting rule of the model.
    """
    return with_table_and_files(model, _metadata(model), words.descriptions())


def _metadata(model: bytes) -> Table:
    parts = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (graph,), (signature,) = parts.subgraphs, parts.signatureDefs
    tensors = {
        "input_tensor_metadata": _in_order(graph.inputs, signature.inputs),
        "output_tensor_metadata": _in_order(graph.outputs, signature.outputs),
    }
    tables = {key: [_tensor(name) for name in names] for key, names in tensors.items()}
    text = {"name": folder.TEXT, "description": "Rule that splits a text into words."}
    fields = {
        "name": "DARTS language model",
        "description": "Predicts the next word, one word at a time.",
        "subgraph_metadata": [Table("SubGraphMetadata", tables)],
        "associated_files": [Table("AssociatedFile", text)],
        "min_parser_version": PARSER,
    }
    return Table("ModelMetadata", fields)


def _in_order(tensors, named: list[schema.TensorMapT]) -> list[str]:
    """Returns the signature's names in the order of the graph's tensors."""
    names = {entry.tensorIndex: entry.name.decode() for entry in named}
    return [names[index] for index in tensors]


def _tensor(name: str) -> Table:
    values = {
        "name": name,
        "description": _DESCRIPTIONS[name],
        "content": content(FEATURE, Table("FeatureProperties", {})),
    }
    if name in _FILES:
        file = Table("AssociatedFile", {**_WORDS, "type": _FILES[name]})
        values["associated_files"] = [file]
    return Table("TensorMetadata", values)
