"""The recurrence compared with an unrolled Python loop."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close, gradients, hessian_product

from darts_tf.layers.recurrent_cells import product
from darts_tf.ops.autodiff import weights_fixed
from darts_tf.ops.recurrence import Recurrence

DRAW = np.random.default_rng(0)
SHAPES = [(5, 3, 4), (3, 4), (4, 4), (4,), (4,)]
POINT = [tf.constant(0.5 * DRAW.normal(size=shape)) for shape in SHAPES]
DIRECTION = [tf.constant(DRAW.normal(size=shape)) for shape in SHAPES]
FACTORS = tf.constant(DRAW.normal(size=SHAPES[0]))
FIXED = tf.constant(0.3, tf.float64)


def step(x, state, weights, alphas, fixed):
    """A smooth nonlinear step whose statistic is the largest value of each unit.

    Its matrix product is kept over time.
    """
    candidate = tf.tanh(x + product(state, weights[0]))
    state = alphas[0] * candidate + fixed * state + alphas[1] * tf.sin(state)
    return state, [tf.reduce_max(state, 0)]


def written_out(sequence, state, weight, *alphas):
    states = []
    for x in tf.unstack(sequence):
        state, _ = step(x, state, [weight], alphas, FIXED)
        states.append(state)
    return tf.stack(states)


RECURRENCE = Recurrence(step)


def repeated(sequence, state, weight, *alphas):
    return RECURRENCE(sequence, state, [weight], alphas, FIXED)[0]


def loss(function):
    return lambda point: tf.reduce_sum(tf.sin(FACTORS * function(*point)))


def test_states_and_statistics():
    states, (largest,) = RECURRENCE(*POINT[:2], POINT[2:3], POINT[3:], FIXED)
    expected = written_out(*POINT)
    assert_close(states, expected, 1e-14)
    assert_close(largest, tf.reduce_max(expected, 1), 1e-14)


def test_first_and_second_derivatives():
    assert_close(gradients(loss(repeated), POINT), gradients(loss(written_out), POINT), 1e-13)
    actual, expected = (hessian_product(loss(f), POINT, DIRECTION) for f in (repeated, written_out))
    assert_close(actual, expected, 1e-13)


def test_any_number_of_steps_in_one_graph():
    signature = [tf.TensorSpec((None, *POINT[0].shape[1:]), tf.float64)]
    traced = tf.function(lambda sequence: repeated(sequence, *POINT[1:]), input_signature=signature)
    for length in (1, 3, 5):
        assert_close(traced(POINT[0][:length]), written_out(POINT[0][:length], *POINT[1:]), 1e-14)


@pytest.mark.parametrize("order", [1, 2])
def test_fixed_weights_leave_the_derivatives_along_alphas(order):
    """Only the derivatives that an estimator takes within `weights_fixed` are compared."""
    sequence, state, *rest = POINT

    def wanted(function):
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(rest[1:])
            with weights_fixed(order), tf.GradientTape(watch_accessed_variables=False) as tape:
                sources = rest[:1] if order == 2 else rest[1:]
                tape.watch(sources)
                value = loss(function)([sequence, state, *rest])
            first = tape.gradient(value, sources)
        if order == 1:
            return first
        return outer.gradient(first, rest[1:], output_gradients=DIRECTION[2:3])

    assert_close(wanted(repeated), wanted(written_out), 1e-13)
