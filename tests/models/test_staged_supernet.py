"""The supernet of NAS-Bench-201: alphas, exact gradients, mixtures, what it shares with others."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from mostly_slow import mostly_slow
from numerics import assert_close, by_nested_tapes, floatx

from darts_tf.errors import InputError
from darts_tf.models.counting import count_params
from darts_tf.models.mixture import mixed_by, projected
from darts_tf.models.network import build_network
from darts_tf.models.supernet import StagedSupernet, Supernet, build_supernet
from darts_tf.search import perturbation
from darts_tf.search.darts import DARTS
from darts_tf.spaces.cell import EDGE_PRIMITIVES
from darts_tf.spaces.genotype import EdgeGenotype
from darts_tf.spaces.search_spaces import edge_space, recurrent_space, space_of

FEW = edge_space(2, ("none", "skip_connect", "nor_conv_1x1", "avg_pool_3x3"))


def drawn_batch(seed, dtype="float64"):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(3, 8, 8, 3)), dtype), tf.constant(rng.integers(0, 3, 3))


def trainer_of(arch_gradient="second_order", **settings):
    keras.utils.set_random_seed(0)
    with floatx("float64"):
        network = StagedSupernet(2, 1, 3, space=FEW, **settings)
        for i, alphas in enumerate(network.alphas):
            alphas.assign(np.random.default_rng(i).normal(size=alphas.shape))
        trainer = DARTS(network, arch_gradient=arch_gradient)
        trainer.compile(
            optimizer=keras.optimizers.SGD(0.025, 0.9),
            arch_optimizer=keras.optimizers.SGD(0.1),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    return trainer


TRAIN, VALID = drawn_batch(0), drawn_batch(1)


def test_cells_share_one_set_of_alphas():
    network = StagedSupernet(4, 2, 10)
    assert [alphas.shape for alphas in network.alphas] == [(6, 5)]
    assert len(network.cells) == 6
    assert network(np.zeros((2, 8, 9, 3), np.float32)).shape == (2, 10)
    partial = StagedSupernet(4, 1, 10, partial_channels=2)
    assert [alphas.shape for alphas in partial.alphas] == [(6, 5), (6,)]


def test_weights_are_those_of_all_operations():
    """Convolutions of 1 and 9 positions on 6 edges a cell, whose normalizations are not affine."""
    network = StagedSupernet(4, 1, 10)
    around = count_params(build_network(EdgeGenotype(("none",) * 6), 4, 1, 10))
    assert count_params(network) == around + sum(6 * 10 * c**2 for c in (4, 8, 16))


@mostly_slow(1, "settings", [{}, {"partial_channels": 2}])
def test_second_order_is_the_gradient_by_nested_tapes(settings):
    trainer = trainer_of(**settings)
    weights = [tf.constant(v) for v in values(trainer.network.network_weights)]
    alphas = [tf.constant(a) for a in values(trainer.network.alphas)]
    arguments = (trainer.loss_at, weights, alphas, TRAIN, VALID, trainer.virtual_step)
    expected_loss, expected = by_nested_tapes(*arguments)
    loss, gradients = trainer.arch_gradients(TRAIN, VALID)
    assert_close(loss, expected_loss, 1e-12)
    assert_close(gradients, expected, 1e-9)


@pytest.mark.slow
def test_estimators_agree_where_the_virtual_step_is_nothing():
    """At a learning rate of almost 0 the exact gradient and the others are the first order's."""
    found = {}
    for name in ("first_order", "second_order", "finite_difference"):
        trainer = trainer_of(name)
        trainer.optimizer.learning_rate.assign(1e-9)
        found[name] = trainer.arch_gradients(TRAIN, VALID)[1]
    assert_close(found["second_order"], found["first_order"], 1e-5)
    assert_close(found["finite_difference"], found["first_order"], 1e-5)


def test_mixture_of_one_operation_per_edge_is_the_discrete_network():
    """Both normalize by the statistics of the batch; those of the network are fresh, 1 and 0."""
    keras.utils.set_random_seed(1)
    supernet = StagedSupernet(4, 1, 5)
    digits = "304123"
    genotype = EdgeGenotype(tuple(EDGE_PRIMITIVES[int(digit)] for digit in digits))
    network = build_network(genotype, 4, 1, 5)
    parts = ("stem", "norm", "head")
    pairs = [(getattr(network, part), getattr(supernet, part)) for part in parts]
    pairs += list(zip(network.reductions, supernet.reductions, strict=True))
    for target, source in pairs:
        target.set_weights(source.get_weights())
    for target, source in zip(network.cells, supernet.cells, strict=True):
        for (name, start, end), op in zip(target.edges, target.ops, strict=True):
            if not name.startswith("nor_conv"):
                continue
            mixed, width = source.mixed[start], target.channels
            own = mixed.ops[EDGE_PRIMITIVES.index(name)]
            place = end - start - 1
            op.kernel.assign(own.kernel[..., place * width : (place + 1) * width])
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    mixture = projected(genotype, supernet.mixture(), supernet.space)
    with mixed_by(mixture):
        found = supernet(x, training=True)
    assert_close(found, network(x, training=True), 1e-4)


@pytest.mark.parametrize("relaxation", ["softmax", "sigmoid", "gumbel"])
def test_every_relaxation_mixes_and_derives(relaxation):
    network = StagedSupernet(2, 1, 3, relaxation=relaxation)
    (alphas,) = network.alphas
    alphas.assign(np.eye(5)[[3, 0, 1, 1, 4, 2]])
    x = np.zeros((2, 8, 8, 3), np.float32)
    assert np.isfinite(network(x, training=True)).all()
    names = [EDGE_PRIMITIVES[column] for column in (3, 0, 1, 1, 4, 2)]
    assert network.genotype() == EdgeGenotype(tuple(names))


def test_noise_and_dropout_of_skips_are_drawn_in_training():
    for settings in ({"perturb": "random"}, {"op_dropout": 0.5}):
        network = StagedSupernet(2, 1, 3, **settings)
        if network.perturb_radius is not None:
            network.perturb_radius.assign(0.3)
        x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
        first, second = (np.asarray(network(x, training=True)) for _ in range(2))
        assert not np.allclose(first, second)
        assert_close(network(x), network(x), 0)


def test_config_restores_the_supernet():
    network = StagedSupernet(4, 2, 3, 1, space=FEW, partial_channels=2)
    restored = StagedSupernet.from_config(network.get_config())
    assert restored.space == FEW
    assert restored.get_config() == network.get_config()


def test_space_decides_on_the_supernet():
    assert isinstance(build_supernet(edge_space(), 2, 1, 3, 1), StagedSupernet)
    assert isinstance(build_supernet(space_of(1), 2, 3, 3, 1), Supernet)
    with pytest.raises(InputError, match="Received: 1 kinds of cells"):
        build_supernet(recurrent_space(3), 2, 1, 3, 1)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"cells": 0}, "cells to be positive. Received: cells=0"),
        ({"space": space_of()}, "Expected a space of a cell with an operation on every edge"),
        ({"partial_channels": 3}, "channels to be a multiple of partial_channels"),
        ({"relaxation": "none"}, "relaxation to be one of"),
    ],
)
def test_impossible_supernets_are_refused(changed, says):
    with pytest.raises(InputError, match=says):
        StagedSupernet(**{"channels": 4, "cells": 1, **changed})


@pytest.mark.parametrize("seed", range(3))
def test_selection_by_perturbation_keeps_what_is_worth_most(seed):
    """With additive worths the order of decisions does not matter; `none` is a candidate, too."""
    space = edge_space()
    worth = np.random.default_rng(seed).normal(size=(6, 5))

    def measure(mixture):
        return float(np.sum(worth * mixture[0])), 0.0

    choice, mixture = perturbation.nothing_decided(space), [np.full((6, 5), 0.2)]
    rounds = perturbation.rounds(space, seed)
    assert sorted(decision.index for (decision,) in rounds) == list(range(6))
    for (decision,) in rounds:
        choice, without = perturbation.decide(choice, decision, mixture, space, measure)
        assert set(without) == set(EDGE_PRIMITIVES)
        words = perturbation.describe_decision(decision, choice, space, without)
        assert words.startswith("cell edge ")
    best = [EDGE_PRIMITIVES[column] for column in worth.argmax(axis=1)]
    assert perturbation.genotype_of(choice, space) == EdgeGenotype(tuple(best))
    decided = perturbation.mixture_of(choice, mixture, space)
    assert_close(decided, [np.eye(5)[worth.argmax(axis=1)]], 0)
