"""Opening runs, exports and single models, and the commands that do."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from exporting import drawn_images, preprocessing_of, probabilities_of, small_network
from PIL import Image

import export
from cli.main import main
from darts_tf import beginning
from darts_tf.configs import TrainConfig
from darts_tf.data import load_dataset
from export.folder import describe, read_labels

# Keras' own writing of models, on NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PLACES = ("run", "run/model.keras", "out", "out/saved_model", "out/model.tflite")
"""Everything that `load` opens."""


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def models(tmp_path_factory, digits):
    """A folder with a run, its export and three digits as PNG; and the run's network."""
    folder = tmp_path_factory.mktemp("models")
    network = small_network("DARTS_V1")
    config = TrainConfig(workdir=folder / "run", genotype="DARTS_V1")
    with beginning.begun(config, digits, network.genotype) as run:
        network.save(run / "model.keras")
    images = digits.test.images[:5]
    export.export(network, digits.preprocessing, digits.classes, folder / "out", images=images)
    for i, image in enumerate(images[:3]):
        Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    return folder, network


def predict(capsys, *words):
    status = main(["predict", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


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
    shutil.copytree(models[0] / "out" / "saved_model", tmp_path / "moved")
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
    assert read_labels(tmp_path) == labels


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 8, 9, 1), (1, 8, 8, 3), (0, 8, 8, 1)], ids=lambda shape: str(shape)
)
def test_probabilities_refuses_images_of_another_shape(models, shape):
    model = export.load(models[0] / "out" / "model.tflite")
    with pytest.raises(ValueError, match=r"Expected images uint8 \(n, 8, 8, 1\)"):
        model.probabilities(np.zeros(shape, np.uint8))


def test_probabilities_refuses_labels_of_another_model(models, tmp_path):
    for name in ("model.tflite", "preprocessing.json"):
        shutil.copy(models[0] / "out" / name, tmp_path)
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    with pytest.raises(ValueError, match="as many labels as .* logits, 10. Received: 2 labels"):
        export.load(tmp_path).probabilities(np.zeros((1, 8, 8, 1), np.uint8))


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


@pytest.mark.parametrize("name", ["run/model.keras", "out/model.tflite"])
def test_load_asks_for_labels_that_are_missing(models, tmp_path, name):
    shutil.copy(models[0] / name, tmp_path)
    with pytest.raises(ValueError, match="labels.txt and preprocessing.json, or dataset.json"):
        export.load(tmp_path)


@pytest.mark.parametrize("name", ["run/model.keras", "out/model.tflite", "out/saved_model"])
def test_load_names_a_model_that_is_broken(models, tmp_path, name):
    shutil.copytree(models[0], tmp_path / "copy")
    path = tmp_path / "copy" / name
    file = path / "saved_model.pb" if path.is_dir() else path
    file.write_bytes(file.read_bytes()[:999])
    with pytest.raises(ValueError, match=f"Expected a model. Received: .*{name}"):
        export.load(path)


@pytest.mark.parametrize("place", ["run", "out", "out/model.tflite"])
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
    words = ("--model", models[0] / "out" / "model.tflite", models[0] / "1.png", path)
    status, lines, errors = predict(capsys, *words)
    assert (status, lines) == (2, [])
    assert len(errors) == 1
    assert str(path) in errors[0]


def test_export_command_writes_a_runs_network_and_says_where(models, capsys, tmp_path):
    words = ["--workdir", models[0] / "run", "--output", tmp_path / "out", "--check-images", 7]
    assert main(["export", *map(str, words)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "model.tflite" in captured.out
    assert captured.out.endswith(f"written: {tmp_path / 'out'}\n")
    assert export.load(tmp_path / "out").classes == tuple(map(str, range(10)))
    assert main(["export", *map(str, words)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert "--overwrite" in error


def test_export_command_wants_a_trained_network(capsys, tmp_path):
    words = ["--workdir", str(tmp_path), "--output", str(tmp_path / "out")]
    assert main(["export", *words]) == 2
    assert "model.keras" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_is_light():
    program = "import sys, export; sys.exit(any(m in sys.modules for m in ('tensorflow', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    assert {"export", "load", "ParityError"} <= set(dir(export))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = export.nothing
