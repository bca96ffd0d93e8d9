"""Trainer of an evaluation network: losses, class weights, averages, metrics."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close
from numpy_training import trained
from one_node_genotype import ONE_NODE
from reference_names import network_shapes, random_state_dict

from darts_tf.configs import TrainConfig
from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.training.callbacks import Schedule
from darts_tf.training.feeds import Feed
from darts_tf.training.loop import fit
from darts_tf.training.network_trainer import accuracies, balanced, build_trainer, cross_entropy


def config(folder, **fields):
    settings = {"genotype": "one_node", "auxiliary": True}
    return TrainConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


def trainer_of(folder, class_weights=None, **fields):
    settings = config(folder, drop_path=0.0, **fields)
    return build_trainer(settings, ONE_NODE, 10, 1, class_weights)


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
    """Builds a trainer of a network with an auxiliary head, without drop path."""
    settings = config(tmp_path, drop_path=0.0, auxiliary_weight=0.3)
    return build_trainer(settings, ONE_NODE, classes=10, image_channels=1)


def batch():
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype(np.float32)
    return tf.constant(images), tf.range(8)


def losses_of(trainer, training):
    """Returns the mean losses of the logits and the auxiliary logits, from the network only."""
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
    """Checks the gradient of the first step, whose velocity is -rate * gradient."""
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


EPOCHS, STEPS, CELLS, CHANNELS, CLASSES = 5, 4, 3, 2, 5
RULE = {"momentum": 0.9, "weight_decay": 3e-3, "clip_norm": 9.0, "auxiliary_weight": 0.4}


@pytest.mark.usefixtures("float64")
def test_training_is_that_of_an_independent_computation(tmp_path):
    """Compares 20 steps of the training loop with those in NumPy.

    They have an auxiliary head, momentum, decay, clipping and a cosine schedule. A relative change
    of 1e-13 of the first weights changes no later norm by more than 1e-11.
    """
    state = random_state_dict(network_shapes(ONE_NODE, CHANNELS, CELLS, CLASSES))
    rng = np.random.default_rng(1)
    images = rng.normal(size=(EPOCHS * STEPS, 16, 8, 8, 3))
    labels = rng.integers(0, CLASSES, images.shape[:2])

    rates = [0.025 * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2 for epoch in range(EPOCHS)]
    batches = list(zip(images, labels, strict=True))
    last, history = trained(state, ONE_NODE, CELLS, batches, rates=np.repeat(rates, STEPS), **RULE)
    norms = [norm for *_, norm in history]
    assert min(norms) < RULE["clip_norm"] < max(norms)

    settings = config(
        tmp_path,
        **{"channels": CHANNELS, "cells": CELLS, "drop_path": 0.0, "label_smoothing": 0.0},
        **{"epochs": EPOCHS, "learning_rate": 0.025, "schedule": "cosine", **RULE},
    )
    trainer, expected = (build_trainer(settings, ONE_NODE, CLASSES, 3) for _ in range(2))
    load_reference_weights(trainer.network, state)
    load_reference_weights(expected.network, last)
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    feed = Feed(lambda start: data, lambda epoch: STEPS, STEPS, lambda _: data, 0)
    kept = []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: kept.append(logs))
    fit(trainer, settings, tmp_path, feed, [Schedule(settings), keep])

    means = np.reshape(history, (EPOCHS, STEPS, 3)).mean(1)
    logged = [[logs[n] for n in ("loss", "auxiliary_loss", "gradient_norm")] for logs in kept]
    np.testing.assert_allclose(logged, means, rtol=1e-10)
    compared = 0
    for ours, other in zip(trainer.network.variables, expected.network.variables, strict=True):
        if "float" in ours.dtype:
            assert_close(ours, np.asarray(other), 1e-10)
            compared += 1
    assert compared > len(trainer.network.trainable_variables)


def test_network_without_an_auxiliary_head_has_one_loss(tmp_path):
    settings = config(tmp_path, auxiliary=False, drop_path=0.0)
    trainer = build_trainer(settings, ONE_NODE, classes=10, image_channels=1)
    assert set(trainer.test_step(batch())) == {"loss", "accuracy"}


# Class weights


def test_balanced_classes_count_alike():
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])
    weights = balanced(labels, 3)
    assert weights == pytest.approx([0.5, 1.5, 3.0])
    assert np.mean(np.take(weights, labels)) == pytest.approx(1)
    assert balanced(np.arange(10), 10) == [1.0] * 10


def test_class_weights_weigh_the_gradient_and_not_what_is_reported(tmp_path):
    weights = np.linspace(0.1, 1.9, 10).tolist()
    (x, y), loss = batch(), cross_entropy(0.0)
    trainer = trainer_of(tmp_path, weights, auxiliary=False)
    trainer.weight_decay, trainer.clip_norm = 0.0, None
    variables = trainer.network.trainable_variables
    with tf.GradientTape() as tape:
        values = loss(y, trainer.network(x, training=True))
        weighed = tf.reduce_mean(tf.constant(weights)[:8] * values)
    gradients = tape.gradient(weighed, [v.value for v in variables])
    before = [v.numpy() for v in variables]
    results = trainer.train_step(batch())
    assert float(results["loss"]) == pytest.approx(float(tf.reduce_mean(values)), rel=1e-5)
    rate = float(trainer.optimizer.learning_rate)
    for variable, value, gradient in zip(variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable, value - rate * gradient, rtol=1e-4, atol=1e-6)


# The average of the weights


def test_averages_follow_weights_and_statistics(tmp_path):
    trainer = trainer_of(tmp_path, average_decay=0.75, auxiliary=False)
    network = trainer.network
    followed = [*network.trainable_variables, *network.non_trainable_variables]
    followed = [v for v in followed if v.name in ("kernel", "moving_mean", "moving_variance")]
    assert len(followed) > 20
    expected = [v.numpy() for v in followed]
    for _ in range(3):
        trainer.train_step(batch())
        now = [v.numpy() for v in followed]
        expected = [0.75 * e + 0.25 * n for e, n in zip(expected, now, strict=True)]
    held = {id(variable): average for variable, average in trainer.averages}
    for variable, value in zip(followed, expected, strict=True):
        np.testing.assert_allclose(held[id(variable)], value, rtol=1e-4, atol=1e-6)
    assert len(trainer.averages) == len(network.variables) - 2  # without drop path's rate and seed
    assert set(map(id, held.values())) <= set(map(id, trainer.state()))


def test_test_and_kept_network_are_those_of_the_averages(tmp_path):
    trainer = trainer_of(tmp_path, average_decay=0.5, auxiliary=False)
    for _ in range(2):
        trainer.train_step(batch())
    raw = trainer.network.get_weights()
    tested = {name: float(value) for name, value in trainer.test_step(batch()).items()}
    for before, now in zip(raw, trainer.network.get_weights(), strict=True):
        np.testing.assert_array_equal(before, now)
    trainer.take_averages()
    (x, y), loss = batch(), cross_entropy(0.0)
    trainer.reset_metrics()
    tested = float(trainer.test_step(batch())["loss"])
    values = loss(y, trainer.network(x, training=False))
    assert tested == pytest.approx(float(tf.reduce_mean(values)), rel=1e-5)


def test_averages_stay_in_a_step_that_is_not_finite(tmp_path):
    trainer = trainer_of(tmp_path, average_decay=0.5, auxiliary=False)
    trainer.train_step(batch())
    before = [average.numpy() for _, average in trainer.averages]
    x, y = batch()
    trainer.train_step((x * np.float32("nan"), y))
    for (_, average), value in zip(trainer.averages, before, strict=True):
        np.testing.assert_array_equal(average, value)


# Metrics


def test_top5_is_told_where_there_are_classes_enough():
    assert [metric.name for metric in accuracies(10)] == ["accuracy"]
    _, top5 = accuracies(20)
    assert top5.name == "top5_accuracy"
    logits = np.tile(np.arange(20, dtype=np.float32), (4, 1))
    top5.update_state([19, 15, 14, 0], logits)
    assert float(top5.result()) == 0.5
