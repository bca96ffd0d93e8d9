"""Training, testing and saving a network, on very little data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from one_node_genotype import ONE_NODE
from stop_callbacks import KillAfter, Killed

from darts_tf.configs import TrainConfig
from darts_tf.data import load_dataset, take
from darts_tf.runs import files
from darts_tf.runs.evaluations import evaluations_of
from darts_tf.runs.metrics import read_metrics, seconds_of
from darts_tf.training.images import evaluate, load_run, train
from darts_tf.training.schedules import rate_at


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=48)


def config(folder, **fields):
    settings = {"genotype": "one_node", "epochs": 2, "auxiliary": True, "drop_path": 0.2}
    return TrainConfig.from_preset("tiny", workdir=folder, **{**settings, "limit": 48, **fields})


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "run"
    metrics = train(config(folder), ONE_NODE, dataset)
    return folder, metrics


def test_train_leaves_a_whole_run_folder(finished):
    folder, metrics = finished
    lines = read_metrics(folder)
    assert lines[-1] == metrics
    assert {"loss", "accuracy", "test_loss", "test_accuracy"} <= set(metrics)
    network, preprocessing, classes = load_run(folder)
    assert network.genotype == ONE_NODE
    assert preprocessing.channels == 1
    assert classes == tuple("0123456789")


def test_evaluate_repeats_the_accuracy_of_the_last_epoch(finished):
    folder, metrics = finished
    tested = evaluate(folder, batch_size=7)
    assert tested["test_accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert tested["test_loss"] == pytest.approx(metrics["test_loss"], rel=1e-4)
    assert tested["test_images"] == 48


def test_a_dataset_in_memory_is_the_own_one_by_its_name(finished, dataset):
    folder, metrics = finished
    tested = evaluate(folder, dataset=dataset)
    assert tested["test_accuracy"] == pytest.approx(metrics["test_accuracy"])
    (own,) = evaluations_of(folder)
    assert (own.own, own.images, own.epochs) == (True, 48, 2)
    half = take(dataset.test, np.arange(0, 48, 2))
    tested = evaluate(folder, dataset=dataclasses.replace(dataset, name="mine", test=half))
    assert tested["test_images"] == 24
    assert [each.dataset for each in evaluations_of(folder)] == ["digits", "mine"]


@pytest.mark.slow
def test_run_of_mixed_precision_is_evaluated_in_float32(dataset, tmp_path):
    settings = config(tmp_path / "run", precision="mixed_bfloat16", epochs=1)
    metrics = train(settings, ONE_NODE, dataset)
    network, _, _ = load_run(tmp_path / "run")
    assert {layer.compute_dtype for layer in network._flatten_layers()} == {"float32"}
    assert {variable.dtype for variable in network.trainable_variables} == {"float32"}
    assert evaluate(tmp_path / "run")["test_loss"] == pytest.approx(metrics["test_loss"], rel=0.05)


@pytest.mark.slow
def test_resumed_training_ends_like_one_that_was_never_stopped(finished, dataset, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Killed):  # in the second epoch, with drop path
        train(config(folder), ONE_NODE, dataset, callbacks=(KillAfter(4),))
    metrics = train(config(folder, resume=True), ONE_NODE, dataset)
    assert metrics["loss"] == pytest.approx(finished[1]["loss"], rel=1e-5)
    assert metrics["test_loss"] == pytest.approx(finished[1]["test_loss"], rel=1e-5)


@pytest.mark.slow
def test_finished_training_made_longer_follows_the_longer_schedule(dataset, tmp_path):
    settings = {"auxiliary": False, "drop_path": 0.0}
    train(config(tmp_path / "run", epochs=1, **settings), ONE_NODE, dataset)
    longer = config(tmp_path / "run", epochs=3, resume=True, **settings)
    train(longer, ONE_NODE, dataset)
    lines = read_metrics(tmp_path / "run")
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    rates = [line["learning_rate"] for line in lines]
    assert rates == pytest.approx([rate_at(longer, epoch) for epoch in range(3)])


def test_resume_of_a_finished_run_changes_nothing(finished, dataset):
    folder, metrics = finished
    assert train(config(folder, resume=True), ONE_NODE, dataset) == metrics


def test_train_refuses_a_folder_in_use_and_leaves_it(finished, dataset):
    folder, _ = finished
    before = (folder / files.MODEL).read_bytes()
    with pytest.raises(ValueError, match="--overwrite"):
        train(config(folder), ONE_NODE, dataset)
    assert (folder / files.MODEL).read_bytes() == before


def test_train_with_images_too_small_for_the_stem_writes_nothing(dataset, tmp_path):
    with pytest.raises(ValueError, match="64x64.*8x8"):
        train(config(tmp_path / "run", stem="imagenet"), ONE_NODE, dataset)
    assert not (tmp_path / "run").exists()


def test_metrics_of_a_run_name_the_losses_alike(finished):
    _, metrics = finished
    for prefix in ("", "test_"):
        total = metrics[f"{prefix}loss"] + 0.4 * metrics[f"{prefix}auxiliary_loss"]
        assert metrics[f"{prefix}total_loss"] == pytest.approx(total, rel=1e-4)


@pytest.mark.slow
def test_average_of_the_weights_is_what_a_run_tests_and_keeps(dataset, tmp_path):
    settings = {"average_decay": 0.5, "class_weights": "balanced", "drop_path": 0.0}
    folder = tmp_path / "run"
    metrics = train(config(folder, **settings), ONE_NODE, dataset)
    tested = evaluate(folder)
    assert tested["test_loss"] == pytest.approx(metrics["test_loss"], rel=1e-4)
    kept = load_run(folder)[0].get_weights()
    again = train(config(folder, resume=True, **settings), ONE_NODE, dataset)
    assert again == metrics
    for one, other in zip(load_run(folder)[0].get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_with_a_validation_split_the_test_images_are_not_touched(dataset, tmp_path):
    blind = dataclasses.replace(dataset, test=None)
    metrics = train(config(tmp_path / "run", validation_split=0.3, epochs=1), ONE_NODE, blind)
    assert 0 <= metrics["valid_accuracy"] <= 1
    assert not any(name.startswith("test") for name in metrics)
    assert seconds_of(tmp_path / "run") > 0
