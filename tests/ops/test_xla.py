"""Compiled functions: values and derivatives equal the plain ones, and are traced once."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numerics import assert_close, gradients, hessian_product

from darts_tf.ops.xla import compiled

DRAW = np.random.default_rng(0)
POINT, DIRECTION = ([tf.constant(DRAW.normal(size=(3, 4))) for _ in range(2)] for _ in range(2))


def plain(x, y):
    """A function nonlinear in x and in (x, y) together; the second row of y is not used."""
    return tf.tanh(x * y[:1]) + tf.sin(x) * y[2:]


def loss(function):
    return lambda point: tf.reduce_sum(tf.sin(function(*point)) * POINT[1])


def test_values_and_derivatives_of_two_orders():
    whole = compiled(plain)
    assert_close(whole(*POINT), plain(*POINT), 1e-14)
    assert_close(gradients(loss(whole), POINT), gradients(loss(plain), POINT), 1e-13)
    actual, expected = (hessian_product(loss(f), POINT, DIRECTION) for f in (whole, plain))
    assert_close(actual, expected, 1e-13)


def test_one_trace_for_many_calls_in_a_graph():
    traced = []

    def counted(x, y):
        traced.append(x)
        return plain(x, y)

    whole = compiled(counted)

    @tf.function(autograph=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = whole(whole(whole(x, y), y), y)
        return tape.gradient(result, x)

    step(*POINT)
    assert len(traced) == 2  # once forward, and once inside the gradient
