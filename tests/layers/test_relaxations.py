"""Relaxations compared with the papers' formulas, and search steps with them."""

from __future__ import annotations

import typing

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from numerics import assert_close, by_nested_tapes, floatx
from tiny_searches import TRAIN, VALID, made_trainer, softmaxed, spread_alphas, tiny

from darts_tf.configs import SearchConfig
from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.errors import InputError
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.layers.relaxations import RELAXATIONS, dirichlet, gumbel, gumbel_noise
from darts_tf.spaces.cell import PRIMITIVES
from darts_tf.spaces.derivation import STRENGTHS, derive

ALPHAS = np.random.default_rng(0).normal(size=(5, 4))
BETA = np.where(ALPHAS > 0, ALPHAS, np.expm1(ALPHAS)) + 1  # elu(α) + 1
SEED, OTHER = tf.constant([3, 1]), tf.constant([3, 2])


EXPECTED = {
    "softmax": softmaxed(ALPHAS),
    "sigmoid": 1 / (1 + np.exp(-ALPHAS)),
    "gumbel": np.eye(4)[ALPHAS.argmax(1)],
    "dirichlet": BETA / BETA.sum(1, keepdims=True),
}
"""At inference."""


@pytest.mark.parametrize("name", RELAXATIONS)
def test_relaxation_has_the_weights_of_its_paper(name):
    assert_close(RELAXATIONS[name](tf.constant(ALPHAS), 0.5), EXPECTED[name], 1e-14)


@pytest.mark.parametrize("name", RELAXATIONS)
def test_relaxation_is_a_flag_and_has_strengths(name):
    assert name in typing.get_args(typing.get_type_hints(SearchConfig)["relaxation"])
    strengths = STRENGTHS[name](ALPHAS)
    probabilities = EXPECTED["softmax" if name == "gumbel" else name]
    assert_close(strengths, probabilities, 1e-14)


def test_gumbel_noise_has_the_moments_of_its_distribution():
    noise = gumbel_noise((200_000,), SEED, tf.float64).numpy()
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=0.01)
    assert noise.var() == pytest.approx(np.pi**2 / 6, rel=0.02)


def test_gumbel_draws_operations_by_their_probabilities():
    rows = tf.constant(np.tile(ALPHAS[:1], (50_000, 1)))
    drawn = gumbel(rows, 1.0, SEED).numpy()
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert_close(drawn.mean(0), softmaxed(ALPHAS[:1])[0], 0, 0.01)


def test_gumbel_is_a_function_of_its_seed_and_hard_at_any_temperature():
    alphas = tf.constant(np.tile(ALPHAS, (20, 1)))
    first = gumbel(alphas, 10.0, SEED)
    np.testing.assert_array_equal(first, gumbel(alphas, 0.1, SEED))
    assert not np.array_equal(first, gumbel(alphas, 10.0, OTHER))


@pytest.mark.parametrize("temperature", [8.0, 0.125])
def test_gumbel_has_the_gradient_of_the_relaxed_sample(temperature):
    """The gradient is (diag s - s sᵀ) / τ, s = softmax((log p + g) / τ), log p = α + const."""
    alphas, upstream = tf.constant(ALPHAS), np.random.default_rng(1).normal(size=ALPHAS.shape)
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        sample = gumbel(alphas, temperature, SEED)
    noise = gumbel_noise(ALPHAS.shape, SEED, tf.float64).numpy()
    scores = np.log(softmaxed(ALPHAS)) + noise
    np.testing.assert_array_equal(sample, np.eye(4)[scores.argmax(1)])
    soft = softmaxed(scores / temperature)
    expected = soft * (upstream - (soft * upstream).sum(1, keepdims=True)) / temperature
    assert_close(tape.gradient(sample, alphas, output_gradients=upstream), expected, 1e-12)


SAMPLES = 40_000


def sampled_rows(beta):
    """Returns samples of a Dirichlet distribution, and the derivatives of their means."""
    beta = np.asarray(beta)
    alphas = tf.constant(np.tile(np.where(beta > 1, beta - 1, np.log(beta)), (SAMPLES, 1)))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(alphas)
        parts = tf.unstack(dirichlet(alphas, seed=SEED), axis=1)
    slopes = [tape.gradient(part, alphas).numpy() for part in parts]
    return np.stack(parts, 1), np.array(slopes)


@pytest.mark.parametrize("beta", [[0.4, 1.0, 1.0, 2.5], [0.03, 0.1, 0.05]])
def test_dirichlet_sample_has_the_moments_and_slopes_of_its_distribution(beta):
    """Mean m = β / B, variance m (1 - m) / (B + 1), dm_i/dβ_j = (δ_ij - m_i) / B, B = Σβ."""
    sample, slopes = sampled_rows(beta)
    total, mean = sum(beta), np.array(beta) / sum(beta)
    np.testing.assert_allclose(sample.sum(1), 1, rtol=1e-12)
    error = np.sqrt(mean * (1 - mean) / (total + 1) / SAMPLES)
    assert (np.abs(sample.mean(0) - mean) < 4 * error).all()
    np.testing.assert_allclose(sample.var(0), mean * (1 - mean) / (total + 1), rtol=0.05)
    by_beta = (np.eye(len(beta)) - mean[:, None]) / total
    by_alpha = by_beta * np.minimum(beta, 1)  # dβ/dα is 1 above 0, else exp(α) = β
    deviation = slopes.std(1) / np.sqrt(SAMPLES)
    assert (np.abs(slopes.mean(1) - by_alpha) < 4.5 * deviation).all()


def test_dirichlet_sample_is_a_function_of_its_seed():
    alphas = tf.constant(ALPHAS)
    np.testing.assert_array_equal(dirichlet(alphas, seed=SEED), dirichlet(alphas, seed=SEED))
    assert not np.array_equal(dirichlet(alphas, seed=SEED), dirichlet(alphas, seed=OTHER))


def test_dirichlet_sample_and_slope_are_finite_at_tiny_concentrations():
    """Gamma samples of shape 1e-4 are below the least float32; their ratios are not."""
    alphas = tf.fill((50, 4), tf.math.log(1e-4))
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        sample = dirichlet(alphas, seed=SEED)
        value = tf.reduce_sum(sample[:, 0])
    assert np.isfinite(tape.gradient(value, alphas)).all()
    assert_close(sample.numpy().max(1), np.ones(50), 1e-3)  # nearly all weight on one operation


def test_derivation_ranks_edges_by_sigmoids():
    """All operations of one edge are strong: a softmax divides them, sigmoids do not."""
    alphas = np.full((5, len(PRIMITIVES)), -1.0)
    alphas[2] = 3.0  # from 0 into the second node
    alphas[3:, PRIMITIVES.index("skip_connect")] = 2.0
    by_softmax, by_sigmoid = (derive(alphas, alphas, relaxation=n) for n in ("softmax", "sigmoid"))
    assert [source for _, source in by_softmax.normal[2:]] == [1, 2]
    assert [source for _, source in by_sigmoid.normal[2:]] == [0, 1]


def test_genotype_of_a_supernet_is_derived_by_its_relaxation():
    supernet = tiny("sigmoid", primitives=PRIMITIVES)
    for variable in supernet.alphas:
        variable.assign(np.random.default_rng(2).normal(size=variable.shape))
    alphas = values(supernet.alphas)
    assert supernet.genotype() == derive(*alphas, relaxation="sigmoid")


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.mark.parametrize("relaxation", ["sigmoid", *map(slow, ("gumbel", "dirichlet"))])
def test_second_order_is_the_gradient_by_nested_tapes(relaxation):
    with floatx("float64"):
        trainer = made_trainer(tiny(relaxation, partial_channels=2))
    network = trainer.network
    spread_alphas(network)
    weights, alphas = ([tf.constant(v) for v in values(vs)] for vs in _parts(network))
    arguments = (weights, alphas, TRAIN, VALID, trainer.virtual_step)
    _, expected = by_nested_tapes(trainer.loss_at, *arguments)
    _, gradients = trainer.arch_gradients(TRAIN, VALID)
    assert_close(gradients, expected, 1e-9)
    radius = 1e-6  # both sides of the difference use the same sample, so it is a derivative
    _, close = ESTIMATORS["finite_difference"](trainer.loss_at, *arguments, radius=radius)
    assert_close(close, expected, 1e-4)


def _parts(network):
    return network.network_weights, network.alphas


def test_sample_is_the_same_within_a_step_and_another_in_the_next():
    with floatx("float64"):
        trainer = made_trainer(tiny("gumbel", nodes=2), arch_gradient="first_order")
    network = trainer.network
    seed = network.seed_state
    before = np.asarray(seed)

    def loss():
        return float(trainer.loss_at(*map(trainer.read, _parts(network)), TRAIN))

    assert loss() == loss()
    trainer.arch_gradients(TRAIN, VALID)
    np.testing.assert_array_equal(seed, before)
    samples = []
    for _ in range(6):
        samples.append(loss())
        with tracked_statistics(True):
            network(TRAIN[0], training=True)
    assert len(set(samples)) > 1
    np.testing.assert_array_equal(seed, before + [0, 6])
    trainer.train_step((TRAIN, VALID))
    np.testing.assert_array_equal(seed, before + [0, 7])


def test_inference_draws_nothing():
    network = tiny("gumbel", op_dropout=0.5)
    spread_alphas(network)
    x = tf.ones((2, 8, 8, 3))
    np.testing.assert_array_equal(network(x), network(x))
    chosen = [np.eye(4)[np.asarray(a).argmax(1)] for a in network.alphas]
    assert_close(network._mixtures([]), chosen, 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"relaxation": "hard"}, "relaxation to be one of softmax, .*, dirichlet. Received: rel"),
        (
            {"relaxation": "softmax", "perturb": "all"},
            "perturb to be one of none, random, adversarial. ",
        ),
        ({"relaxation": "gumbel", "perturb": "random"}, "the relaxation softmax.*'gumbel'"),
        ({"relaxation": "softmax", "op_dropout": 1.0}, "op_dropout in .0, 1.. Received"),
    ],
)
def test_supernet_refuses_what_does_not_go_together(wrong, message):
    with pytest.raises(InputError, match=message):
        tiny(**wrong)


def test_saved_supernet_keeps_its_relaxation(tmp_path):
    supernet = tiny("gumbel", op_dropout=0.25)
    spread_alphas(supernet)
    supernet.temperature.assign(3.0)
    supernet.save(tmp_path / "supernet.keras")
    copy = keras.saving.load_model(tmp_path / "supernet.keras")
    x = tf.ones((2, 8, 8, 3))
    assert_close(copy(x), supernet(x), 1e-6)
    assert float(copy.temperature) == 3.0
    assert copy.get_config() == supernet.get_config()
