"""Loading of runs, exports and single models."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from export_fixtures import TFLITE, drawn_images, preprocessing_of, probabilities_of, small_network

from darts_tf import export
from darts_tf.export.folder import describe, read_labels

# Keras' own writing of models, on NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

VERSION = "out/saved_model/model/1"
PLACES = (
    *("run", "run/model.keras", "out", "out/saved_model", "out/saved_model/model", VERSION),
    TFLITE,
)
"""Paths of all kinds that `load` accepts."""


@pytest.mark.parametrize("place", PLACES)
def test_load_gives_the_networks_probabilities(models, digits, place):
    folder, network = models
    model = export.load(folder / place)
    assert model.classes == digits.classes
    assert model.preprocessing == digits.preprocessing
    for count in (1, 18):
        images = digits.test.images[:count]
        actual = model.probabilities(images)
        expected = probabilities_of(network, digits.preprocessing, images)
        np.testing.assert_allclose(actual, expected, atol=1e-5)
        assert actual.dtype == np.float32


def test_saved_model_explains_itself_wherever_it_is(models, digits, tmp_path):
    shutil.copytree(models[0] / VERSION, tmp_path / "moved")
    model = export.load(tmp_path / "moved")
    assert (model.classes, model.preprocessing) == (digits.classes, digits.preprocessing)


def test_load_reads_a_network_with_an_auxiliary_head(models, tmp_path):
    shutil.copy(models[0] / "run" / "dataset.json", tmp_path)
    network = small_network("DARTS_V1", auxiliary=True)
    network.save(tmp_path / "model.keras")
    images = drawn_images(preprocessing_of())
    logits = network(export.load(tmp_path).preprocessing.normalize(images))["logits"]
    np.testing.assert_allclose(export.load(tmp_path).logits(images), logits, atol=1e-6)


def test_labels_keep_all_their_characters(tmp_path):
    labels = ("sans\u2028fin", " é\x0b", "a, b: c", "\r")
    describe(tmp_path, preprocessing_of(), labels)
    assert read_labels((tmp_path / "labels.txt").read_bytes()) == labels


def test_labels_inside_a_tflite_file_come_before_those_beside_it(models, tmp_path):
    """While an export is replaced, old labels lie beside a new model for a moment."""
    path = shutil.copy(models[0] / TFLITE, tmp_path)
    describe(tmp_path, preprocessing_of(), tuple(f"beside {i}" for i in range(10)))
    assert export.load(path).classes == export.load(models[0] / "run").classes


def test_load_takes_the_newest_version_that_is_whole(models, tmp_path):
    copy = shutil.copytree(models[0] / "out" / "saved_model", tmp_path / "saved_model")
    for version, label in (("9", "older"), ("10", "newer")):
        shutil.copytree(copy / "model" / "1", copy / "model" / version)
        describe(copy / "model" / version / "assets", preprocessing_of(), (label,) * 10)
    (copy / "model" / "11").mkdir()
    (copy / "model" / "100.tmp").mkdir()
    for place in (tmp_path, copy, copy / "model"):
        assert export.load(place).classes[0] == "newer"
    assert export.load(copy / "model" / "9").classes[0] == "older"
    shutil.copytree(copy / "model", copy / "other")
    with pytest.raises(ValueError, match="folder of one model, .* with model, other"):
        export.load(tmp_path)
    assert export.load(copy / "other").classes[0] == "newer"


@pytest.mark.parametrize("name", ["labels.txt", "preprocessing.json"])
def test_load_names_a_description_that_is_broken(models, tmp_path, name):
    copy = shutil.copytree(models[0] / VERSION, tmp_path / "1")
    (copy / "assets" / name).write_bytes(b"\xff{")
    with pytest.raises(ValueError, match=r"labels.txt and preprocessing.json of an export"):
        export.load(copy)


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 8, 9, 1), (1, 8, 8, 3), (0, 8, 8, 1)], ids=lambda shape: str(shape)
)
def test_probabilities_refuses_images_of_another_shape(models, shape):
    model = export.load(models[0] / TFLITE)
    with pytest.raises(ValueError, match=r"Expected images uint8 \(n, 8, 8, 1\)"):
        model.probabilities(np.zeros(shape, np.uint8))


def test_probabilities_refuses_labels_of_another_model(models, tmp_path):
    for name in ("run/model.keras", "out/preprocessing.json"):
        shutil.copy(models[0] / name, tmp_path)
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match="as many labels as .* logits, 10. Received: 2 labels"):
        export.load(tmp_path / "model.keras").probabilities(np.zeros((1, 8, 8, 1), np.uint8))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nothing", "which is not there"),
        ("0.png", "which is another file"),
        ("run/checkpoints", "which has no model"),
    ],
)
def test_load_says_what_is_not_a_model(models, place, message):
    (models[0] / "run" / "checkpoints").mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=f"Expected the folder of .*{place}.*{message}"):
        export.load(models[0] / place)


def test_load_asks_for_labels_that_are_missing(models, tmp_path):
    shutil.copy(models[0] / "run" / "model.keras", tmp_path)
    with pytest.raises(ValueError, match="labels.txt and preprocessing.json, or dataset.json"):
        export.load(tmp_path)


@pytest.mark.parametrize("name", ["run/model.keras", TFLITE, VERSION])
def test_load_names_a_model_that_is_broken(models, tmp_path, name):
    shutil.copytree(models[0], tmp_path / "copy")
    path = tmp_path / "copy" / name
    file = path / "saved_model.pb" if path.is_dir() else path
    file.write_bytes(file.read_bytes()[:999])
    with pytest.raises(ValueError, match=f"Expected a model. Received: .*{name}"):
        export.load(path)


def test_importing_the_package_is_light():
    program = "import sys, export; sys.exit(any(m in sys.modules for m in ('tensorflow', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    assert {"export", "load", "ParityError"} <= set(dir(export))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = export.nothing
