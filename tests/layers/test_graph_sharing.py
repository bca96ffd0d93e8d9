"""Graph sharing: values and derivatives equal those of the layers themselves."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from mixed_op_inputs import drawn, inputs, mixed_op, scalar_of
from numerics import assert_close, gradients, hessian_product

from darts_tf.layers.graph_sharing import Shared
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.ops.autodiff import (
    custom_gradient,
    keep,
    recording,
    replaying,
    weights_fixed,
    weights_fixed_from,
)
from darts_tf.ops.bilinear import bilinear


def plain(mixed, state, weights):
    return mixed(state, weights, training=True)


def shared():
    functions = Shared()
    return lambda mixed, *inputs: functions(mixed, *inputs, track=False)


def point_and_direction(mixed):
    point = [*inputs(), *(v.value for v in mixed.trainable_variables)]
    return point, [drawn(*p.shape, seed=1 + i) for i, p in enumerate(point)]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_shared_layer_has_the_derivatives_of_the_layer(stride):
    mixed = mixed_op(stride)
    point, direction = point_and_direction(mixed)
    ours, expected = scalar_of(shared(), mixed), scalar_of(plain, mixed)
    assert_close(ours(point), expected(point), 1e-12)
    assert_close(gradients(ours, point), gradients(expected, point), 1e-11)
    second = hessian_product(expected, point, direction)
    assert_close(hessian_product(ours, point, direction), second, 1e-10)
    graph = tf.function(lambda: hessian_product(ours, point, direction), autograph=False)()
    assert_close(graph, second, 1e-10)


@pytest.mark.usefixtures("float64")
def test_fixed_weights_leave_the_other_derivatives_alone():
    mixed = mixed_op()
    point, direction = point_and_direction(mixed)
    ours, expected = scalar_of(shared(), mixed), scalar_of(plain, mixed)
    with weights_fixed(1):
        first = gradients(ours, point)
    assert_close(first[:2], gradients(expected, point)[:2], 1e-11)
    assert not any(np.any(g) for g in first[2:])
    with weights_fixed(2):
        assert_close(gradients(ours, point), gradients(expected, point), 1e-11)
        second = hessian_product(ours, point, direction)
    assert_close(second[:2], hessian_product(expected, point, direction)[:2], 1e-10)


@pytest.mark.usefixtures("float64")
def test_layers_of_a_kind_keep_their_own_weights_and_statistics():
    functions, layers = Shared(), [mixed_op(), mixed_op()]
    for i, mixed in enumerate(layers):
        twin = mixed_op()
        for ours, theirs in zip(twin.variables, mixed.variables, strict=True):
            ours.assign(theirs)
        state, weights = inputs(seed=i)
        expected = twin(state, weights, training=True)
        with tracked_statistics(False):  # the argument `track` decides, not this switch
            assert_close(functions(mixed, state, weights, track=True), expected, 1e-12)
        assert_close(values(mixed.variables), values(twin.variables), 1e-12, 1e-15)
    assert len(functions._kinds) == 1
    (kind,) = functions._kinds.values()
    assert len(kind._forward._list_all_concrete_functions()) == 1


@pytest.mark.usefixtures("float64")
def test_untracked_call_changes_nothing():
    mixed = mixed_op()
    before = values(mixed.variables)
    Shared()(mixed, *inputs(), track=False)
    assert_close(values(mixed.variables), before, 0)


# Results kept for the backward pass


def test_kept_results_are_replayed_in_order_and_differentiated_as_before():
    x, matrix = drawn(3, 2), drawn(2, 2, seed=1)
    calls = []

    def product(x, matrix):
        calls.append(1)
        return tf.matmul(x, matrix)

    def kept(x, matrix):
        return bilinear(
            product,
            lambda matrix, upstream: tf.matmul(upstream, matrix, transpose_b=True),
            lambda upstream, x: tf.matmul(x, upstream, transpose_a=True),
            worth_keeping=True,
        )(x, matrix)

    def function(x, matrix):
        return tf.reduce_sum(kept(x, matrix) ** 3) + tf.reduce_sum(kept(tf.exp(x), matrix))

    with recording() as results:
        expected = function(x, matrix)
    assert [len(tensors) for tensors in results] == [1, 1]
    with replaying(results), tf.GradientTape() as tape:
        tape.watch([x, matrix])
        value = function(x, matrix)
    assert value == expected
    assert len(calls) == 2
    by_hand = gradients(lambda p: function(*p), [x, matrix])
    assert_close(tape.gradient(value, [x, matrix]), by_hand, 1e-14)


def test_recording_ends_with_its_block():
    with pytest.raises(KeyError), recording() as results:
        raise KeyError
    assert [float(t) for t in keep(lambda: [tf.constant(1.0)])] == [1]
    assert results == []


# Custom gradients


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_custom_gradient_is_that_of_tensorflow(wrap):
    def doubled_slope(x, y):
        return [x * y, x + y], lambda u, v: (2 * u * y + v, None)

    @wrap
    def through(decorate, x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            first, second = decorate(doubled_slope)(x * 1.0, y * 1.0)
            value = first**2 + 3 * second
        return value, tape.gradient(value, [x, y])[0]

    x, y = tf.constant(2.0), tf.constant(5.0)
    ours, theirs = (
        [float(t) for t in through(decorate, x, y)]
        for decorate in (custom_gradient, tf.custom_gradient)
    )
    assert ours == theirs == [121.0, 2 * 20.0 * 5 + 3]


def test_custom_gradient_can_be_differentiated():
    @custom_gradient
    def cube(x):
        return x**3, lambda u: 3 * u * x**2

    (second,) = hessian_product(lambda p: cube(p[0]), [tf.constant(2.0)], [tf.constant(1.0)])
    assert float(second) == 12


def test_weights_are_fixed_within_a_block_alone():
    with weights_fixed(1):
        assert weights_fixed_from() == 1
        with pytest.raises(KeyError), weights_fixed(2):
            raise KeyError(weights_fixed_from())
        assert weights_fixed_from() == 1
    assert weights_fixed_from() == 3
