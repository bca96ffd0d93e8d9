"""Titles of pictures: data set and accuracy where they are known."""

from __future__ import annotations

import pytest
from fake_runs import described, search, study, text_search, training

from darts_tf import configs
from darts_tf.report.titles import results_of_run, title_of_published, title_of_run
from darts_tf.spaces.zoo import GENOTYPES, ZOO


@pytest.mark.parametrize(
    ("make", "title"),
    [
        (search, "run on digits, supernet's validation accuracy 45.00 %"),
        (training, "run on digits, test accuracy 60.00 %"),
        (text_search, "run on digits, supernet's validation perplexity 93"),
        (lambda folder: search(folder, done=0), "run on digits"),
        (study, "run on digits"),
    ],
    ids=["search", "training", "text", "not begun", "study"],
)
def test_title_names_data_set_and_result(make, title, tmp_path):
    assert title_of_run(make(tmp_path / "run")) == title


def test_folder_without_files_is_its_own_title(tmp_path):
    assert title_of_run(tmp_path) == tmp_path.name


def test_folder_of_images_is_named_without_its_path(tmp_path):
    config = configs.TrainConfig(workdir=tmp_path / "run", genotype="DARTS_V2")
    described(tmp_path / "run", config, name="/data/my photos")
    assert title_of_run(tmp_path / "run") == "run on my photos"


def test_every_epoch_has_its_result(tmp_path):
    results = results_of_run(search(tmp_path / "run", epochs=4))
    expected = {i: f"supernet's validation accuracy {9 * i}.00 %" for i in (1, 2, 3)}
    assert {epoch: results[epoch] for epoch in expected} == expected
    assert title_of_run(tmp_path / "run", result=False) == "run on digits"


@pytest.mark.parametrize("name", GENOTYPES)
def test_published_cells_have_their_published_accuracy(name):
    error = ZOO[name].cifar10_error
    words = [] if error is None else [f"{100 - error:.2f} % on CIFAR-10 as published"]
    assert title_of_published(name) == ", ".join([name, *words])
