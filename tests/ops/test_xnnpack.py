"""Layers written for XNNPACK compute the same as those written for TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close

from darts_tf.layers.primitives import PRIMITIVES
from darts_tf.ops.convolution import depthwise, knows_dilation
from darts_tf.ops.xnnpack import for_xnnpack, written_for_xnnpack

SIZES = [(6, 8), (7, 5), (8, 7)]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitive_computes_the_same(name, stride):
    if name.startswith("dil") and stride == 1 and not knows_dilation(tf.float32):
        pytest.skip("TensorFlow cannot run a dilated convolution as one operation here")
    layer = PRIMITIVES[name](4, stride, True, 1)
    layer.build((None, None, None, 4))
    for size in SIZES:
        x = tf.constant(np.random.default_rng(0).normal(-5, 1, (2, *size, 4)), tf.float32)
        expected = layer(x, training=False)
        with written_for_xnnpack():
            assert_close(layer(x, training=False), expected, 1e-6)


@pytest.mark.parametrize(
    ("kernel", "parts"), [((5, 5), 1), ((7, 7), 3), ((9, 3), 2), ((11, 11), 6)]
)
@pytest.mark.parametrize("stride", [1, 2])
def test_large_kernels_are_divided_into_rows(kernel, parts, stride):
    draw = np.random.default_rng(0)
    x = tf.constant(draw.normal(size=(2, 12, 9, 3)), tf.float32)
    weights = tf.constant(draw.normal(size=(*kernel, 3, 1)), tf.float32)
    expected = depthwise(x, weights, stride)
    with written_for_xnnpack():
        written = tf.function(lambda: depthwise(x, weights, stride)).get_concrete_function()
    assert_close(written(), expected, 1e-5)
    kinds = [operation.type for operation in written.graph.get_operations()]
    assert kinds.count("DepthwiseConv2dNative") == parts


def test_the_mode_ends_with_the_block_even_after_an_error():
    def fail():
        with written_for_xnnpack():
            assert for_xnnpack()
            raise KeyError

    pytest.raises(KeyError, fail)
    assert not for_xnnpack()
