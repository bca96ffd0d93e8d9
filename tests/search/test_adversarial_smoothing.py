"""The worst mixture near that of the alphas: against NumPy, and in the weights' step."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from numerics import assert_close, floatx
from stopped_searches import assert_stopped_ends_as_whole, tiny_config
from tiny_searches import TRAIN, VALID, softmaxed, spread_alphas, tiny

from darts_tf.data import load_dataset
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.models.mixture import mixed_by
from darts_tf.search.adversarial_smoothing import adversarial_smoothing
from darts_tf.search.darts import DARTS

SEED, RADIUS = tf.constant([2, 5]), 0.125


def distribution(rows):
    cut = np.clip(rows, 0, 1)
    return cut / cut.sum(1, keepdims=True)


def ascended(gradient_at, weights, first):
    """Seven steps of projected ascent in NumPy."""
    now = first
    for _ in range(7):
        pairs = zip(now, gradient_at(now), strict=True)
        moved = [p + 2 * RADIUS / 7 * np.sign(g) for p, g in pairs]
        now = [
            distribution(w + np.clip(m - w, -RADIUS, RADIUS))
            for w, m in zip(weights, moved, strict=True)
        ]
    return now


def first_points(weights, seed=SEED):
    """Random points: uniform noise by the seeds that `stateless_split` gives."""
    seeds = tf.random.experimental.stateless_split(seed, len(weights)).numpy()
    return [
        distribution(w + RADIUS * tf.random.stateless_uniform(w.shape, s, -1, 1, "float64").numpy())
        for w, s in zip(weights, seeds, strict=True)
    ]


def test_ascent_is_that_of_the_paper():
    rng = np.random.default_rng(0)
    weights = [softmaxed(rng.normal(size=(3, 4))) for _ in range(2)]
    targets = [softmaxed(rng.normal(size=(3, 4))) for _ in range(2)]

    def gradient_at(parts):  # of the squared distance to a point
        return [2 * (p - t) for p, t in zip(parts, targets, strict=True)]

    tensors = [tf.constant(w) for w in weights]
    worst = adversarial_smoothing(gradient_at, tensors, tf.constant(RADIUS), SEED)
    assert_close(worst, ascended(gradient_at, weights, first_points(weights)), 1e-12)
    for w, p, t in zip(weights, worst, targets, strict=True):
        assert np.sum((p - t) ** 2) > np.sum((w - t) ** 2)
        np.testing.assert_allclose(p.numpy().sum(1), 1, rtol=1e-12)


def made():
    with floatx("float64"):
        network = tiny("softmax", perturb="adversarial")
        settings = {"weight_decay": 0.0, "clip_norm": None, "attacks_mixture": True}
        trainer = DARTS(network, "first_order", **settings)
        trainer.compile(
            *(keras.optimizers.SGD(1.0), keras.optimizers.SGD(0.0)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    spread_alphas(network)
    network.perturb_radius.assign(RADIUS)
    return trainer


def test_weights_descend_the_loss_at_the_worst_mixture():
    trainer = made()
    network = trainer.network
    clean = [softmaxed(np.asarray(alphas, np.float64)) for alphas in network.alphas]
    weights = [tf.constant(w) for w in values(trainer.weights_to_train)]

    def loss_at(mixture, weights):
        with mixed_by(mixture), tracked_statistics(False):
            return trainer.loss_at(weights, trainer.read(network.alphas), TRAIN)

    def gradient_at(mixture):
        mixture = [tf.constant(part) for part in mixture]
        with tf.GradientTape() as tape:
            tape.watch(mixture)
            loss = loss_at(mixture, weights)
        return [np.array(tf.convert_to_tensor(g)) for g in tape.gradient(loss, mixture)]

    seed = np.asarray(network.seed_state)
    worst = ascended(gradient_at, clean, first_points(clean, tf.cast(seed, tf.int32)))
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = loss_at(worst, weights)
    descent = tape.gradient(loss, weights)
    results = trainer.train_step((TRAIN, VALID))
    assert float(results["loss"]) == pytest.approx(float(loss), rel=1e-9)
    assert float(loss) > float(loss_at(clean, weights))
    expected = [w - g for w, g in zip(weights, descent, strict=True)]
    assert_close(values(trainer.weights_to_train), expected, 1e-7, 1e-9)
    np.testing.assert_array_equal(network.seed_state, seed + [0, 1])


@pytest.mark.slow
@pytest.mark.usefixtures("one_node")
def test_search_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    dataset = load_dataset("digits", limit=32)
    assert_stopped_ends_as_whole(tmp_path, dataset, tiny_config, method="smooth_adversarial")
