"""Default settings that follow the images of a folder."""

from __future__ import annotations

import pytest
from PIL import Image

from darts_tf.cli import arguments
from darts_tf.configs import SearchConfig, TrainConfig
from darts_tf.data import defaults
from darts_tf.runs import files


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Makes a folder of 60 photos of 4 classes without test images, 48 of them for training."""
    folder = tmp_path_factory.mktemp("photos")
    for name in "abcd":
        (folder / name).mkdir()
        for i in range(15):
            Image.new("RGB", (90 + i, 70)).save(folder / name / f"{i}.jpg")
    return folder


@pytest.mark.parametrize(
    ("count", "searches", "batch", "epochs"),
    [
        (24, True, 8, 50),  # 3 steps
        (48, False, 8, 100),  # 6 steps
        (800, True, 64, 16),  # 12.5 steps
        (2000, False, 64, 20),  # 31 steps
        (25000, True, 64, 12),
        (5, True, 5, 50),
        (1, True, 1, 50),
    ],
)
def test_small_folders_get_small_batches_and_many_epochs(photos, count, searches, batch, epochs):
    fields = defaults.of_folder(str(photos), count, searches=searches)
    assert fields == {"batch_size": batch, "epochs": epochs, "crop_padding": 8}


def test_images_of_an_epoch_are_counted(photos):
    def counted(**options):
        return defaults.images_per_epoch(str(photos), **options)

    assert (counted(searches=True), counted(searches=False)) == (24, 48)
    assert (counted(searches=False, limit=20), counted(searches=True, limit=20)) == (20, 10)
    assert counted(searches=False, held_out=0.25) == 36


def parsed(config_class, *words):
    return arguments.parse(config_class, ["--workdir", "run", *map(str, words)], "x")


def test_command_line_follows_the_folder_unless_it_says_otherwise(photos):
    config = parsed(SearchConfig, "--dataset", photos)
    assert (config.preset, config.batch_size, config.epochs) == ("photos", 8, 50)
    assert (config.flip, config.crop_padding, config.arch_gradient) == (True, 8, "first_order")
    config = parsed(SearchConfig, "--dataset", photos, "--batch-size", 3, "--image-size", "32")
    assert (config.batch_size, config.crop_padding, config.epochs) == (3, 4, 50)
    config = parsed(SearchConfig, "--dataset", photos, "--preset", "cifar10")
    assert (config.batch_size, config.epochs, config.crop_padding) == (24, 50, 4)
    config = parsed(TrainConfig, "--dataset", photos, "--genotype", "DARTS_V2", "--limit", 12)
    assert (config.batch_size, config.epochs) == (8, 100)


def test_training_takes_the_dataset_of_the_search(photos, tmp_path):
    search = parsed(SearchConfig, "--dataset", photos)
    files.write_json(tmp_path / files.CONFIG, search.to_dict())
    (tmp_path / files.GENOTYPE).write_text("{}")
    for genotype in (tmp_path / files.GENOTYPE, tmp_path):
        config = parsed(TrainConfig, "--genotype", genotype)
        assert (config.dataset, config.preset, config.batch_size) == (str(photos), "photos", 8)
    config = parsed(TrainConfig, "--genotype", tmp_path / files.GENOTYPE, "--dataset", "digits")
    assert (config.dataset, config.preset) == ("digits", "digits")
    with pytest.raises(arguments.UsageError, match="--dataset"):
        parsed(TrainConfig, "--genotype", "DARTS_V2")


def test_damaged_folders_are_named_before_tensorflow_starts(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="in every class folder. Received: .*a without any"):
        parsed(SearchConfig, "--dataset", tmp_path)
