"""Layers of NAS-Bench-201: convolutions, cells and residual reductions, against plain NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close
from numpy_reference import avg_pool, slide

from darts_tf.errors import InputError
from darts_tf.layers.cells import EdgeCell, EdgeSearchCell, ResidualReduction
from darts_tf.layers.mixed_op import MixedOp
from darts_tf.layers.primitives import NormalizedConv, Pool
from darts_tf.ops.pooling import avg_halve
from darts_tf.ops.xnnpack import written_for_xnnpack
from darts_tf.spaces.cell import EDGE_PRIMITIVES
from darts_tf.spaces.search_spaces import edge_space, space_of

X = np.random.default_rng(0).normal(size=(2, 5, 6, 4)).astype(np.float32)


def set_at_random(layer, seed=1):
    rng = np.random.default_rng(seed)
    for variable in layer.variables:
        variable.assign(rng.uniform(0.2, 1.5, variable.shape) * rng.choice([-1, 1]))
        if variable.name == "moving_variance":
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))


def normalized(x, norm):
    """Normalizes by the running statistics; scale and shift are 1 and 0 if there are none."""
    gamma, beta = (norm.gamma, norm.beta) if norm.affine else (1.0, 0.0)
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    return (x - mean) / np.sqrt(variance + 1e-5) * np.asarray(gamma) + np.asarray(beta)


def convolved(x, kernel, stride=1):
    """Convolves with symmetric zero padding, window by window."""
    kernel = np.asarray(kernel)
    size, padding = kernel.shape[:2], tuple(side // 2 for side in kernel.shape[:2])
    return slide(x, lambda w: np.einsum("bijc,ijco->bo", w, kernel), size, (stride,) * 2, padding)


def relu_conv_bn(x, layer, stride=1):
    return normalized(convolved(np.maximum(x, 0), layer.kernel, stride), layer.norm)


def edge_output(name, op, x):
    return {
        "none": lambda: np.zeros_like(x),
        "skip_connect": lambda: x,
        "avg_pool_3x3": lambda: avg_pool(x, 3, 1, 1),
    }.get(name, lambda: relu_conv_bn(x, op))()


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 3])
def test_convolution_is_relu_convolution_and_normalisation(size, stride, groups):
    layer = NormalizedConv(4, stride, affine=groups == 1, groups=groups, kernel_size=size)
    layer.build((None, None, None, 4))
    set_at_random(layer)
    assert layer.kernel.shape == (size, size, 4, 4 * groups)
    y = layer(tf.nn.relu(X))
    assert_close(y, relu_conv_bn(X, layer, stride), 1e-5)
    assert tuple(y.shape) == layer.compute_output_shape(X.shape)


def test_groups_of_a_convolution_are_the_edges():
    """Each group is the convolution of one edge with its own part of the kernel."""
    layer = NormalizedConv(4, 1, affine=False, groups=2, kernel_size=3)
    layer.build((None, None, None, 4))
    set_at_random(layer)
    ((groups, (kernel,), (axis,)),) = layer.grouped_weights()
    assert (groups, axis) == (2, 3)
    assert kernel is layer.kernel
    first, second = np.split(np.asarray(layer(tf.nn.relu(X))), 2, -1)
    single = NormalizedConv(4, 1, affine=False, kernel_size=3)
    single.build((None, None, None, 4))
    for part, expected in ((slice(0, 4), first), (slice(4, 8), second)):
        single.kernel.assign(np.asarray(layer.kernel)[..., part])
        single.norm.moving_mean.assign(np.asarray(layer.norm.moving_mean)[part])
        single.norm.moving_variance.assign(np.asarray(layer.norm.moving_variance)[part])
        assert_close(single(tf.nn.relu(X)), expected, 1e-5)


@pytest.mark.parametrize("shape", [(1, 4, 6, 3), (2, 5, 4, 3), (1, 5, 7, 3)])
def test_mean_of_pairs_leaves_the_border_out(shape):
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    padded = np.pad(x, [(0, 0), *((0, side % 2) for side in shape[1:3]), (0, 0)], mode="edge")
    rows, columns = padded.shape[1] // 2, padded.shape[2] // 2
    expected = padded.reshape(shape[0], rows, 2, columns, 2, 3).mean((2, 4))
    assert_close(avg_halve(tf.constant(x)), expected, 1e-6)
    with written_for_xnnpack():
        assert_close(avg_halve(tf.constant(x)), expected, 1e-6)


def test_pools_of_the_space_are_not_normalised_in_a_search():
    for space, expected in ((edge_space(), False), (space_of(), True)):
        names = ("none", "avg_pool_3x3")
        mixed = MixedOp(4, 1, 2, names, normalized_pools=space.normalized_pools)
        (pool,) = (op for op in mixed.ops if isinstance(op, Pool))
        assert pool.normalize == expected


@pytest.mark.parametrize("seed", range(6))
def test_cell_is_the_sum_of_its_edges(seed):
    rng = np.random.default_rng(seed)
    names = [str(name) for name in rng.choice(EDGE_PRIMITIVES, 6)]
    edges = [(name, *edge) for name, edge in zip(names, edge_space().edges, strict=True)]
    cell = EdgeCell(edges, 4)
    cell.build(X.shape)
    set_at_random(cell, seed)
    states = [X, *np.zeros((3, *X.shape))]
    for (name, source, target), op in zip(edges, cell.ops, strict=True):
        states[target] = states[target] + edge_output(name, op, states[source])
    assert_close(cell(tf.constant(X)), states[-1], 1e-4, 1e-5)
    weighted = sum(name.startswith("nor_conv") for name in names)
    assert len(cell.droppable) == weighted + names.count("avg_pool_3x3")


def test_drop_path_scales_the_outputs_of_operations():
    edges = [("skip_connect", 0, 1), ("nor_conv_1x1", 0, 2), ("none", 1, 2)]
    cell = EdgeCell(edges, 4)
    cell.build(X.shape)
    set_at_random(cell)
    plain, factor = cell(tf.constant(X)), tf.constant([0.0, 2.0])[:, None, None, None]
    assert_close(cell(tf.constant(X), factor), plain * factor, 1e-6)


@pytest.mark.parametrize("partial", [1, 2])
def test_search_cell_mixes_all_operations_on_all_edges(partial):
    space = edge_space()
    cell = EdgeSearchCell(4, space, partial)
    cell.build(X.shape)
    for seed, variable in enumerate(cell.trainable_variables):
        variable.assign(np.random.default_rng(seed).normal(size=variable.shape))
    weights = np.random.default_rng(9).uniform(size=(6, 5)).astype(np.float32)
    shares = np.arange(1.0, 7.0, dtype=np.float32)
    own = 4 // partial
    states = [X, *np.zeros((3, *X.shape))]
    for row, (source, target) in enumerate(space.edges):
        mixed, place = cell.mixed[source], target - source - 1
        x = states[source][..., :own]
        total = np.zeros_like(x)
        for name, weight, op in zip(EDGE_PRIMITIVES, weights[row], mixed.ops, strict=True):
            if name.startswith("nor_conv"):
                kernel = np.asarray(op.kernel)[..., own * place : own * (place + 1)]
                y = convolved(np.maximum(x, 0), kernel) / np.sqrt(1 + 1e-5)
            else:
                y = edge_output(name, op, x)
            total += weight * y
        whole = np.concatenate([total, states[source][..., own:]], -1)
        states[target] = states[target] + (whole if partial == 1 else shares[row] * whole)
        if source == target - 1 and partial > 1:  # shuffled: one channel of each half in turn
            order = np.arange(4).reshape(partial, -1).T.ravel()
            states[target] = states[target][..., order]
    over = shares if partial > 1 else None
    assert_close(cell(tf.constant(X), tf.constant(weights), over), states[-1], 1e-4)


def test_search_cell_refuses_another_topology():
    with pytest.raises(InputError, match="Expected a space of a cell with an operation on every"):
        EdgeSearchCell(4, space_of())


@pytest.mark.parametrize("shape", [(2, 6, 8, 4), (1, 5, 7, 4)])
def test_reduction_is_two_convolutions_and_a_shortcut(shape):
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    layer = ResidualReduction(6)
    layer.build(shape)
    set_at_random(layer)
    y = relu_conv_bn(relu_conv_bn(x, layer.first, 2), layer.second)
    expected = y + convolved(np.asarray(avg_halve(tf.constant(x))), layer.shortcut)
    assert_close(layer(tf.constant(x)), expected, 1e-5)
    assert layer.compute_output_shape(shape) == expected.shape
    keras.utils.clear_session()
