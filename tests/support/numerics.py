"""Numerical helpers of the tests: precision, comparison, and second derivatives."""

from __future__ import annotations

import contextlib

import keras
import numpy as np
import tensorflow as tf


@contextlib.contextmanager
def floatx(name: str):
    """Context manager: sets Keras' default type, and so the dtype policy of new layers."""
    previous = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(previous[0])
        keras.config.set_dtype_policy(previous[1])


def relative_error(actual, expected) -> float:
    """Returns the largest difference over the largest expected number."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def assert_close(actual, expected, relative: float, absolute: float = 0.0) -> None:
    """Asserts that arrays or lists agree to `relative` times each array's largest number."""
    if isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, relative, absolute)
        return
    expected = np.asarray(expected)
    tolerance = max(relative * np.abs(expected).max(initial=0), absolute)
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=0, atol=tolerance)


def gradients(function, point: list) -> list:
    """Returns gradients of a scalar function of tensors, zeros for those it does not depend on."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(point)
        value = function(point)
    return tape.gradient(value, point, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def hessian_product(function, point: list, direction: list) -> list:
    """Returns the Hessian of a scalar function times a direction, by nested tapes."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(point)
        first = gradients(function, point)
    return tape.gradient(
        first,
        point,
        output_gradients=direction,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )


def hessian_difference(function, point: list, direction: list, step: float = 1e-6) -> list:
    """Returns a Hessian product by a central difference of first derivatives."""
    sides = [
        gradients(function, [p + sign * step * d for p, d in zip(point, direction, strict=True)])
        for sign in (1, -1)
    ]
    return [(plus - minus) / (2 * step) for plus, minus in zip(*sides, strict=True)]


def by_nested_tapes(loss, weights, alphas, train, valid, virtual_step):
    """Returns the unrolled validation loss and its gradient (eq. 6) directly, by nested tapes."""
    with tf.GradientTape() as outer:
        outer.watch(alphas)
        with tf.GradientTape() as inner:
            inner.watch(weights)
            train_loss = loss(weights, alphas, train)
        virtual = virtual_step(weights, inner.gradient(train_loss, weights))
        valid_loss = loss(virtual, alphas, valid)
    return valid_loss, outer.gradient(valid_loss, alphas)
