"""Training, testing and keeping a network, on very little data."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from interrupting import KillAfter, Killed

from darts_tf import runs
from darts_tf.configs import TrainConfig
from darts_tf.data import load_dataset
from darts_tf.training import build_trainer, cross_entropy, evaluate, load_run, train
from darts_tf.zoo import GENOTYPES


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=48)


def config(folder, **fields):
    settings = {"genotype": "DARTS_V2", "epochs": 2, "auxiliary": True, "drop_path": 0.2}
    return TrainConfig.from_preset("tiny", workdir=folder, **{**settings, "limit": 48, **fields})


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "run"
    metrics = train(config(folder), GENOTYPES["DARTS_V2"], dataset)
    return folder, metrics


def test_train_leaves_a_whole_run_folder(finished):
    folder, metrics = finished
    lines = runs.read_metrics(folder)
    assert lines[-1] == metrics
    assert {"loss", "accuracy", "test_loss", "test_accuracy"} <= set(metrics)
    network, preprocessing, classes = load_run(folder)
    assert network.genotype == GENOTYPES["DARTS_V2"]
    assert preprocessing.channels == 1
    assert classes == tuple("0123456789")


def test_evaluate_repeats_the_accuracy_of_the_last_epoch(finished):
    folder, metrics = finished
    tested = evaluate(folder, batch_size=7)
    assert tested["test_accuracy"] == pytest.approx(metrics["test_accuracy"])
    assert tested["test_loss"] == pytest.approx(metrics["test_loss"], rel=1e-4)
    assert tested["test_images"] == 48


def test_run_of_mixed_precision_is_evaluated_in_float32(dataset, tmp_path):
    settings = config(tmp_path / "run", precision="mixed_bfloat16", epochs=1)
    metrics = train(settings, GENOTYPES["DARTS_V2"], dataset)
    network, _, _ = load_run(tmp_path / "run")
    assert {layer.compute_dtype for layer in network._flatten_layers()} == {"float32"}
    assert {variable.dtype for variable in network.trainable_variables} == {"float32"}
    assert evaluate(tmp_path / "run")["test_loss"] == pytest.approx(metrics["test_loss"], rel=0.05)


def test_resumed_training_ends_like_one_that_was_never_stopped(finished, dataset, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Killed):  # in the second epoch, with random paths dropped
        train(config(folder), GENOTYPES["DARTS_V2"], dataset, callbacks=(KillAfter(4),))
    metrics = train(config(folder, resume=True), GENOTYPES["DARTS_V2"], dataset)
    assert metrics["loss"] == pytest.approx(finished[1]["loss"], rel=1e-5)
    assert metrics["test_loss"] == pytest.approx(finished[1]["test_loss"], rel=1e-5)


def test_resume_of_a_finished_run_changes_nothing(finished, dataset):
    folder, metrics = finished
    assert train(config(folder, resume=True), GENOTYPES["DARTS_V2"], dataset) == metrics


def test_train_refuses_a_folder_in_use_and_leaves_it(finished, dataset):
    folder, _ = finished
    before = (folder / runs.MODEL).read_bytes()
    with pytest.raises(ValueError, match="--overwrite"):
        train(config(folder), GENOTYPES["DARTS_V2"], dataset)
    assert (folder / runs.MODEL).read_bytes() == before


def test_train_with_images_too_small_for_the_stem_writes_nothing(dataset, tmp_path):
    with pytest.raises(ValueError, match="64x64.*8x8"):
        train(config(tmp_path / "run", stem="imagenet"), GENOTYPES["DARTS_V2"], dataset)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_spreads_a_share_of_the_label(smoothing):
    logits = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    labels = np.array([0, 3, 4, 1])
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = log_p[np.arange(4), labels]
    expected = -(1 - smoothing) * picked - smoothing * log_p.mean(-1)
    loss = cross_entropy(smoothing)(tf.constant(labels), tf.constant(logits))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.fixture
def trainer(tmp_path):
    """Of a network with an auxiliary head, without dropped paths."""
    settings = config(tmp_path, drop_path=0.0, auxiliary_weight=0.3)
    return build_trainer(settings, GENOTYPES["DARTS_V2"], classes=10, image_channels=1)


def batch():
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype(np.float32)
    return tf.constant(images), tf.range(8)


def losses_of(trainer, training):
    """Mean losses of the logits and of the auxiliary ones, from the network alone."""
    x, y = batch()
    outputs, loss = trainer.network(x, training=training), cross_entropy(0.0)
    return [float(tf.reduce_mean(loss(y, outputs[name]))) for name in ("logits", "auxiliary")]


def test_auxiliary_loss_has_its_weight(trainer):
    x, y = batch()
    expected = losses_of(trainer, training=False)
    total, parts = trainer.objective(y, trainer.network(x, training=False))
    assert total.shape == (8,)
    assert float(tf.reduce_mean(total)) == pytest.approx(expected[0] + 0.3 * expected[1], rel=1e-5)
    means = {name: float(tf.reduce_mean(part)) for name, part in parts.items()}
    assert set(means) == {"loss", "auxiliary_loss", "total_loss"}
    assert [means["loss"], means["auxiliary_loss"]] == pytest.approx(expected, rel=1e-5)
    assert means["total_loss"] == pytest.approx(float(tf.reduce_mean(total)), rel=1e-5)


def test_test_calls_the_sum_of_losses_total_and_the_main_one_loss(trainer):
    expected = losses_of(trainer, training=False)
    tested = {name: float(value) for name, value in trainer.test_step(batch()).items()}
    assert set(tested) == {"loss", "auxiliary_loss", "total_loss", "accuracy"}
    assert [tested["loss"], tested["auxiliary_loss"]] == pytest.approx(expected, rel=1e-5)
    assert tested["total_loss"] == pytest.approx(expected[0] + 0.3 * expected[1], rel=1e-5)


def test_training_descends_the_sum_of_losses(trainer):
    """The gradient of the first step, whose velocity is minus the rate times it."""
    trainer.weight_decay, trainer.clip_norm = 0.0, None
    (x, y), loss = batch(), cross_entropy(0.0)
    variables = trainer.network.trainable_variables
    with tf.GradientTape() as tape:
        outputs = trainer.network(x, training=True)
        auxiliary = tf.reduce_mean(loss(y, outputs["auxiliary"]))
        total = tf.reduce_mean(loss(y, outputs["logits"])) + 0.3 * auxiliary
    gradients = tape.gradient(total, [v.value for v in variables])
    before = [v.numpy() for v in variables]
    trainer.train_step(batch())
    rate = float(trainer.optimizer.learning_rate)
    for variable, value, gradient in zip(variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable, value - rate * gradient, rtol=1e-4, atol=1e-6)


def test_metrics_of_a_run_name_the_losses_alike(finished):
    _, metrics = finished
    for prefix in ("", "test_"):
        total = metrics[f"{prefix}loss"] + 0.4 * metrics[f"{prefix}auxiliary_loss"]
        assert metrics[f"{prefix}total_loss"] == pytest.approx(total, rel=1e-4)


def test_network_without_an_auxiliary_head_has_one_loss(tmp_path):
    settings = config(tmp_path, auxiliary=False, drop_path=0.0)
    trainer = build_trainer(settings, GENOTYPES["DARTS_V2"], classes=10, image_channels=1)
    assert set(trainer.test_step(batch())) == {"loss", "accuracy"}
