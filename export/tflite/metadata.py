"""TFLite metadata: labels and preprocessing inside the file, in the form that common tools read.

A table beside the graph describes inputs and outputs. The files that it names are appended to the
model as a zip archive: `unzip` lists them, and the interpreter ignores them. The table is a
flatbuffer of TensorFlow Lite's public `metadata_schema.fbs`, version 1.
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.export import folder
from darts_tf.export.tflite.quantization import LARGEST, edit

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
PARSER = "1.0.0"
"""Earliest version of a metadata parser that reads all fields written here."""

FIELDS = {
    "ModelMetadata": (
        *("name", "description", "version", "subgraph_metadata", "author", "license"),
        *("associated_files", "min_parser_version"),
    ),
    "SubGraphMetadata": (
        *("name", "description", "input_tensor_metadata", "output_tensor_metadata"),
        *("associated_files",),
    ),
    "TensorMetadata": (
        *("name", "description", "dimension_names", "content", "process_units", "stats"),
        *("associated_files",),
    ),
    "AssociatedFile": ("name", "description", "type"),
    "Content": ("content_properties_type", "content_properties"),
    "FeatureProperties": (),
    "ImageProperties": ("color_space", "default_size"),
    "ImageSize": ("width", "height"),
    "ProcessUnit": ("options_type", "options"),
    "NormalizationOptions": ("mean", "std"),
    "Stats": ("max", "min"),
}
"""Fields of the schema's tables in the schema's order, up to the last one used."""

FEATURE, IMAGE = np.uint8(1), np.uint8(2)  # ContentProperties
NORMALIZATION = np.uint8(1)  # ProcessUnitOptions
COLOR_SPACE = {3: np.int8(1), 1: np.int8(2)}  # ColorSpaceType: RGB, GRAYSCALE
AXIS_LABELS = np.int8(2)  # AssociatedFileType


class Table(NamedTuple):
    """A table of the schema.

    Attributes:
        kind: a key of `FIELDS`.
        values: values by field name: strings, NumPy numbers, tables, or lists of tables or of
            floats.
    """

    kind: str
    values: dict


def with_metadata(model: bytes, preprocessing: Preprocessing, classes: Sequence[str]) -> bytes:
    """Returns a TFLite model with metadata, labels and preprocessing inside the file.

    Args:
        model: TFLite file from raw images to logits.
        preprocessing: describes how an image file becomes the model's input.
        classes: labels in the order of the logits.
    """
    files = folder.descriptions(preprocessing, classes)
    return with_table_and_files(model, _metadata(preprocessing), files)


def with_table_and_files(model: bytes, metadata: Table, texts: Mapping[str, str]) -> bytes:
    """Returns a TFLite model with a metadata table, and text files by name in a zip archive."""
    contents = _flatbuffer(metadata)
    file = io.BytesIO(edit(model, functools.partial(_attach, contents=contents)))
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:  # phones read it in place
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # without today's date
    return file.getvalue()


def _attach(model: schema.ModelT, contents: bytes) -> None:
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(contents, np.uint8)
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]


def _metadata(preprocessing: Preprocessing) -> Table:
    colors = "RGB" if preprocessing.channels == 3 else "grayscale"
    size = {"width": np.uint32(preprocessing.width), "height": np.uint32(preprocessing.height)}
    image = {
        "color_space": COLOR_SPACE[preprocessing.channels],
        "default_size": Table("ImageSize", size),
    }
    # The graph subtracts the mean and divides by the deviation, so readers must not.
    normalization = Table("NormalizationOptions", {"mean": [0.0], "std": [1.0]})
    unit = {"options_type": NORMALIZATION, "options": normalization}
    images = {
        "name": "images",
        "description": f"One {colors} image, raw values 0 to {LARGEST}.",
        "content": content(IMAGE, Table("ImageProperties", image)),
        "process_units": [Table("ProcessUnit", unit)],
        "stats": Table("Stats", {"max": [float(LARGEST)], "min": [0.0]}),
    }
    labels = {"name": folder.LABELS, "description": "Classes, one per line.", "type": AXIS_LABELS}
    logits = {
        "name": "logits",
        "description": "One per class; their softmax is the classes' probabilities.",
        "content": content(FEATURE, Table("FeatureProperties", {})),
        "associated_files": [Table("AssociatedFile", labels)],
    }
    graph = {
        "input_tensor_metadata": [Table("TensorMetadata", images)],
        "output_tensor_metadata": [Table("TensorMetadata", logits)],
    }
    resizing = {
        "name": folder.PREPROCESSING,
        "description": "How an image file becomes the input; mean and std are in the graph.",
    }
    model = {
        "name": "DARTS image classifier",
        "description": "Classifies an image into the classes of its labels.",
        "subgraph_metadata": [Table("SubGraphMetadata", graph)],
        "associated_files": [Table("AssociatedFile", resizing)],
        "min_parser_version": PARSER,
    }
    return Table("ModelMetadata", model)


def content(kind: np.uint8, properties: Table) -> Table:
    """Returns a table of a tensor's kind of content, such as `FEATURE`, and its properties."""
    values = {"content_properties_type": kind, "content_properties": properties}
    return Table("Content", values)


def _flatbuffer(table: Table) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(_written(builder, table), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


_PREPEND = {
    np.int8: "PrependInt8Slot",
    np.uint8: "PrependUint8Slot",
    np.uint32: "PrependUint32Slot",
}


def _written(builder: flatbuffers.Builder, value) -> int:
    """Writes a string, list or table, after all that it refers to; returns its offset."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list):
        return _written_list(builder, value)
    fields, numbers = FIELDS[value.kind], tuple(_PREPEND)
    parts = {
        name: part if isinstance(part, numbers) else _written(builder, part)
        for name, part in value.values.items()
    }
    builder.StartObject(len(fields))
    for name, part in parts.items():
        prepend = _PREPEND.get(type(part), "PrependUOffsetTRelativeSlot")
        getattr(builder, prepend)(fields.index(name), part, 0)
    return builder.EndObject()


def _written_list(builder: flatbuffers.Builder, values: list) -> int:
    if isinstance(values[0], float):
        return builder.CreateNumpyVector(np.array(values, np.float32))
    offsets = [_written(builder, value) for value in values]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
