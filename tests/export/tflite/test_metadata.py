"""Labels and preprocessing inside TFLite files, read back by the schema's numbers."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from export_fixtures import preprocessing_of
from flatbuffers.number_types import Float32Flags, Int8Flags, Uint8Flags, Uint32Flags
from flatbuffers.table import Table

from darts_tf.export.tflite.metadata import with_metadata

LABELS = ("sans\u2028fin", "über, ein: Name", "c")


@pytest.fixture(scope="module")
def plain():
    """A TFLite model without metadata that adds one to an image."""

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 6, 3), tf.float32, name="images")])
    def add_one(images):
        return {"logits": images[0, 0] + 1}

    functions = [add_one.get_concrete_function()]
    return tf.lite.TFLiteConverter.from_concrete_functions(functions, tf.Module()).convert()


@pytest.fixture(scope="module")
def model(plain):
    """The plain model with metadata of color images."""
    return with_metadata(plain, preprocessing_of(4, 6, 3), LABELS)


class Reader:
    """A flatbuffer's table, whose fields are read by their position in the schema."""

    def __init__(self, contents, place):
        self.table = Table(contents, place)

    def _at(self, slot):
        offset = self.table.Offset(4 + 2 * slot)
        assert offset, f"field {slot} is not there"
        return offset + self.table.Pos

    def number(self, slot, flags):
        return self.table.Get(flags, self._at(slot))

    def text(self, slot):
        return self.table.String(self._at(slot)).decode()

    def part(self, slot):
        return Reader(self.table.Bytes, self.table.Indirect(self._at(slot)))

    def parts(self, slot):
        places = self._vector(slot, 4)
        return [Reader(self.table.Bytes, self.table.Indirect(place)) for place in places]

    def floats(self, slot):
        return [self.table.Get(Float32Flags, place) for place in self._vector(slot, 4)]

    def _vector(self, slot, size):
        offset = self._at(slot) - self.table.Pos
        first, length = self.table.Vector(offset), self.table.VectorLen(offset)
        return range(first, first + size * length, size)


def metadata_of(model):
    parts = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (entry,) = [entry for entry in parts.metadata if entry.name == b"TFLITE_METADATA"]
    contents = bytearray(parts.buffers[entry.buffer].data)
    assert contents[4:8] == b"M001"
    return Reader(contents, flatbuffers.encode.Get(flatbuffers.packer.uoffset, contents, 0))


def test_metadata_tells_what_goes_in(model):
    metadata = metadata_of(model)
    assert metadata.text(7) == "1.0.0"
    (graph,) = metadata.parts(3)
    (images,) = graph.parts(2)
    assert images.text(0) == "images"
    content = images.part(3)
    assert content.number(0, Uint8Flags) == 2  # ImageProperties
    assert content.part(1).number(0, Int8Flags) == 1  # RGB
    size = content.part(1).part(1)
    assert (size.number(0, Uint32Flags), size.number(1, Uint32Flags)) == (6, 4)
    assert (images.part(5).floats(0), images.part(5).floats(1)) == ([255], [0])


def test_metadata_asks_for_no_normalization_as_it_is_in_the_graph(model):
    (graph,) = metadata_of(model).parts(3)
    (unit,) = graph.parts(2)[0].parts(4)
    assert unit.number(0, Uint8Flags) == 1  # NormalizationOptions
    assert (unit.part(1).floats(0), unit.part(1).floats(1)) == ([0], [1])


def test_metadata_gives_logits_their_labels(model):
    metadata = metadata_of(model)
    (graph,) = metadata.parts(3)
    (logits,) = graph.parts(3)
    (labels,) = logits.parts(6)
    assert (logits.text(0), labels.text(0)) == ("logits", "labels.txt")
    assert labels.number(2, Int8Flags) == 2  # TENSOR_AXIS_LABELS
    assert [file.text(0) for file in metadata.parts(6)] == ["preprocessing.json"]


def test_gray_images_are_called_so(plain):
    (graph,) = metadata_of(with_metadata(plain, preprocessing_of(4, 6, 1), LABELS)).parts(3)
    assert graph.parts(2)[0].part(3).part(1).number(0, Int8Flags) == 2  # GRAYSCALE


def test_files_are_unpacked_as_from_any_archive(model, tmp_path):
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        assert archive.testzip() is None
        stored = [info.compress_type for info in archive.infolist()]
        assert stored == [zipfile.ZIP_STORED] * 2
        assert archive.read("labels.txt").decode() == "".join(f"{label}\n" for label in LABELS)
        said = json.loads(archive.read("preprocessing.json"))
    assert said == preprocessing_of(4, 6, 3).to_dict()
    (tmp_path / "model.tflite").write_bytes(model)
    command = [sys.executable, "-m", "zipfile", "-l", "model.tflite"]
    listed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [
        "labels.txt",
        "preprocessing.json",
    ]


def test_model_computes_as_without_metadata(plain, model):
    image = np.random.default_rng(0).normal(size=(1, 4, 6, 3)).astype(np.float32)
    results = [
        Interpreter(model_content=contents).get_signature_runner()(images=image)["logits"]
        for contents in (plain, model)
    ]
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0], image[0, 0] + 1)


def test_same_model_is_the_same_bytes(plain, model):
    assert with_metadata(plain, preprocessing_of(4, 6, 3), LABELS) == model
