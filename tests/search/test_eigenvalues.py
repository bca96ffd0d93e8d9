"""The dominant eigenvalue of the Hessian along the alphas, against the whole Hessian."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from numerics import assert_close, floatx

from darts_tf.models.recurrent_supernet import RecurrentSupernet
from darts_tf.models.supernet import Supernet
from darts_tf.search.darts import DARTS
from darts_tf.search.eigenvalues import hessian_product, hessian_products, largest_eigenvalue
from darts_tf.search.language_darts import LanguageDARTS

CROSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def symmetric(eigenvalues, seed=0):
    """Returns a symmetric matrix with these eigenvalues and random eigenvectors."""
    rng = np.random.default_rng(seed)
    vectors, _ = np.linalg.qr(rng.normal(size=(len(eigenvalues),) * 2))
    return vectors @ np.diag(eigenvalues) @ vectors.T


@pytest.mark.parametrize("size", [1, 2, 5, 80])
def test_lanczos_finds_the_largest_eigenvalue(size):
    matrix = symmetric(np.random.default_rng(size).normal(size=size))
    expected = np.linalg.eigvalsh(matrix)[-1]
    found = largest_eigenvalue(lambda v: matrix @ v, size, tolerance=1e-10, most=size)
    assert found == pytest.approx(expected, rel=1e-8)


def test_lanczos_finds_the_largest_not_the_farthest_from_zero():
    matrix = symmetric([-9.0, *np.linspace(-1, 2, 60)])
    assert largest_eigenvalue(lambda v: matrix @ v, 61) == pytest.approx(2, rel=1e-3)


def test_lanczos_takes_few_products_where_one_eigenvalue_stands_out():
    matrix, calls = symmetric([*np.linspace(-0.1, 0.1, 200), 5.0]), []
    found = largest_eigenvalue(lambda v: calls.append(1) or matrix @ v, 201)
    assert found == pytest.approx(5, rel=1e-6)
    assert len(calls) < 6


def test_lanczos_ends_in_a_space_that_the_matrix_keeps():
    assert largest_eigenvalue(lambda v: 3 * v, 50) == pytest.approx(3)
    assert largest_eigenvalue(lambda v: 0 * v, 50) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_lanczos_of_what_is_not_finite_is_not_a_number(bad):
    assert np.isnan(largest_eigenvalue(lambda v: v * bad, 4))


# On a supernet, in float64


@pytest.fixture(scope="module")
def searched():
    """Returns a supernet with random alphas, its validation loss, the traces, and products."""
    keras.utils.set_random_seed(0)
    rng, traces = np.random.default_rng(1), []
    with floatx("float64"):
        primitives = ("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3")
        network = Supernet(channels=2, cells=3, classes=3, nodes=1, primitives=primitives)
        for alphas in network.alphas:
            alphas.assign(rng.normal(size=alphas.shape))
        trainer = DARTS(network)
        trainer.compile(keras.optimizers.SGD(0.1), "adam", CROSS)
    batch = tf.constant(rng.normal(size=(4, 8, 8, 3))), tf.constant(rng.integers(0, 3, 4))

    def loss(alphas):
        traces.append(1)
        return loss_of(trainer, batch)(alphas)

    return trainer, loss, traces, hessian_products(loss, network.alphas)


def loss_of(trainer, batch):
    return lambda alphas: trainer.loss_at(trainer.read(trainer.weights_to_train), alphas, batch)


def whole_hessian(loss, alphas, step=1e-5):
    """Computes the Hessian by central differences of gradients, a column for each alpha."""

    @tf.function(autograph=False)
    def slope(alphas):
        with tf.GradientTape() as tape:
            tape.watch(alphas)
            value = loss(alphas)
        return tape.gradient(value, alphas, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    point = np.concatenate([np.ravel(a) for a in alphas])
    ends = np.cumsum([np.size(a) for a in alphas])[:-1]

    def at(vector):
        parts = zip(np.split(vector, ends), alphas, strict=True)
        found = slope([tf.constant(part.reshape(np.shape(a))) for part, a in parts])
        return np.concatenate([np.ravel(part) for part in found])

    steps = step * np.eye(len(point))
    return np.stack([(at(point + s) - at(point - s)) / (2 * step) for s in steps], 1)


def test_eigenvalue_is_that_of_the_whole_hessian(searched):
    trainer, loss, _, product = searched
    hessian = whole_hessian(loss, values(trainer.network.alphas))
    assert_close(hessian, hessian.T, 1e-5)
    expected = np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1]
    assert expected > 0
    vector = np.random.default_rng(3).normal(size=len(hessian))
    assert_close(product(vector), hessian @ vector, 1e-6)
    assert largest_eigenvalue(product, len(hessian)) == pytest.approx(expected, rel=1e-3)
    exact = largest_eigenvalue(product, len(hessian), tolerance=1e-9)
    assert exact == pytest.approx(expected, rel=1e-6)


def test_product_follows_the_variables_without_a_new_trace(searched):
    trainer, loss, traces, product = searched
    variables = [*trainer.network.alphas, *trainer.network.network_weights]
    vector = np.random.default_rng(4).normal(size=sum(np.size(a) for a in variables[:2]))
    first, kept, count = product(vector), values(variables), len(traces)
    try:
        for variable in variables:
            variable.assign(1.5 * variable)
        second = product(vector)
        assert len(traces) == count
        hessian = whole_hessian(loss, values(trainer.network.alphas))
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)
    assert_close(second, hessian @ vector, 1e-6)
    assert np.abs(first - second).max() > 1e-3 * np.abs(first).max()


def test_products_change_nothing(searched):
    trainer, _, _, product = searched
    variables = [*trainer.network.variables, *trainer.optimizer.variables]
    before = values(variables)
    product(np.ones(16))
    assert_close(values(variables), before, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_product_on_a_recurrent_supernet():
    network = RecurrentSupernet(vocabulary=11, units=5, nodes=2)
    network(np.zeros((1, 1), "int32"))
    trainer = LanguageDARTS(network, batch_size=3, test_batch_size=3)
    trainer.compile(keras.optimizers.SGD(0.1), "adam", CROSS)
    rng = np.random.default_rng(0)
    network.alphas[0].assign(rng.normal(size=network.alphas[0].shape))
    tokens, targets = (tf.constant(rng.integers(0, 11, (3, 4))) for _ in range(2))
    loss = loss_of(trainer, ((tokens, tf.zeros((3, 5), tf.float64)), targets))
    hessian = whole_hessian(loss, values(network.alphas))
    vector = rng.normal(size=len(hessian))
    product = hessian_products(loss, network.alphas)
    assert_close(product(vector), hessian @ vector, 1e-6)
    expected = np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1]
    assert largest_eigenvalue(product, len(hessian)) == pytest.approx(expected, rel=1e-3)


def test_product_of_a_quadratic_is_its_matrix():
    matrix = symmetric([1.0, 2.0, -3.0])

    def loss(alphas):
        (a,) = alphas
        return 0.5 * tf.tensordot(a, tf.linalg.matvec(matrix, a), 1)

    direction = [tf.constant([1.0, -1.0, 2.0], tf.float64)]
    (found,) = hessian_product(loss, [tf.zeros(3, tf.float64)], direction)
    assert_close(found, matrix @ direction[0].numpy(), 1e-12)
