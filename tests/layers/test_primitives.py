"""Primitives compared with NumPy; their second derivatives, groups and costs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from call_primitive import applied
from mostly_slow import mostly_slow
from numerics import assert_close, hessian_difference, hessian_product
from numpy_reference import Reference, named_by_reference

from darts_tf.layers.primitives import PRIMITIVES, FactorizedReduce, ReLUConvBN, views
from darts_tf.spaces.cell import ALL_PRIMITIVES, NOISE

CHANNELS = 4
SIZES = [(6, 8), (7, 5), (8, 7)]
EXACT = [name for name in PRIMITIVES if name != NOISE]
"""Primitives that are functions of their input; test_noise.py has the other."""
OF_REFERENCE = [name for name in EXACT if not name.startswith("nor_conv")]
"""Primitives of the authors' code; test_edge_cells.py has the others."""
GROUPED = [name for name in PRIMITIVES if name.startswith(("sep", "dil"))]

pytestmark = pytest.mark.usefixtures("float64")


def drawn(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(0.3, 1.0, shape), "float64")


def built(name, stride, affine=False, groups=1, channels=CHANNELS):
    layer = PRIMITIVES[name](channels, stride, affine, groups)
    layer.build((None, None, None, groups * channels))
    return layer


def test_primitives_are_those_of_the_space():
    assert set(PRIMITIVES) == {*ALL_PRIMITIVES, NOISE}


@pytest.mark.parametrize("affine", [False, True])
@mostly_slow((1,), "size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OF_REFERENCE)
def test_primitive_computes_what_the_reference_does(name, stride, size, affine):
    layer, x = built(name, stride, affine), drawn(2, *size, CHANNELS)
    reference = Reference(named_by_reference("op", layer), training=True)
    expected = reference.op(name, "op", x.numpy(), stride)
    assert_close(applied(layer, x, training=True), expected, 1e-12)
    assert layer.compute_output_shape(x.shape) == expected.shape
    assert layer.macs(*size) == reference.macs
    if affine:  # the count is of discrete networks
        assert layer.elementwise(*size) == reference.elementwise


@pytest.mark.parametrize("name", EXACT)
def test_pools_are_normalized_in_search_only(name):
    norms = [getattr(built(name, 1, affine), "norm", None) for affine in (False, True)]
    if name.endswith("pool_3x3"):
        assert norms[0] is not None
        assert not norms[0].affine
        assert norms[1] is None


@pytest.mark.parametrize("size", SIZES)
def test_relu_conv_bn_changes_the_channels(size):
    layer, x = ReLUConvBN(5, 1, False), drawn(2, *size, 3)
    y = applied(layer, x, training=True)
    reference = Reference(named_by_reference("in", layer), training=True)
    assert_close(y, reference.relu_conv_bn("in", x.numpy()), 1e-12)
    assert layer.macs(*size) == reference.macs
    assert layer.elementwise(*size) == reference.elementwise


@pytest.mark.parametrize("channels", [4, 5])
@pytest.mark.parametrize("size", SIZES)
def test_factorized_reduce_changes_the_channels(size, channels):
    layer, x = FactorizedReduce(channels, 2, False), drawn(2, *size, 3)
    y = applied(layer, x, training=True)
    reference = Reference(named_by_reference("op", layer), training=True)
    assert_close(y, reference.factorized_reduce("op", x.numpy()), 1e-12)
    assert layer.macs(*size) == reference.macs
    assert layer.elementwise(*size) == reference.elementwise


def test_factorized_reduce_sees_even_places_then_odd_ones():
    layer = FactorizedReduce(2, 2, True)
    layer.build((None, None, None, 1))
    layer.kernel_even.assign(np.ones((1, 1, 1)))
    layer.kernel_odd.assign(np.ones((1, 1, 1)))
    x = np.arange(1.0, 17).reshape((1, 4, 4, 1))
    expected = np.concatenate([x[:, ::2, ::2], x[:, 1::2, 1::2]], -1) / np.sqrt(1 + 1e-5)
    assert_close(applied(layer, x), expected, 1e-12)


def test_max_pool_never_sees_its_padding():
    x = drawn(2, 5, 6, CHANNELS) - 10.0
    for stride in (1, 2):
        assert np.all(np.asarray(built("max_pool_3x3", stride, affine=True)(x)) < -1)


def test_avg_pool_leaves_padding_out_of_the_count():
    for size in SIZES:
        for stride in (1, 2):
            y = built("avg_pool_3x3", stride, affine=True)(np.ones((1, *size, CHANNELS)))
            assert_close(y, np.ones(y.shape), 1e-15)


def weighted_cubes(layer):
    """Makes a scalar function of a layer's input and weights with nonzero second derivatives."""

    def function(point):
        x, *weights = point
        mapping = list(zip(layer.trainable_variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            y = applied(layer, x, training=True)
        places = tf.reshape(tf.range(tf.size(y), dtype=tf.float64), tf.shape(y))
        return tf.reduce_sum(tf.cos(places) * y**3)

    return function


@mostly_slow((1,), "stride", [1, 2])
@pytest.mark.parametrize("name", EXACT)
def test_second_derivative_is_exact_eagerly_and_in_a_graph(name, stride):
    """For the input and all weights; a pool once lost its second derivative only in graphs."""
    layer = built(name, stride)
    function = weighted_cubes(layer)
    point = [drawn(2, 7, 6, CHANNELS)] + [v.value for v in layer.trainable_variables]
    direction = [drawn(*p.shape, seed=1 + i) for i, p in enumerate(point)]
    eager = hessian_product(function, point, direction)
    assert_close(eager, hessian_difference(function, point, direction), 1e-5)
    graph = tf.function(lambda: hessian_product(function, point, direction))()
    assert_close(graph, eager, 1e-12)
    assert name == "none" or np.abs(eager[0]).max() > 0.01


def slices(variable, groups):
    """Returns the part of a kernel that belongs to each group."""
    axis = 2 if variable.name.startswith("depthwise") else 0
    return np.split(np.asarray(variable), groups, axis)


@mostly_slow((1,), "stride", [1, 2])
@pytest.mark.parametrize("name", GROUPED)
def test_groups_are_separate_layers_side_by_side(name, stride):
    together, x = built(name, stride, groups=3), drawn(2, 7, 6, 3 * CHANNELS)
    y = together(tf.nn.relu(x), training=True)
    assert together.compute_output_shape(x.shape) == y.shape
    macs = 0
    for group, (part, expected) in enumerate(
        zip(tf.split(x, 3, -1), tf.split(y, 3, -1), strict=True)
    ):
        alone = built(name, stride)
        for ours, all_groups in zip(
            alone.trainable_variables, together.trainable_variables, strict=True
        ):
            ours.assign(slices(all_groups, 3)[group])
        assert_close(applied(alone, part, training=True), expected, 1e-12)
        macs += alone.macs(7, 6)
    assert together.macs(7, 6) == macs


def test_groups_of_a_factorized_reduce_read_the_same():
    together, x = FactorizedReduce(5, 2, False, 3), drawn(2, 7, 6, 3)
    y = applied(together, x, training=True)
    assert together.compute_output_shape(x.shape) == y.shape
    for group, expected in enumerate(tf.split(y, 3, -1)):
        alone = FactorizedReduce(5, 2, False)
        alone.build(x.shape)
        for ours, all_groups in zip(
            alone.trainable_variables, together.trainable_variables, strict=True
        ):
            ours.assign(slices(all_groups, 3)[group])
        assert_close(applied(alone, x, training=True), expected, 1e-12)


@pytest.mark.parametrize("training", [False, True])
@mostly_slow((1,), "affine", [False, True])
@mostly_slow((1,), "stride", [1, 2])
@pytest.mark.parametrize("name", EXACT)
def test_scale_is_a_factor_of_what_a_primitive_gives(name, stride, affine, training):
    layer, x = built(name, stride, affine), drawn(2, 7, 6, CHANNELS)
    if not layer.weightless:
        scale = drawn(CHANNELS, seed=1)
        plain, scaled = (applied(layer, x, scale=s, training=training) for s in (None, scale))
        # (in training the statistics have moved in between, but are not used)
        assert_close(scaled, plain * scale, 1e-12)


@pytest.mark.parametrize("name", EXACT)
def test_weightless_primitives_have_no_trainable_weights(name):
    layer = built(name, 1)
    assert layer.weightless == (not layer.trainable_variables)


@pytest.mark.parametrize(
    ("name", "fan_ins"),
    [
        ("sep_conv_3x3", {"depthwise": 9, "pointwise": 32}),
        ("dil_conv_5x5", {"depthwise": 25, "pointwise": 32}),
        ("conv_7x1_1x7", {"kernel": 7 * 32}),
    ],
)
def test_kernels_start_uniform_in_one_over_root_of_fan_in(name, fan_ins):
    for variable in built(name, 1, channels=32).trainable_variables:
        bound = fan_ins[variable.name.split("_")[0]] ** -0.5
        values = np.asarray(variable)
        assert 0.9 * bound < np.abs(values).max() <= bound
        assert values.std() == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize("name", [name for name in PRIMITIVES if name != "conv_7x1_1x7"])
@pytest.mark.parametrize("stride", [1, 2])
def test_weights_of_a_group_change_the_channels_of_that_group_alone(name, stride):
    layer = PRIMITIVES[name](2, stride, False, 3)
    layer.build((None, None, None, 2))
    view = views(drawn(2, 6, 6, 2), 3)[layer.reads]
    before = np.asarray(layer(view, training=False)) if layer.trainable_variables else 0
    for groups, weights, axes in layer.grouped_weights():
        for weight, axis in zip(weights, axes, strict=True):
            value = np.moveaxis(np.array(weight), axis, 0)
            share = len(value) // groups
            assert share * groups == len(value)
            value[share : 2 * share] += 1
            weight.assign(np.moveaxis(value, 0, axis))
        if weights:
            changed = np.asarray(layer(view, training=False)) != before
            assert changed[..., 2:4].any()
            assert not changed[..., :2].any()
            assert not changed[..., 4:].any()
