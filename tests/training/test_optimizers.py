"""Clipping and decay compared with closed forms, SGD steps with the authors' rule."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close

from darts_tf.training.optimizers import SGD, clip_then_decay

GRADIENTS = [np.array([3.0, 0.0]), np.array([[0.0], [4.0]])]  # global norm 5
WEIGHTS = [np.array([1.0, -2.0]), np.array([[0.5], [10.0]])]

pytestmark = pytest.mark.usefixtures("float64")


def tensors(arrays):
    return [tf.constant(a) for a in arrays]


@pytest.mark.parametrize(
    ("clip_norm", "scale"), [(None, 1.0), (10.0, 1.0), (5.0, 1.0), (2.5, 0.5), (0.5, 0.1)]
)
def test_clipping_scales_by_the_norm_over_all_gradients(clip_norm, scale):
    clipped = clip_then_decay(tensors(GRADIENTS), WEIGHTS, clip_norm, 0.0)
    assert_close(clipped, [scale * g for g in GRADIENTS], 1e-15)


def test_decay_is_added_after_clipping():
    result = clip_then_decay(tensors(GRADIENTS), tensors(WEIGHTS), 1.0, 0.1)
    expected = [g / 5 + 0.1 * w for g, w in zip(GRADIENTS, WEIGHTS, strict=True)]
    assert_close(result, expected, 1e-15)


def test_decay_takes_variables():
    variables = [keras.Variable(w) for w in WEIGHTS]
    result = clip_then_decay(tensors(GRADIENTS), variables, None, 0.1)
    assert_close(result, [g + 0.1 * w for g, w in zip(GRADIENTS, WEIGHTS, strict=True)], 1e-15)


def reference_steps(weights, gradients, count, *, rate, momentum, decay, clip_norm):
    """PyTorch's rule: g = clip(∇L) + λw; buffer = μ·buffer + g; w = w − lr·buffer."""
    weights, buffers = [w.copy() for w in weights], [np.zeros_like(w) for w in weights]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    for _ in range(count):
        for w, buffer, g in zip(weights, buffers, gradients, strict=True):
            buffer *= momentum
            buffer += g * min(1, clip_norm / norm) + decay * w
            w -= rate * buffer
    return weights


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_steps_as_the_reference_does(momentum):
    variables = [keras.Variable(w) for w in WEIGHTS]
    optimizer = SGD(0.1, momentum, l2=0.01, clip_norm=2.0)
    for _ in range(3):
        optimizer.apply(tensors(GRADIENTS), variables)
    settings = {"rate": 0.1, "momentum": momentum, "decay": 0.01, "clip_norm": 2.0}
    # (Keras' momentum is float32 for weights of any dtype)
    assert_close(variables, reference_steps(WEIGHTS, GRADIENTS, 3, **settings), 1e-7)


def test_sgd_takes_gradients_alone_once_built():
    variables = [keras.Variable(w) for w in WEIGHTS]
    optimizer = SGD(0.1, 0.0, l2=0.0, clip_norm=None)
    optimizer.build(variables)
    optimizer.apply(tensors(GRADIENTS))
    assert_close(variables, [w - 0.1 * g for w, g in zip(WEIGHTS, GRADIENTS, strict=True)], 1e-14)


def test_sgd_config_round_trip_keeps_settings():
    optimizer = SGD(0.3, 0.8, l2=0.02, clip_norm=1.5)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is SGD
    assert (copy.momentum, copy.l2, copy.clip_norm) == (0.8, 0.02, 1.5)
    assert float(copy.learning_rate) == pytest.approx(0.3)


def test_sgd_trains_a_keras_model():
    """A step of `fit` equals the closed form: clipped gradient, then decay."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(SGD(0.1, 0.0, l2=0.01, clip_norm=1.0), loss="mse", run_eagerly=True)
    (kernel,) = model.weights
    kernel.assign([[1.0], [2.0]])
    model.fit(np.array([[3.0, 4.0]]), np.array([[0.0]]), verbose=0)
    # output 11, gradient 2 · 11 · (3, 4) with norm 110, clipped to (0.6, 0.8)
    assert_close(kernel, np.array([[1 - 0.1 * (0.6 + 0.01)], [2 - 0.1 * (0.8 + 0.02)]]), 1e-14)
