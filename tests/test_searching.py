"""Whole searches, on very little data."""

from __future__ import annotations

import numpy as np
import pytest
from interrupting import KillAfter, Killed

from darts_tf import runs
from darts_tf.configs import SearchConfig
from darts_tf.data import load_dataset
from darts_tf.genotype import derive, load_genotype
from darts_tf.searching import search


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=32)


def config(folder, **fields):
    settings = {"arch_gradient": "first_order", "epochs": 2, "batch_size": 8}
    return SearchConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "run"
    lines = []
    genotype = search(config(folder), dataset, report=lines.append)
    return folder, genotype, lines


def test_search_leaves_a_whole_run_folder(finished):
    folder, genotype, lines = finished
    assert load_genotype(folder / runs.GENOTYPE) == genotype
    assert derive(*runs.load_alphas(folder)) == genotype
    assert runs.read_metrics(folder) == lines
    assert [line["epoch"] for line in lines] == [0, 1]
    assert {"loss", "accuracy", "arch_loss", "valid_loss", "valid_accuracy"} <= set(lines[0])
    assert any((folder / "tensorboard").rglob("events.out.tfevents.*"))
    assert runs.read_json(folder / runs.CONFIG)["arch_gradient"] == "first_order"


def test_search_follows_the_cosine_schedule(finished):
    rates = [line["learning_rate"] for line in finished[2]]
    assert rates == pytest.approx([0.025, 0.013])


def test_resumed_search_ends_like_one_that_was_never_stopped(finished, dataset, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Killed):  # in the middle of the second epoch
        search(config(folder), dataset, callbacks=(KillAfter(3),))
    genotype = search(config(folder, resume=True), dataset)
    assert genotype == finished[1]
    for resumed, straight in zip(
        runs.load_alphas(folder), runs.load_alphas(finished[0]), strict=True
    ):
        np.testing.assert_allclose(resumed, straight, rtol=1e-5, atol=1e-8)
    assert [line["epoch"] for line in runs.read_metrics(folder)] == [0, 1]


def test_search_with_a_batch_larger_than_half_the_images_writes_nothing(dataset, tmp_path):
    with pytest.raises(ValueError, match="batch_size"):
        search(config(tmp_path / "run", batch_size=17), dataset)
    assert not (tmp_path / "run").exists()
