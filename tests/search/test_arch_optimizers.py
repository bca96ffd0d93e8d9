"""Optimizers of the alphas, compared with NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numerics import assert_close

from darts_tf.configs import SearchConfig, TextSearchConfig
from darts_tf.search.arch_optimizers import OPTIMIZERS, SharedAdam, arch_optimizer


def recursion(gradients, start, rate, beta_1, beta_2, shared):
    """Returns Adam's result in float64; `shared` for one second moment."""
    w, m, v = start.astype(np.float64), np.zeros(start.shape), np.zeros(start.shape)
    for step, gradient in enumerate(gradients.astype(np.float64), 1):
        square = np.mean(gradient**2) if shared else gradient**2
        m, v = beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * square
        scale = np.sqrt(v / (1 - beta_2**step)) + 1e-8
        w = w - rate * m / (1 - beta_1**step) / scale
    return w


@pytest.mark.parametrize("second_moment", OPTIMIZERS)
def test_steps_are_those_of_the_recursion(second_moment):
    rng = np.random.default_rng(0)
    scales = np.geomspace(0.01, 1, 8)
    gradients = (rng.normal(size=(6, 3, 8)) * scales).astype(np.float32)
    start = rng.normal(size=(3, 8)).astype(np.float32)
    config = SearchConfig(workdir="run", arch_second_moment=second_moment, arch_learning_rate=0.1)
    optimizer, variable = arch_optimizer(config), keras.Variable(start)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([gradient])
    settings = (config.arch_beta_1, config.arch_beta_2, second_moment == "shared")
    assert_close(variable.numpy(), recursion(gradients, start, 0.1, *settings), 1e-5)


def test_alphas_move_in_proportion_to_their_gradients():
    """Steady gradients: Adam moves all alike, the shared moment by their ratios."""
    gradient = np.array([[1.0, -0.1, 0.01]], np.float32)
    moved = {}
    for name, optimizer in OPTIMIZERS.items():
        variable = keras.Variable(np.zeros((1, 3), np.float32))
        own = optimizer(0.1)
        own.build([variable])
        for _ in range(3):
            own.apply([gradient])
        moved[name] = variable.numpy()[0]
    assert moved["each"] == pytest.approx([-0.3, 0.3, -0.3], rel=1e-3)
    assert moved["shared"] / moved["shared"][0] == pytest.approx(gradient[0], rel=1e-4)
    assert np.sqrt(np.mean(moved["shared"] ** 2)) == pytest.approx(0.3, rel=1e-4)


def test_optimizer_is_restored_from_its_config():
    optimizer = SharedAdam(0.5, 0.1, 0.2, 1e-3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert isinstance(again, SharedAdam)
    assert again.get_config() == optimizer.get_config()


def test_searches_on_text_choose_it_too():
    config = TextSearchConfig(workdir="run", arch_second_moment="shared")
    assert isinstance(arch_optimizer(config), SharedAdam)
