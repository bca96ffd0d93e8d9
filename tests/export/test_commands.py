"""The commands `export` and `predict` with an export."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from export_fixtures import FLOAT, TFLITE, probabilities_of
from mostly_slow import mostly_slow
from PIL import Image

from darts_tf import export
from darts_tf.cli.commands.export import say_what_is_missing
from darts_tf.cli.main import main
from darts_tf.export.parity import Bounds
from darts_tf.runs import files as run_files

# Keras' own writing of models, on NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def predict(capsys, *words):
    status = main(["predict", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


@pytest.mark.parametrize("place", ["run", "out", TFLITE])
def test_predict_prints_the_best_labels_of_image_files(models, digits, capsys, place):
    folder, network = models
    files = [folder / f"{i}.png" for i in range(3)]
    status, lines, errors = predict(capsys, "--model", folder / place, *files)
    assert (status, errors) == (0, [])
    expected = probabilities_of(network, digits.preprocessing, digits.test.images[:3])
    for line, file, row in zip(lines, files, expected, strict=True):
        path, answer = line.split(": ")
        assert path == str(file)
        labels, shares = answer.split()[::2], answer.split()[1::2]
        assert labels == [digits.classes[i] for i in np.argsort(-row)[:3]]
        np.testing.assert_allclose(
            [float(s[:-1]) for s in shares], 100 * np.sort(row)[:-4:-1], atol=0.01
        )


def test_predict_takes_a_jpeg_in_colour_of_another_size(models, digits, capsys, tmp_path):
    large = Image.fromarray(np.repeat(digits.test.images[0], 3, -1)).resize((50, 40))
    large.save(tmp_path / "digit.jpg")
    words = ("--model", models[0] / "out", "--top", 99, tmp_path / "digit.jpg")
    status, (line,), _ = predict(capsys, *words)
    assert status == 0
    shares = [float(word[:-1]) for word in line.split(": ")[1].split()[1::2]]
    assert len(shares) == 10
    assert sum(shares) == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "truncated"])
def test_predict_names_an_image_it_cannot_read(models, capsys, tmp_path, kind):
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        png = (models[0] / "0.png").read_bytes()
        path.write_bytes(b"words" if kind == "text" else png[: len(png) // 2])
    words = ("--model", models[0] / TFLITE, models[0] / "1.png", path)
    status, lines, errors = predict(capsys, *words)
    assert (status, lines) == (2, [])
    assert len(errors) == 1
    assert str(path) in errors[0]


def test_export_command_writes_a_runs_network_and_says_where(models, capsys, tmp_path):
    words = ["--workdir", models[0] / "run", "--output", tmp_path / "out", "--check-images", 7]
    assert main(["export", *map(str, words), "--format", "saved_model", "tflite"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "model_float32.tflite" in captured.out
    assert f"\nwritten: {tmp_path / 'out'}\nnext: darts-tf " in captured.out
    assert export.load(tmp_path / "out").classes == tuple(map(str, range(10)))
    assert main(["export", *map(str, words)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "--overwrite" in error
    report = run_files.read_json(tmp_path / "out" / "export_report.json")
    assert (report["check_images"], report["check_source"]) == (7, "the test split")
    digits_right = report["accuracy"] * 7
    assert digits_right == round(digits_right)
    assert main(["export", *map(str, words), "--overwrite", "--format", "tflite"]) == 0
    assert [path.name for path in (tmp_path / "out" / "saved_model" / "model").iterdir()] == ["1"]


@mostly_slow((1,), "source", ["train", "folder"])
def test_export_command_calibrates_on_training_images_or_a_folder(
    models, digits, monkeypatch, tmp_path, source
):
    seen = []

    def write(network, preprocessing, path, examples):
        seen.append(examples.calibration)
        form.write(network, preprocessing, path, examples)

    form = export.FORMATS["tflite"]
    monkeypatch.setitem(export.FORMATS, "tflite", form._replace(write=write, calibrated=True))
    words = ["--workdir", models[0] / "run", "--output", tmp_path / "out", "--format", "tflite"]
    if source == "folder":
        (tmp_path / "images" / "below").mkdir(parents=True)
        for i in range(3):
            shutil.copy(models[0] / f"{i}.png", tmp_path / "images" / "below")
        words += ["--calibration", tmp_path / "images"]
    assert main(["export", *map(str, words)]) == 0
    report = run_files.read_json(tmp_path / "out" / "export_report.json")
    (images,) = seen
    assert report["calibration_images"] == len(images)
    if source == "folder":
        np.testing.assert_array_equal(images, digits.test.images[:3])
    else:
        assert len(images) == 128
        known = {image.tobytes() for image in digits.train.images}
        assert {image.tobytes() for image in images} <= known


def test_export_command_fails_where_a_model_misses_its_bound(models, monkeypatch, capsys, tmp_path):
    form = export.FORMATS["tflite"]
    monkeypatch.setitem(export.FORMATS, "tflite", form._replace(bounds=Bounds(agreement=1.1)))
    words = ["--workdir", models[0] / "run", "--output", tmp_path / "out", "--format", *FLOAT]
    assert main(["export", *map(str, words)]) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("darts-tf: not published: Expected tflite to have agreement")
    assert "every model agrees" not in captured.out
    assert export.load(tmp_path / "out").classes
    assert not list((tmp_path / "out").glob("*.tflite"))


@pytest.mark.parametrize(
    ("missed", "named", "status"),
    [
        ("tflite_int8", False, 0),
        ("tflite_int8", True, 1),
        ("tflite", False, 1),
        ("tflite", True, 1),
    ],
)
def test_inaccurate_8_bit_model_fails_an_export_only_if_it_was_named(capsys, missed, named, status):
    report = {"left_out": {}, "missed": {missed: {"reason": "Expected sqnr. Received: 21"}}}
    assert say_what_is_missing(report, named) == status
    out, err = capsys.readouterr()
    assert ("left out tflite_int8" in out) == (status == 0)
    assert ("not published" in err) == (status == 1)


@pytest.mark.parametrize("contents", [None, "nothing", "text"])
def test_export_command_names_what_is_wrong_with_images_to_calibrate_on(
    models, capsys, tmp_path, contents
):
    if contents:
        (tmp_path / "images").mkdir()
    if contents == "text":
        (tmp_path / "images" / "a.png").write_text("words")
    words = ["--workdir", models[0] / "run", "--output", tmp_path / "out"]
    assert main(["export", *map(str, [*words, "--calibration", tmp_path / "images"])]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "images" in error
    assert not (tmp_path / "out").exists()


def test_export_command_wants_a_trained_network(capsys, tmp_path):
    words = ["--workdir", str(tmp_path), "--output", str(tmp_path / "out")]
    assert main(["export", *words]) == 2
    assert "the folder of a training run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
