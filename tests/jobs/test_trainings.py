"""Whole trainings, tests, exports and predictions as functions, and what they return."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from cli_helpers import write_images
from given_data import ONE_NODE, colored_arrays
from text_folders import counting_text

import darts_tf
from darts_tf import export
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.runs.folder import started_run
from darts_tf.runs.metrics import append_metrics
from darts_tf.spaces.zoo import load_genotype
from darts_tf.training import text as text_training

ONE_ACTIVATION = darts_tf.RecurrentGenotype([("tanh", 0)], [1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Training of a genotype that is in no file, on a folder of images."""
    folder = tmp_path_factory.mktemp("jobs")
    photos = write_images(folder / "photos", {"train": 8, "test": 2})
    options = {"preset": "tiny", "workdir": folder / "train", "batch_size": 8, "verbose": 0}
    return darts_tf.train_network(ONE_NODE, photos, **options)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    output = tmp_path_factory.mktemp("jobs") / "export"
    return trained.export(output, formats="tflite", verbose=0)


def test_training_has_network_history_and_genotype(trained):
    assert trained.genotype == ONE_NODE == load_genotype(trained.config.genotype)
    assert trained.metrics["test_accuracy"] == trained.history["test_accuracy"][-1]
    assert repr(trained).startswith(f"<Training on {trained.data} in {trained.workdir}, test_acc")
    network = trained.network
    assert network is trained.network
    assert network(np.zeros((1, 9, 9, 3), np.float32)).shape == (1, 3)


def test_network_is_tested_on_its_own_and_on_other_data(trained):
    tested = trained.evaluate(batch_size=4)
    assert tested["test_accuracy"] == pytest.approx(trained.metrics["test_accuracy"])
    assert tested["test_images"] == 6
    folder = load_dataset(str(trained.data))
    images, labels = folder.test.images[:3], folder.test.labels[:3]
    pair = ((images, labels), (images, labels))
    one = darts_tf.make_dataset(*pair, classes=folder.classes)
    assert darts_tf.evaluate_network(str(trained.workdir), one)["test_images"] == 3
    assert trained.evaluate(pair)["test_accuracy"] == trained.evaluate(one)["test_accuracy"]
    kept = [path.name for path in (trained.workdir / "evaluations").iterdir()]
    assert len([name for name in kept if name.startswith("_other_arrays_")]) == 1
    with pytest.raises(InputError, match="Expected only the run's classes"):
        trained.evaluate(colored_arrays(20, size=9, classes=4))


def test_training_says_why_to_doubt_it(trained):
    assert "only 24 training images of 3 classes" in trained.doubts[0]


def test_training_is_opened_from_its_folder(trained):
    opened = darts_tf.open_run(trained.workdir)
    assert (type(opened), opened.data) == (darts_tf.Training, str(trained.data))
    assert opened.metrics == trained.metrics
    with pytest.raises(InputError, match="with the file config.json"):
        darts_tf.open_run(trained.workdir.parent)


def test_export_has_files_and_a_table(exported):
    assert list(exported.files) == ["tflite"]
    assert exported.files["tflite"].read_bytes()[4:8] == b"TFL3"
    assert repr(exported) == f"<Export in {exported.output}: tflite>"
    assert "| model_float32.tflite | 0.0" in exported._repr_markdown_()


def test_files_and_arrays_are_classified_alike(trained, exported):
    paths = sorted((trained.data / "test").rglob("*.png"))
    by_file = exported.predict(paths)
    assert by_file == darts_tf.predict_images(str(exported.output), paths)
    images = load_dataset(str(trained.data)).test.images[: len(paths)]
    assert exported.predict(images) == by_file
    (best,) = trained.predict(paths[0], top=1)
    assert best[0][0] == by_file[0][0][0]
    assert best[0][1] == pytest.approx(by_file[0][0][1], abs=1e-5)
    for ranking in by_file:
        names, shares = zip(*ranking, strict=True)
        assert sorted(names) == ["blue", "green", "red"]
        assert sum(shares) == pytest.approx(1)
        assert list(shares) == sorted(shares, reverse=True)
    with pytest.raises(InputError, match="top to be positive"):
        exported.predict(images, top=0)


def test_export_says_its_steps_and_takes_a_free_folder(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "export", lambda *given, **options: options | EMPTY)
    exported = darts_tf.export_network(trained, formats=["tflite"], check_images=2)
    assert str(exported.output) == "runs/export-1"
    assert len(exported.report["images"]) == 2
    exported.report["report"]("writing tflite")
    assert capsys.readouterr().out == "writing tflite ...\n"
    with pytest.raises(InputError, match="Expected format.*Received: format=.*'tflit'"):
        darts_tf.export_network(trained, formats="tflit")


EMPTY = {"formats": {}, "missed": {}, "left_out": {}}


def test_export_of_arrays_is_compared_on_them(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "export", lambda *given, **options: options | EMPTY)
    on_arrays = dataclasses.replace(trained, data=colored_arrays(30, size=9))
    given = on_arrays.export(tmp_path / "export", verbose=0).report
    assert given["images"].shape == (6, 9, 9, 3)
    assert len(given["calibration"]) == 24
    assert "labels" not in given  # the classes have other names


def test_language_model_is_trained_and_tested_in_the_same_way(tmp_path, monkeypatch):
    given = {}

    def train(config, genotype, dataset, callbacks):
        given.update(config=config, dataset=dataset)
        with started_run(config, dataset, genotype) as folder:
            for epoch, loss in enumerate((3.0, 1.0, 2.0)):
                append_metrics(folder, {"epoch": epoch, "valid_loss": loss})

    def evaluate(workdir, **options):
        given.update(workdir=workdir, **options)

    monkeypatch.setattr(text_training, "train", train)
    monkeypatch.setattr(text_training, "evaluate", evaluate)
    text, workdir = counting_text(200), tmp_path / "run"
    options = {"preset": "tiny", "units": 4, "workdir": workdir, "verbose": 0}
    trained = darts_tf.train_network(ONE_ACTIVATION, text, **options)
    assert (given["config"].units, given["config"].dataset) == (4, "counting")
    assert trained.genotype == ONE_ACTIVATION
    assert trained.metrics == {"epoch": 1, "valid_loss": 1.0}  # of the epoch that is kept
    trained.evaluate(limit=50)
    assert given["workdir"] == workdir
    assert given["dataset"] is text
    assert (given["batch_size"], given["limit"]) == (1, 50)


@pytest.mark.parametrize(
    ("genotype", "data", "message"),
    [
        (ONE_ACTIVATION, "digits", "Received: a recurrent cell with images"),
        (ONE_NODE, "pydoc", "Received: cells for images with a text"),
        ("DARTS_V3", "digits", "Expected genotype to be one of"),
        (ONE_NODE, None, "Expected data to train on: a name or a folder"),
    ],
)
def test_cells_and_data_that_do_not_fit_are_refused(genotype, data, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        darts_tf.train_network(genotype, data, preset="tiny")
    assert list(tmp_path.iterdir()) == []
