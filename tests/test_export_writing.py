"""Exports as a whole: parity of every genotype, what is written, and what never is."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from browsing import require_runtime
from exporting import drawn_images, names, preprocessing_of, probabilities_of, small_network, tree

import export
from darts_tf.counting import count_macs, count_params
from darts_tf.zoo import GENOTYPES, load_genotype

CASES = {
    "DARTS_V1": (8, 8, 1, "cifar"),
    "DARTS_V2": (16, 16, 3, "cifar"),
    "NASNet": (9, 9, 3, "cifar"),
    "AmoebaNet": (11, 14, 1, "cifar"),
    "PCDARTS": (64, 65, 3, "imagenet"),
    "PDARTS": (33, 9, 3, "cifar"),
}
"""Height, width, channels and stem: odd sizes for dilated convolutions and reductions."""


@functools.cache
def shared_network():
    return small_network(auxiliary=True)


def small_export(output, **settings):
    network, preprocessing = shared_network(), preprocessing_of()
    settings = {"images": drawn_images(preprocessing), "classes": names(), **settings}
    return export.export(network, preprocessing, output=output, **settings)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An export with its network, its report and what it said; tests leave it as it is."""
    network, preprocessing = shared_network(), preprocessing_of()
    output = tmp_path_factory.mktemp("export") / "new" / "model"
    lines, images = [], drawn_images(preprocessing, 17)
    options = {"images": images, "report": lines.append}
    report = export.export(network, preprocessing, names(), output, **options)
    return output, network, report, lines


@pytest.fixture
def earlier(exported, tmp_path):
    """A copy of that export, to be overwritten."""
    return shutil.copytree(exported[0], tmp_path / "out")


def signature(output):
    loaded = tf.saved_model.load(output / "saved_model")
    return loaded.signatures["serving_default"]


def test_cases_cover_the_zoo():
    """With every operation and every number of nodes."""
    assert set(CASES) <= set(GENOTYPES)

    def kinds(names):
        chosen = [GENOTYPES[name] for name in names]
        pairs = [pair for g in chosen for cell in (g.normal, g.reduce) for pair in cell]
        return {primitive for primitive, _ in pairs}, {len(g.normal) for g in chosen}

    assert kinds(CASES) == kinds(GENOTYPES)


@pytest.mark.parametrize("name", CASES)
def test_every_format_agrees_with_keras_on_every_genotype(tmp_path, name):
    height, width, channels, stem = CASES[name]
    network = small_network(name, channels, stem=stem, classes=3)
    preprocessing = preprocessing_of(height, width, channels)
    images = drawn_images(preprocessing, 3)
    report = export.export(network, preprocessing, names(3), tmp_path / "out", images=images)
    expected = probabilities_of(network, preprocessing, images)
    for format_name, found in report["formats"].items():
        form = export.FORMATS[format_name]
        assert found["difference"] <= form.bound
        model = export.load(tmp_path / "out" / form.path)
        np.testing.assert_allclose(model.probabilities(images), expected, atol=1e-5)


def test_report_describes_what_was_written(exported):
    output, network, report, _ = exported
    assert json.loads((output / "export_report.json").read_text()) == report
    assert report["parameters"] == count_params(network)
    assert report["macs"] == count_macs(network, image_size=8)
    assert report["check_images"] == 17
    assert report["versions"]["tensorflow"] == tf.__version__
    assert json.dumps(report["genotype"]) == json.dumps(json.loads(network.genotype.to_json()))
    files = tree(output)
    assert set(report["files"]) == set(files) - {"export_report.json"}
    for name, listed in report["files"].items():
        assert listed["bytes"] == len(files[name])
        assert listed["sha256"] == hashlib.sha256(files[name]).hexdigest()
    for found in report["formats"].values():
        written = (content for path, content in files.items() if path.startswith(found["path"]))
        assert found["bytes"] == sum(map(len, written))
        assert found["agreement"] == 1


def test_export_holds_labels_preprocessing_and_genotype(exported):
    output, network, *_ = exported
    assert (output / "labels.txt").read_text().splitlines() == names()
    assert json.loads((output / "preprocessing.json").read_text()) == preprocessing_of().to_dict()
    assert load_genotype(output / "genotype.json") == network.genotype


def test_saved_model_names_its_input_and_outputs(exported):
    serve = signature(exported[0])
    _, inputs = serve.structured_input_signature
    assert inputs == {"images": tf.TensorSpec((None, 8, 8, 1), tf.float32, name="images")}
    assert {name: tuple(t.shape) for name, t in serve.structured_outputs.items()} == {
        "logits": (None, 10),
        "probabilities": (None, 10),
    }


@pytest.mark.parametrize("batch", [1, 5])
def test_saved_model_takes_any_batch_of_raw_images(exported, batch):
    output, network, *_ = exported
    images = drawn_images(preprocessing_of(), batch, seed=1)
    actual = signature(output)(images=tf.constant(images, tf.float32))
    logits = network(preprocessing_of().normalize(images))["logits"]
    np.testing.assert_allclose(actual["logits"], logits, rtol=0, atol=1e-5)
    np.testing.assert_allclose(actual["probabilities"], tf.nn.softmax(logits), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 9, 8, 1), (1, 8, 16, 1), (1, 8, 8, 3), (8, 8, 1)])
def test_saved_model_refuses_images_of_another_shape(exported, shape):
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError, TypeError)):
        signature(exported[0])(images=tf.zeros(shape))


def test_saved_model_is_little_more_than_its_weights(tmp_path):
    network = small_network(channels=36, image_channels=3)
    images = drawn_images(preprocessing_of(channels=3), 1)
    form = {"formats": ("saved_model",), "images": images}
    report = export.export(network, preprocessing_of(channels=3), names(), tmp_path, **form)
    assert report["formats"]["saved_model"]["bytes"] < 1.1 * 4 * count_params(network) + 2**17


def test_saved_model_runs_without_keras_and_without_this_package(exported, tmp_path):
    output, network, *_ = exported
    images = drawn_images(preprocessing_of(), 3)
    np.save(tmp_path / "images.npy", images)
    program = """
import sys
for name in ("keras", "tf_keras", "darts_tf", "export", "cli"):
    sys.modules[name] = None  # importing it raises
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2]).astype(np.float32)
outputs = loaded.signatures["serving_default"](images=tf.constant(images))
np.save(sys.argv[3], outputs["probabilities"].numpy())
"""
    paths = output / "saved_model", tmp_path / "images.npy", tmp_path / "probabilities.npy"
    command = [sys.executable, "-c", program, *map(str, paths)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path, timeout=120)
    logits = network(preprocessing_of().normalize(images))["logits"]
    np.testing.assert_allclose(np.load(paths[2]), tf.nn.softmax(logits), atol=1e-5)


def test_mixed_precision_is_exported_as_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = small_network()
        images = drawn_images(preprocessing_of())
        options = {"images": images, "formats": ("tflite",)}
        export.export(network, preprocessing_of(), names(), tmp_path / "out", **options)
    finally:
        keras.config.set_dtype_policy("float32")
    plain = small_network()
    for target, source in zip(plain.variables, network.variables, strict=True):
        target.assign(source)
    actual = export.load(tmp_path / "out").probabilities(images)
    expected = probabilities_of(plain, preprocessing_of(), images)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("name", export.FORMATS)
def test_export_that_disagrees_with_keras_raises_and_leaves_nothing(tmp_path, monkeypatch, name):
    if name == "web":
        require_runtime()
    monkeypatch.setitem(export.FORMATS, name, export.FORMATS[name]._replace(bound=-1.0))
    with pytest.raises(export.ParityError, match=f"Expected {name} .* at most -1 .*difference="):
        small_export(tmp_path / "new" / "out", formats=(name,))
    assert tree(tmp_path) == {}
    assert list((tmp_path / "new").iterdir()) == []


def test_export_compares_with_what_was_written_not_with_what_was_meant(tmp_path, monkeypatch):
    form = export.FORMATS["saved_model"]

    def write_another(network, *arguments):
        form.write(small_network("DARTS_V1"), *arguments)

    monkeypatch.setitem(export.FORMATS, "saved_model", form._replace(write=write_another))
    with pytest.raises(export.ParityError, match="saved_model"):
        small_export(tmp_path / "out", formats=("saved_model",))


def test_not_a_number_is_no_agreement(tmp_path, monkeypatch):
    def open_nan(path):
        return lambda images: np.full((len(images), 10), np.nan, np.float32)

    def write_nothing(network, preprocessing, path, examples):
        path.write_bytes(b"")

    form = export.FORMATS["tflite"]._replace(write=write_nothing, open_logits=open_nan)
    monkeypatch.setitem(export.FORMATS, "tflite", form)
    with pytest.raises(export.ParityError, match="difference=nan"):
        small_export(tmp_path / "out", formats=("tflite",))


def test_failure_half_way_keeps_the_earlier_export(earlier, monkeypatch):
    before = tree(earlier.parent)

    def write_half(network, preprocessing, path, examples):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    form = export.FORMATS["tflite"]._replace(write=write_half)
    monkeypatch.setitem(export.FORMATS, "tflite", form)
    with pytest.raises(OSError, match="No space left"):
        small_export(earlier, formats=("tflite",), overwrite=True)
    assert tree(earlier.parent) == before


def test_overwrite_replaces_an_earlier_export_whole(earlier):
    small_export(earlier, formats=("tflite",), overwrite=True)
    assert (earlier / "model.tflite").is_file()
    assert not (earlier / "saved_model").exists()
    assert [path.name for path in earlier.parent.iterdir()] == ["out"]


def test_output_with_an_earlier_export_needs_overwrite(exported):
    before = tree(exported[0])
    with pytest.raises(ValueError, match="new or empty folder .*--overwrite.* is not empty"):
        small_export(exported[0])
    assert tree(exported[0]) == before


@pytest.mark.parametrize("report", [None, "[]", "{}", "not JSON"])
def test_overwrite_refuses_a_folder_that_is_no_export(tmp_path, report):
    (tmp_path / "thesis.txt").write_text("years of work")
    if report:
        (tmp_path / "export_report.json").write_text(report)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match="an export to overwrite"):
        small_export(tmp_path, overwrite=True)
    assert tree(tmp_path) == before


def test_overwrite_refuses_an_export_with_a_file_of_someone_else(earlier):
    mine = earlier / "saved_model" / "assets.extra" / "notes.txt"
    mine.write_text("mine")
    with pytest.raises(ValueError, match=r"nothing but the export .*assets.extra/notes.txt"):
        small_export(earlier, overwrite=True)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_output_at_or_below_a_file_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file' is a file"):
        small_export(tmp_path / place)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"formats": ("onnx",)}, "format to be one of saved_model, tflite, web. Received: .*onnx"),
        ({"formats": ()}, "at least one"),
        ({"formats": ("tflite", "tflite")}, "each format once"),
        ({"classes": names(9)}, "one class a logit, 10. Received: 9 classes"),
        ({"classes": [*names(9), "two\nlines"]}, "one line"),
        ({"classes": [*names(9), ""]}, "names of one line"),
        ({"images": np.zeros((0, 8, 8, 1), np.uint8)}, "at least 1"),
        ({"images": np.zeros((2, 8, 8, 1), np.float32)}, "uint8 .* Received: float32"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8)}, r"\(n, 8, 8, 1\).*\(2, 8, 8, 3\)"),
        ({"images": None}, "Received: None"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        small_export(tmp_path / "out", **settings)
    assert list(tmp_path.iterdir()) == []


def test_export_reports_every_step(exported):
    steps = [f"{step} {n}" for n in exported[2]["formats"] for step in ("writing", "comparing")]
    assert exported[3][0] == "running Keras on 17 images"
    assert [line.removesuffix(" with Keras") for line in exported[3][1:]] == steps
