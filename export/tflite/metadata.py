"""TFLite's metadata: labels and preprocessing inside the file, as common tools read them.

A table beside the graph says what goes in and comes out, and the files that it names lie behind
the model as a zip archive, so that `unzip` lists them and the interpreter does not see them.
The table is a flatbuffer by TensorFlow Lite's public `metadata_schema.fbs`, version 1.
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
from darts_tf.export import folder
from darts_tf.export.tflite.quantization import LARGEST, edited

from darts_tf.data.preprocessing import Preprocessing

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
PARSER = "1.0.0"
"""The earliest version of a reader that knows all that is written here."""

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
"""Fields of the schema's tables in its order, as far as they are used."""

FEATURE, IMAGE = np.uint8(1), np.uint8(2)  # ContentProperties
NORMALIZATION = np.uint8(1)  # ProcessUnitOptions
COLOR_SPACE = {3: np.int8(1), 1: np.int8(2)}  # ColorSpaceType: RGB, GRAYSCALE
AXIS_LABELS = np.int8(2)  # AssociatedFileType


class Table(NamedTuple):
    """A table of the schema.

    Attributes:
        kind: a key of `FIELDS`.
        values: of fields by their names: strings, numbers of NumPy, tables, or lists of tables or
            of floats.
    """

    kind: str
    values: dict


def described(model: bytes, preprocessing: Preprocessing, classes: Sequence[str]) -> bytes:
    """A TFLite model with metadata and with the files that it names.

    Args:
        model: takes raw images and gives logits.
        preprocessing: the part of it that is not in the graph.
        classes: labels in the order of the logits.
    """
    return packed(model, _metadata(preprocessing), folder.descriptions(preprocessing, classes))


def packed(model: bytes, metadata: Table, texts: Mapping[str, str]) -> bytes:
    """A TFLite model with a table beside its graph, and texts behind it, by their files' names."""
    contents = _flatbuffer(metadata)
    file = io.BytesIO(edited(model, functools.partial(_attach, contents=contents)))
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
    colours = "RGB" if preprocessing.channels == 3 else "gray"
    size = {"width": np.uint32(preprocessing.width), "height": np.uint32(preprocessing.height)}
    image = {
        "color_space": COLOR_SPACE[preprocessing.channels],
        "default_size": Table("ImageSize", size),
    }
    # Mean and deviation of the training set are in the graph: nothing is left to be done.
    normalization = Table("NormalizationOptions", {"mean": [0.0], "std": [1.0]})
    unit = {"options_type": NORMALIZATION, "options": normalization}
    images = {
        "name": "images",
        "description": f"One {colours} image, raw values 0 to {LARGEST}.",
        "content": content(IMAGE, Table("ImageProperties", image)),
        "process_units": [Table("ProcessUnit", unit)],
        "stats": Table("Stats", {"max": [float(LARGEST)], "min": [0.0]}),
    }
    labels = {"name": folder.LABELS, "description": "Classes, one a line.", "type": AXIS_LABELS}
    logits = {
        "name": "logits",
        "description": "One a class; their softmax is the classes' probabilities.",
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
        "description": "Says what an image shows, among the classes of its labels.",
        "subgraph_metadata": [Table("SubGraphMetadata", graph)],
        "associated_files": [Table("AssociatedFile", resizing)],
        "min_parser_version": PARSER,
    }
    return Table("ModelMetadata", model)


def content(kind: np.uint8, properties: Table) -> Table:
    """What a tensor holds, such as `FEATURE` with its properties."""
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
    """Writes what is no number, after all that it refers to; returns its offset."""
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
