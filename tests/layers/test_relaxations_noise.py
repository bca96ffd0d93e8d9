"""Perturbed mixtures compared with SmoothDARTS' formulas."""

from __future__ import annotations

import typing

import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from numerics import assert_close, floatx
from tiny_searches import TRAIN, VALID, made_trainer, softmaxed, spread_alphas, tiny

from darts_tf.configs import SearchConfig
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.layers.relaxations import ADVERSARIAL, PERTURBATIONS, random_smoothing

WEIGHTS = softmaxed(np.random.default_rng(0).normal(size=(500, 4)))
SEED = tf.constant([7, 0])


def test_perturbations_are_flags():
    choices = typing.get_args(typing.get_type_hints(SearchConfig)["perturb"])
    assert choices == ("none", *PERTURBATIONS, ADVERSARIAL)


def test_random_noise_is_uniform_within_the_radius():
    """The radius is so small that nothing is clipped, and only the sum is normalised."""
    even = np.full((20_000, 4), 0.25)
    moved = random_smoothing(tf.constant(even), 0.125, SEED).numpy()
    assert_close(moved.sum(1), np.ones(20_000), 1e-14)
    noise = tf.random.stateless_uniform(even.shape, SEED, -0.125, 0.125, tf.float64).numpy()
    assert_close(moved, (even + noise) / (even + noise).sum(1, keepdims=True), 1e-14)
    assert noise.std() == pytest.approx(0.125 / 3**0.5, rel=0.01)


def test_random_noise_leaves_distributions():
    noise = 2 * tf.random.stateless_uniform(WEIGHTS.shape, SEED, -1.0, 1.0, tf.float64).numpy()
    cut = np.clip(WEIGHTS + noise, 0, 1)
    lost = cut.sum(1) == 0
    assert 0 < lost.sum() < len(lost)
    cut[lost] = np.eye(4)[(WEIGHTS + noise)[lost].argmax(1)]
    expected = cut / cut.sum(1, keepdims=True)
    assert_close(random_smoothing(tf.constant(WEIGHTS), 2.0, SEED), expected, 1e-14)


def test_random_noise_of_radius_zero_is_none():
    assert_close(random_smoothing(tf.constant(WEIGHTS), 0.0, SEED), WEIGHTS, 1e-14)


def test_weights_learn_at_perturbed_mixtures_and_alphas_at_their_own():
    with floatx("float64"):
        plain, moved = (
            made_trainer(tiny("softmax", perturb=name), arch_gradient="first_order")
            for name in ("none", "random")
        )
    more = {id(variable) for variable in (moved.network.perturb_radius, moved.network.seed_state)}
    copies = [v for v in moved.network.variables if id(v) not in more]
    for ours, theirs in zip(copies, plain.network.variables, strict=True):
        ours.assign(theirs)
    spread_alphas(plain.network)
    spread_alphas(moved.network)
    moved.network.perturb_radius.assign(0.3)
    assert_close(moved.arch_gradients(TRAIN, VALID), plain.arch_gradients(TRAIN, VALID), 1e-12)
    assert_close(moved.network(TRAIN[0]), plain.network(TRAIN[0]), 1e-12)
    with tracked_statistics(False):
        logits = plain.network(TRAIN[0], training=True)
        assert_close(moved.network(TRAIN[0], training=True), logits, 1e-12)
    seed = moved.network.seed_state
    before = np.asarray(seed)
    assert np.abs(moved.network(TRAIN[0], training=True) - logits).max() > 1e-3
    np.testing.assert_array_equal(seed, before + [0, 1])
    weights = values(plain.network.network_weights)
    for trainer in (plain, moved):
        trainer.train_step((TRAIN, VALID))
    assert_close(values(moved.network.alphas), values(plain.network.alphas), 1e-9)
    steps = [
        np.concatenate([np.ravel(a - b) for a, b in zip(values(n), weights, strict=True)])
        for n in (plain.network.network_weights, moved.network.network_weights)
    ]
    assert np.linalg.norm(steps[1] - steps[0]) > 0.01 * np.linalg.norm(steps[0])
