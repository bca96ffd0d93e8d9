"""Training and prediction on a folder of images of many sizes, with ImageNet's input pipeline."""

from __future__ import annotations

import json

import numpy as np
import pytest
from one_node_genotype import ONE_NODE
from PIL import Image
from stop_callbacks import KillAfter, Killed

from darts_tf import export
from darts_tf.cli.main import main
from darts_tf.configs import TrainConfig
from darts_tf.data import Augmentation, ColorJitter, Preprocessing
from darts_tf.runs import files
from darts_tf.training.images import augmentation_of, dataset_of, evaluate, load_run, train


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Writes noise around two gray levels, in sizes of scaled-down photos."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        for label, name in enumerate(("dark", "light")):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                size = rng.integers(24, 40, 2)
                pixels = rng.integers(100 * label, 100 * label + 150, (*size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{i}.jpg")
    return folder


def config(images, folder, **fields):
    settings = {"genotype": "one_node", "epochs": 2, "limit": None, "image_size": 16, "flip": True}
    switches = {"random_resized_crop": True, "color_jitter": True}
    settings = {"dataset": str(images), "batch_size": 10, **settings, **switches, **fields}
    return TrainConfig.from_preset("tiny", workdir=folder, **settings)


@pytest.fixture(scope="module")
def finished(images, tmp_path_factory):
    settings = config(images, tmp_path_factory.mktemp("streamed") / "run")
    metrics = train(settings, ONE_NODE, dataset_of(settings))
    return settings.workdir, metrics


def test_streamed_training_leaves_a_run_that_says_how_images_are_read(finished):
    folder, metrics = finished
    assert {"loss", "accuracy", "test_loss", "test_accuracy"} <= set(metrics)
    _, preprocessing, classes = load_run(folder)
    expected = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert preprocessing == Preprocessing(16, 16, 3, *expected, shorter_side=18)
    assert classes == ("dark", "light")


def test_evaluate_of_a_streamed_run_repeats_its_accuracy(finished):
    folder, metrics = finished
    tested = evaluate(folder, batch_size=3)
    assert tested["test_accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert tested["test_loss"] == pytest.approx(metrics["test_loss"], rel=1e-4)
    assert tested["test_images"] == 10


def test_resumed_streamed_training_ends_like_one_that_was_never_stopped(finished, images, tmp_path):
    settings = config(images, tmp_path / "run")
    dataset = dataset_of(settings)
    with pytest.raises(Killed):
        train(settings, ONE_NODE, dataset, callbacks=(KillAfter(4),))
    again = config(images, tmp_path / "run", resume=True)
    metrics = train(again, ONE_NODE, dataset)
    assert metrics["loss"] == pytest.approx(finished[1]["loss"], rel=1e-5)
    assert metrics["test_loss"] == pytest.approx(finished[1]["test_loss"], rel=1e-5)


@pytest.mark.slow
def test_commands_go_from_streamed_images_to_predictions(images, tmp_path, capsys):
    run, exported = tmp_path / "run", tmp_path / "export"
    words = f"--preset tiny --genotype DARTS_V2 --dataset {images} --workdir {run} --limit 20"
    switches = "--random-resized-crop --color-jitter --flip --image-size 16"
    assert main(["train", *words.split(), *switches.split()]) == 0
    assert "20 training and 10 test images, 16x16 color, 2 classes" in capsys.readouterr().out
    assert main(["evaluate", "--workdir", str(run)]) == 0
    assert "on 10 images" in capsys.readouterr().out
    words = ["--workdir", str(run), "--output", str(exported), "--format", "saved_model"]
    assert main(["export", *words]) == 0
    image = images / "val" / "dark" / "0.jpg"
    assert main(["predict", "--model", str(exported), str(image)]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    (before, after) = export.load(run), export.load(exported)
    assert before.preprocessing == after.preprocessing
    assert after.preprocessing.shorter_side == 18
    decoded = after.preprocessing.decode(image.read_bytes()).numpy()[None]
    best = before.probabilities(decoded)[0]
    assert f"{before.classes[best.argmax()]} {best.max():.2%}" in line
    report = json.loads((exported / "export_report.json").read_text())
    assert report["input"]["shorter_side"] == 18
    assert report["check_images"] == 10
    assert files.read_json(run / files.DATASET)["images"] == {"train": 20, "test": 10}


def test_augmentation_of_a_config_has_one_crop():
    settings = {"workdir": "run", "genotype": "DARTS_V2", "flip": True, "cutout": 4}
    cropped = TrainConfig(**settings, random_resized_crop=True, color_jitter=True)
    expected = Augmentation(0, True, 4, random_resized_crop=True, color_jitter=ColorJitter())
    assert augmentation_of(cropped) == expected
    assert augmentation_of(TrainConfig(**settings)) == Augmentation(1, True, 4)


def test_color_jitter_alone_is_refused():
    with pytest.raises(ValueError, match="color_jitter with random_resized_crop. Received"):
        TrainConfig(workdir="run", genotype="DARTS_V2", color_jitter=True)


def test_embedded_images_are_not_streamed(tmp_path, capfd):
    words = ["--genotype", "DARTS_V2", "--workdir", str(tmp_path / "run"), "--random-resized-crop"]
    assert main(["train", "--dataset", "digits", *words]) == 2
    assert "Received: digits, which is in memory" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()
