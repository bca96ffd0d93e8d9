"""Whole exports: parity of every genotype, and the files that are and are not written."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_fixtures import (
    FLOAT,
    drawn_images,
    names,
    preprocessing_of,
    probabilities_of,
    small_export,
    small_network,
    tree,
)
from mostly_slow import mostly_slow

from darts_tf import export
from darts_tf.export.parity import Bounds
from darts_tf.export.pipeline import nothing
from darts_tf.models.counting import count_elementwise, count_macs, count_params
from darts_tf.spaces.zoo import GENOTYPES, load_genotype

CASES = {
    "DARTS_V1": (8, 8, 1, "cifar"),
    "DARTS_V2": (16, 16, 3, "cifar"),
    "NASNet": (9, 9, 3, "cifar"),
    "AmoebaNet": (11, 14, 1, "cifar"),
    "PCDARTS": (64, 65, 3, "imagenet"),
    "PDARTS": (33, 9, 3, "cifar"),
}
"""Height, width, channels and stem: odd sizes for dilated convolutions and reductions."""

IMPOSSIBLE = Bounds(agreement=2.0)


def placed(output: pathlib.Path, report: dict, name: str) -> pathlib.Path:
    return output / report["formats"][name]["path"]


def stub(name, monkeypatch, **changes):
    """Replaces a format by one that writes two bytes and whose logits are noisy."""

    def open_noise(path):
        assert path.read_bytes() == b"ok"
        return lambda images: np.random.default_rng(0).normal(size=(len(images), 10))

    def write(network, preprocessing, path, examples):
        path.write_bytes(b"ok")

    made = {"write": write, "open_logits": open_noise, "bounds": Bounds(), "describe": nothing}
    form = export.FORMATS["tflite"]._replace(path=f"{name}.tflite", **{**made, **changes})
    monkeypatch.setitem(export.FORMATS, name, form)


def test_cases_cover_the_zoo():
    """The cases have every operation and every number of nodes of the zoo."""
    assert set(CASES) <= set(GENOTYPES)

    def kinds(names):
        chosen = [GENOTYPES[name] for name in names]
        pairs = [pair for g in chosen for cell in (g.normal, g.reduce) for pair in cell]
        return {primitive for primitive, _ in pairs}, {len(g.normal) for g in chosen}

    assert kinds(CASES) == kinds(GENOTYPES)


@mostly_slow((4,), "name", CASES)
def test_float32_formats_agree_with_keras_on_every_genotype(tmp_path, name):
    height, width, channels, stem = CASES[name]
    network = small_network(name, channels, stem=stem, classes=3)
    preprocessing = preprocessing_of(height, width, channels)
    images = drawn_images(preprocessing, 3)
    options = {"images": images, "formats": FLOAT}
    report = export.export(network, preprocessing, names(3), tmp_path / "out", **options)
    assert report["folded"]["difference"] <= 1e-5
    expected = probabilities_of(network, preprocessing, images)
    for form in FLOAT:
        model = export.load(placed(tmp_path / "out", report, form))
        np.testing.assert_allclose(model.probabilities(images), expected, atol=1e-5)


def test_report_describes_what_was_written(exported):
    output, network, report, *_ = exported
    assert json.loads((output / "export_report.json").read_text()) == report
    assert report["parameters"] == count_params(network)
    assert report["macs"] == count_macs(network, image_size=8)
    assert report["macs_and_elementwise"] == report["macs"] + count_elementwise(network, 8)
    assert (report["check_images"], report["calibration_images"]) == (17, 0)
    assert (report["name"], report["version"], report["missed"]) == ("model", 1, {})
    assert report["accuracy"] is None
    assert report["versions"]["tensorflow"] == tf.__version__
    assert json.dumps(report["genotype"]) == json.dumps(json.loads(network.genotype.to_json()))
    files = tree(output)
    assert set(report["files"]) == set(files) - {"export_report.json"}
    for name, listed in report["files"].items():
        assert listed["bytes"] == len(files[name])
        assert listed["sha256"] == hashlib.sha256(files[name]).hexdigest()
    for model in report["formats"].values():
        written = (content for path, content in files.items() if path.startswith(model["path"]))
        assert model["bytes"] == sum(map(len, written))
        assert model["agreement"] == 1


def test_export_holds_labels_preprocessing_and_genotype(exported):
    output, network, *_ = exported
    assert (output / "labels.txt").read_text().splitlines() == names()
    assert json.loads((output / "preprocessing.json").read_text()) == preprocessing_of().to_dict()
    assert load_genotype(output / "genotype.json") == network.genotype


def test_report_has_the_accuracy_on_labelled_images(tmp_path, exported, monkeypatch):
    images, preprocessing = exported.images, preprocessing_of()
    logits = exported.network(preprocessing.normalize(images))["logits"].numpy()
    labels = logits.argmax(1)
    labels[:4] = (labels[:4] + 1) % 10
    batches = iter(np.split(np.eye(10)[labels], [16]))
    stub("wrong", monkeypatch, open_logits=lambda path: lambda images: next(batches))
    formats = ("tflite", "wrong")
    report = small_export(tmp_path / "out", labels=labels, formats=formats).report
    assert report["accuracy"] == pytest.approx(13 / 17)
    assert report["formats"]["tflite"]["accuracy"] == pytest.approx(13 / 17)
    assert report["formats"]["wrong"]["accuracy"] == 1
    assert report["formats"]["wrong"]["agreement"] == pytest.approx(13 / 17)


def test_formats_are_given_classes_and_calibration_and_may_tell_more(tmp_path, monkeypatch):
    seen = []
    calibration = drawn_images(preprocessing_of(), 3, seed=5)

    def write(network, preprocessing, path, examples):
        seen.append(examples)
        path.write_bytes(b"ok")

    def describe(path):
        return {"operations": len(path.read_bytes())}

    stub("quantised", monkeypatch, write=write, describe=describe, calibrated=True)
    options = {"formats": ("quantised",), "calibration": calibration}
    report = small_export(tmp_path / "out", facts={"check_source": "a test"}, **options).report
    ((classes, given),) = seen
    assert classes == tuple(names())
    np.testing.assert_array_equal(given, calibration)
    assert report["formats"]["quantised"]["operations"] == 2
    assert (report["calibration_images"], report["check_source"]) == (3, "a test")


def test_what_needs_calibration_is_left_out_where_there_is_none(tmp_path, monkeypatch):
    stub("quantised", monkeypatch, calibrated=True)
    report = small_export(tmp_path / "out", formats=("tflite", "quantised")).report
    assert list(report["formats"]) == ["tflite"]
    assert "--calibration" in report["left_out"]["quantised"]
    with pytest.raises(ValueError, match="can be written. Received: quantised, but .*calibration"):
        small_export(tmp_path / "other", formats=("quantised",))
    assert not (tmp_path / "other").exists()


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


def test_a_model_that_misses_its_bound_is_not_published_and_the_others_are(tmp_path, monkeypatch):
    stub("noisy", monkeypatch, bounds=Bounds(sqnr=20))
    stub("fine", monkeypatch)
    report = small_export(tmp_path / "out", formats=("noisy", "fine")).report
    assert list(report["formats"]) == ["fine"]
    assert "noisy to have sqnr with Keras of at least 20" in report["missed"]["noisy"]["reason"]
    written = {path.name for path in (tmp_path / "out").glob("*.tflite")}
    assert written == {"fine.tflite"}
    assert "noisy.tflite" not in report["files"]


@mostly_slow(1, "name", FLOAT)
def test_export_of_no_model_that_agrees_with_keras_leaves_nothing(tmp_path, monkeypatch, name):
    form = export.FORMATS[name]._replace(bounds=IMPOSSIBLE)
    monkeypatch.setitem(export.FORMATS, name, form)
    with pytest.raises(
        export.ParityError, match=f"Expected {name} .* at least 2. Received: agreement="
    ):
        small_export(tmp_path / "new" / "out", formats=(name,))
    assert tree(tmp_path) == {}
    assert list((tmp_path / "new").iterdir()) == []


def test_a_bound_below_what_keras_rounds_itself_is_widened(tmp_path, monkeypatch):
    form = export.FORMATS["tflite"]
    monkeypatch.setitem(export.FORMATS, "tflite", form._replace(bounds=Bounds(difference=1e-12)))
    found = small_export(tmp_path / "out", formats=("tflite",)).report["formats"]["tflite"]
    assert 1e-12 < found["difference"] <= found["bounds"]["difference"] < 1e-5


def test_a_folded_network_that_differs_is_never_written(tmp_path, monkeypatch):
    def spoil(network):
        network.head.trainable_variables[0].assign_add(
            tf.ones_like(network.head.trainable_variables[0]) * 1e-3
        )

    monkeypatch.setattr("darts_tf.export.writing.fold_normalizations", spoil)
    with pytest.raises(export.ParityError, match="the folded network to differ"):
        small_export(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_export_compares_with_what_was_written_not_with_what_was_meant(tmp_path, monkeypatch):
    form = export.FORMATS["tflite"]

    def write_another(network, preprocessing, path, examples):
        form.write(small_network("DARTS_V1"), preprocessing, path, examples)

    monkeypatch.setitem(export.FORMATS, "tflite", form._replace(write=write_another))
    with pytest.raises(export.ParityError, match="tflite"):
        small_export(tmp_path / "out", formats=("tflite",))


def test_overwrite_adds_a_version_and_replaces_the_files(exported, tmp_path):
    output = shutil.copytree(exported.output, tmp_path / "out")
    before = tree(output / "saved_model")
    (output / "notes.txt").write_text("mine")
    report = small_export(output, overwrite=True, formats=("saved_model",)).report
    assert report["formats"]["saved_model"]["path"] == "saved_model/model/2"
    assert (output / "notes.txt").read_text() == "mine"
    after = tree(output / "saved_model")
    assert {name: after[name] for name in before} == before
    assert export.load(output).probabilities(exported.images).shape == (17, 10)
    with pytest.raises(ValueError, match="not exist yet.*version=2, there are 1, 2"):
        small_export(output, overwrite=True, version=2)


def test_overwrite_keeps_other_formats_of_the_same_network(exported, tmp_path, monkeypatch, caplog):
    output = shutil.copytree(exported.output, tmp_path / "out")
    before, formats = tree(output), exported.report["formats"]
    stub("small", monkeypatch)
    report = small_export(output, overwrite=True, formats=("small",)).report
    assert report["formats"].keys() == {*formats, "small"}
    assert {name: report["formats"][name] for name in formats} == formats
    after = tree(output)
    changing = ("report.html", "export_report.json")
    assert {name: after[name] for name in before if name not in changing} == {
        name: content for name, content in before.items() if name not in changing
    }
    assert report["files"].keys() == after.keys() - {".lock", "export_report.json"}
    assert caplog.messages == []


def test_overwrite_names_the_files_of_another_network_it_removes(tmp_path, monkeypatch, caplog):
    for name, label in (("first", "a"), ("second", "b")):
        stub(name, monkeypatch)
        labels = [label, *names(9)]
        report = small_export(
            tmp_path / "out", overwrite=True, formats=(name,), classes=labels
        ).report
    assert report["formats"].keys() == {"second"}
    assert not (tmp_path / "out" / "first.tflite").exists()
    assert caplog.messages == [
        f"removed from {tmp_path / 'out'}: first.tflite, which an earlier export wrote and this "
        "one did not"
    ]


def test_overwrite_drops_a_changed_file_from_the_report_and_leaves_it(tmp_path, monkeypatch):
    for name in ("first", "second"):
        stub(name, monkeypatch)
        report = small_export(tmp_path / "out", overwrite=True, formats=(name,)).report
        (tmp_path / "out" / f"{name}.tflite").write_bytes(b"mine")
    assert report["formats"].keys() == {"second"}
    assert (tmp_path / "out" / "first.tflite").read_bytes() == b"mine"


def test_failure_half_way_keeps_the_earlier_export(exported, tmp_path, monkeypatch):
    output = shutil.copytree(exported.output, tmp_path / "out")
    before = tree(output)

    def write_half(network, preprocessing, path, examples):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    stub("half", monkeypatch, write=write_half)
    with pytest.raises(OSError, match="No space left"):
        small_export(output, formats=("half",), overwrite=True)
    assert tree(output) == {**before, ".lock": b""}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"formats": ("onnx",)}, "format to be one of saved_model, tflite.* Received: .*onnx"),
        ({"formats": ()}, "at least one"),
        ({"formats": ("tflite", "tflite")}, "each format once"),
        ({"classes": names(9)}, "one class per logit, 10. Received: 9 classes"),
        ({"classes": [*names(9), "two\nlines"]}, "one line"),
        ({"classes": [*names(9), ""]}, "names of one line"),
        ({"images": np.zeros((0, 8, 8, 1), np.uint8)}, "at least 1"),
        ({"images": np.zeros((2, 8, 8, 1), np.float32)}, "uint8 .* Received: float32"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8)}, r"\(n, 8, 8, 1\).*\(2, 8, 8, 3\)"),
        ({"images": None}, "Received: None"),
        ({"calibration": np.zeros((2, 8, 8, 3), np.uint8)}, r"\(n, 8, 8, 1\).*\(2, 8, 8, 3\)"),
        ({"labels": [1, 2]}, "17 labels, integers from 0 to 9. Received: int64 .2,"),
        ({"labels": np.full(17, 10)}, "17 labels, integers from 0 to 9"),
        ({"labels": np.zeros(17)}, "17 labels, integers .* Received: float64"),
        ({"name": "a/b"}, "name to be of letters.*Received: name='a/b'"),
        ({"version": 0}, "a version from 1"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        small_export(tmp_path / "out", **settings)
    assert list(tmp_path.iterdir()) == []


def test_export_reports_every_step(exported):
    formats = exported.report["formats"]
    steps = [f"{step} {n}" for n in formats for step in ("writing", "comparing")]
    begun, folded, *lines = exported.lines
    assert begun == "running Keras on 17 images"
    assert folded == "comparing the folded network with Keras"
    assert [line.removesuffix(" with Keras") for line in lines] == steps
