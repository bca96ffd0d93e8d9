"""Regularisers of the alphas, against their papers' formulas and in the alphas' step."""

from __future__ import annotations

import typing

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from mostly_slow import mostly_slow
from numerics import assert_close, floatx
from tiny_searches import TRAIN, VALID, softmaxed, spread_alphas, tiny

from darts_tf.configs import SearchConfig
from darts_tf.errors import InputError
from darts_tf.search.darts import DARTS
from darts_tf.search.regularizers import REGULARIZERS
from darts_tf.training.schedules import WEIGHTS

ALPHAS = [np.random.default_rng(i).normal(size=(3, 4)) for i in range(2)]
EDGES = [np.random.default_rng(2).normal(size=3)] * 2
ROWS = np.concatenate(ALPHAS)
SIGMOIDS = 1 / (1 + np.exp(-ROWS))

BETA = np.where(ROWS > 0, ROWS, np.expm1(ROWS)) + 1  # elu(α) + 1

EXPECTED = {
    "beta-decay": (np.mean(np.log(np.exp(ROWS).sum(1))), softmaxed(ROWS) / 6),
    "zero-one": (
        -np.mean((SIGMOIDS - 0.5) ** 2),
        -2 / 24 * (SIGMOIDS - 0.5) * SIGMOIDS * (1 - SIGMOIDS),
    ),
    "concentration": (np.sum((BETA - 1) ** 2) / 2, (BETA - 1) * np.minimum(BETA, 1)),
}
"""Value and gradient; the gradient of β-DARTS is each edge's softmax over the number of edges."""


@pytest.mark.parametrize("name", REGULARIZERS)
def test_regularizer_has_the_value_and_gradient_of_its_paper(name):
    alphas = [tf.constant(a) for a in (*ALPHAS, *EDGES)]
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        value = REGULARIZERS[name](alphas)
    expected, gradient = EXPECTED[name]
    found = tape.gradient(value, alphas)
    assert_close(value, expected, 1e-14)
    assert_close(np.concatenate(found[:2]), gradient, 1e-14)
    assert found[2:] == [None, None]


def test_regularizers_are_flags_and_have_weights():
    choices = typing.get_args(typing.get_type_hints(SearchConfig)["regularizer"])
    assert set(choices) == {"auto", "none", *REGULARIZERS}
    assert set(WEIGHTS) == set(REGULARIZERS)


@mostly_slow(1, "name", REGULARIZERS)
def test_alphas_descend_the_loss_and_the_weighed_regularizer(name):
    """Runs SGD at rate 1. The alphas of whole edges follow only the gradient of the loss."""
    with floatx("float64"):
        network = tiny("sigmoid", partial_channels=2)
        trainer = DARTS(network, "first_order", regularizer=name, arch_weight_decay=0.0)
        trainer.compile(
            keras.optimizers.SGD(0.025, 0.9),
            keras.optimizers.SGD(1.0),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    spread_alphas(network)
    trainer.regularizer_weight.assign(3.0)
    before = values(network.alphas)
    loss, gradients = trainer.arch_gradients(TRAIN, VALID)
    alphas = [tf.constant(a) for a in before[:2]]
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        value = 3.0 * REGULARIZERS[name](alphas)
    more = [*tape.gradient(value, alphas), 0.0, 0.0]
    trainer.train_step((TRAIN, VALID))
    expected = [b - g - m for b, g, m in zip(before, gradients, more, strict=True)]
    assert_close(values(network.alphas), expected, 1e-12)
    assert float(trainer.arch_loss.result()) == pytest.approx(float(loss + value))


def test_trainer_refuses_an_unknown_regularizer():
    with pytest.raises(InputError, match="regularizer to be one of.*Received: regularizer='l1'"):
        DARTS(tiny("softmax"), regularizer="l1")


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({}, None),
        ({"relaxation": "gumbel"}, None),
        ({"relaxation": "sigmoid"}, "zero-one"),
        ({"relaxation": "dirichlet"}, "concentration"),
        ({"relaxation": "sigmoid", "regularizer": "none"}, None),
        ({"regularizer": "beta-decay"}, "beta-decay"),
    ],
)
def test_papers_regularizers_are_defaults_of_their_relaxations(fields, chosen):
    assert SearchConfig(workdir="run", **fields).chosen_regularizer == chosen


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"relaxation": "sigmoid", "regularizer": "beta-decay"},
            "regularizer=beta-decay with relaxation=softmax or gumbel. Received: .*=sigmoid",
        ),
        (
            {"relaxation": "gumbel", "regularizer": "zero-one"},
            "regularizer=zero-one with relaxation=sigmoid. Received: relaxation=gumbel",
        ),
        (
            {"regularizer": "concentration"},
            "regularizer=concentration with relaxation=dirichlet. Received: relaxation=softmax",
        ),
        ({"relaxation": "dirichlet", "jit_compile": "on"}, "Expected jit_compile=on with another"),
        ({"relaxation": "dirichlet", "stop_eigenvalue": True}, "Expected eigenvalue with another"),
        ({"relaxation": "dirichlet", "cost": "params"}, "cost with relaxation=softmax or gumbel"),
        ({"relaxation": "dirichlet", "selection": "perturbation"}, "Received: .*=dirichlet"),
        (
            {"relaxation": "sigmoid", "perturb": "random"},
            "perturb=random with relaxation=softmax. Received: relaxation=sigmoid",
        ),
    ],
)
def test_config_refuses_what_does_not_go_together(fields, message):
    with pytest.raises(InputError, match=message):
        SearchConfig(workdir="run", **fields)
