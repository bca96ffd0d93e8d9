"""Dropout on skip connections (P-DARTS)."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from mixed_op_inputs import drawn, inputs, mixed_op, scalar_of
from numerics import assert_close, gradients, hessian_product

from darts_tf.layers.graph_sharing import Shared
from darts_tf.layers.mixed_op import MixedOp

SEED = tf.constant([5, 0])


def skips(stride=1):
    mixed = MixedOp(4, stride, 2, ("none", "skip_connect"))
    mixed.build((None, None, None, 4))
    return mixed


@pytest.mark.usefixtures("float64")
def test_skips_drop_elements_per_edge_and_rescale_the_rest():
    state, weights = drawn(8, 16, 16, 4), tf.constant([[0.7, 0.3], [0.2, 0.8]], "float64")
    rate = tf.constant(0.4)
    outputs = skips()(state, weights, training=True, op_dropout=(rate, SEED))
    masks = []
    for output, factor in zip(outputs, (0.3, 0.8), strict=True):
        kept = output.numpy() != 0
        masks.append(kept)
        assert_close(output, np.where(kept, state * factor / 0.6, 0), 1e-6)
        assert kept.mean() == pytest.approx(0.6, abs=0.02)
    assert (masks[0] != masks[1]).mean() == pytest.approx(2 * 0.6 * 0.4, abs=0.02)


@pytest.mark.usefixtures("float64")
def test_skips_that_reduce_and_other_operations_are_not_dropped():
    state, weights = drawn(2, 8, 8, 4), tf.constant([[0.7, 0.3], [0.2, 0.8]], "float64")
    mixed = skips(stride=2)
    dropped = mixed(state, weights, training=True, op_dropout=(tf.constant(0.9), SEED))
    assert_close(dropped, mixed(state, weights, training=True), 1e-12)


@pytest.mark.usefixtures("float64")
def test_shared_layer_has_the_masks_and_derivatives_of_the_layer():
    mixed, functions = mixed_op(), Shared()
    fixed = {"op_dropout": (tf.constant(0.5), SEED)}
    point = [*inputs(), *(v.value for v in mixed.trainable_variables)]
    direction = [drawn(*p.shape, seed=1 + i) for i, p in enumerate(point)]
    ours = scalar_of(lambda m, *args: functions(m, *args, track=False, **fixed), mixed)
    expected = scalar_of(lambda m, *args: m(*args, training=True, **fixed), mixed)
    assert_close(ours(point), expected(point), 1e-12)
    assert_close(gradients(ours, point), gradients(expected, point), 1e-11)
    second = hessian_product(expected, point, direction)
    assert_close(hessian_product(ours, point, direction), second, 1e-10)
