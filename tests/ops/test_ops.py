"""Tensor functions and their derivatives compared with TensorFlow's own operations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from mostly_slow import mostly_slow
from numerics import assert_close, gradients, hessian_product

from darts_tf.layers.primitives import FactorizedReduce
from darts_tf.ops import convolution, images, matmul
from darts_tf.ops.bilinear import bilinear
from darts_tf.ops.constants import diagonal_blocks, filled, integers, tiled_identity


def drawn(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), "float64")


def same_derivatives(ours, plain, point):
    """Compares values, gradients and Hessian-vector products, eagerly and in a graph."""
    curved = [lambda p, f=f: tf.reduce_sum(tf.sin(f(*p))) for f in (ours, plain)]
    direction = [drawn(*p.shape, seed=9 + i) for i, p in enumerate(point)]
    assert_close(ours(*point), plain(*point), 1e-13)
    assert_close(*(gradients(f, point) for f in curved), 1e-12)
    expected = hessian_product(curved[1], point, direction)
    assert_close(hessian_product(curved[0], point, direction), expected, 1e-11)
    in_graph = tf.function(lambda: hessian_product(curved[0], point, direction))()
    assert_close(in_graph, expected, 1e-11)


def loops(x, kernel, stride, dilation):
    """Computes a depthwise convolution as a sum over the kernel's elements."""
    rows, columns = kernel.shape[:2]
    reach = [dilation * (size // 2) for size in (rows, columns)]
    height, width = x.shape[1:3]
    padded = tf.pad(x, [[0, 0], [reach[0]] * 2, [reach[1]] * 2, [0, 0]])
    taps = [
        padded[:, i * dilation : i * dilation + height, j * dilation : j * dilation + width]
        * kernel[i, j, :, 0]
        for i in range(rows)
        for j in range(columns)
    ]
    return tf.add_n(taps)[:, ::stride, ::stride]


def test_a_bilinear_function_has_derivatives_of_all_orders():
    """The third derivative of a trilinear form without symmetry equals TensorFlow's."""
    form = drawn(2, 3, 4)
    point = [drawn(2, seed=1), drawn(3, seed=2)]
    partials = ("ijk,i,j->k", "ijk,j,k->i", "ijk,k,i->j")
    ours = bilinear(*(lambda s, t, e=e: tf.einsum(e, form, s, t) for e in partials))

    def plain(a, b):
        return tf.einsum(partials[0], form, a, b)

    same_derivatives(ours, plain, point)

    def third(function):
        def second(point):
            curved = lambda p: tf.reduce_sum(tf.sin(function(*p)))  # noqa: E731
            return tf.add_n([tf.reduce_sum(t**2) for t in hessian_product(curved, point, point)])

        return gradients(second, point)

    assert_close(third(ours), third(plain), 1e-11)


def test_relu_and_its_derivatives():
    x = drawn(2, 3, 4, 2)
    same_derivatives(images.relu, tf.nn.relu, [x])


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (2, 2)])
@mostly_slow((1,), "size", [3, 5, 7])
def test_depthwise_has_the_derivatives_of_its_definition(size, stride, dilation):
    """Includes kernels wider than a strip."""
    point = [drawn(2, 7, 8, 3), drawn(size, size, 3, 1, seed=1)]
    same_derivatives(
        lambda x, k: convolution.depthwise(x, k, stride, dilation),
        lambda x, k: loops(x, k, stride, dilation),
        point,
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("inputs", [2, matmul.APART // 3 + 1])
@mostly_slow((1,), "groups", [1, 3])
def test_pointwise_is_a_product_of_each_group(groups, inputs, training):
    """Covers few channels (one block-diagonal product) and many (one product per group)."""
    point = [drawn(2, 3, 4, groups * inputs), drawn(groups, inputs, 5, seed=1) / inputs]

    def by_groups(x, kernel):
        pairs = zip(tf.split(x, groups, -1), tf.unstack(kernel), strict=True)
        return tf.concat([tf.tensordot(part, matrix, 1) for part, matrix in pairs], -1)

    same_derivatives(lambda x, k: matmul.pointwise(x, k, training), by_groups, point)


@pytest.mark.parametrize("groups", [1, 3])
def test_spread_repeats_and_folded_adds(groups):
    x = drawn(2, 3, 4, 2)
    same_derivatives(lambda x: images.spread(x, groups), lambda x: tf.concat([x] * groups, -1), [x])
    wide = drawn(2, 3, 4, groups * 2)
    added = lambda x: tf.add_n(tf.split(x, groups, -1))  # noqa: E731
    same_derivatives(lambda x: images.folded(x, groups), added, [wide])


@pytest.mark.parametrize("groups", [1, 3])
def test_weighted_sums_add_what_groups_weigh(groups):
    xs, factors = [drawn(2, 3, 4, 2, seed=i) for i in (0, 1)], drawn(2, groups * 2, seed=2)

    def explicit(first, second, factors):
        wide = [tf.concat([x] * groups, -1) for x in (first, second)]
        return factors[0] * wide[0] + factors[1] * wide[1]

    same_derivatives(lambda a, b, f: matmul.weighted_sums([a, b], f), explicit, [*xs, factors])


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("image_size", [(6, 8), (7, 5)])
def test_native_dilation_is_that_of_residues(size, image_size):
    """Uses float32, the dtype for which oneDNN supports dilation."""
    point = [tf.cast(t, "float32") for t in (drawn(2, *image_size, 3), drawn(size, size, 3, 1))]
    native = convolution._filtered(*point, dilation=2, native=True)
    assert_close(native, loops(*point, 1, 2), 1e-5)


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_every_other_place(size):
    x = drawn(2, *size, 3)
    same_derivatives(images.every_other, lambda x: x[:, ::2, ::2], [x])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_both_forms_of_a_factorized_reduce_agree(size):
    layer, x = FactorizedReduce(5, 2), drawn(2, *size, 3)
    layer.build(x.shape)
    assert_close(layer._both_halves(x), layer._one_after_the_other(x), 1e-13)


def test_constants_are_made_once_and_read_by_a_graph_as_one_node():
    assert filled(2.0, (3,)) is filled(2.0, (3,))
    assert_close(tiled_identity(2, 2), np.array([[1, 0, 1, 0], [0, 1, 0, 1]]), 0)
    assert_close(diagonal_blocks(2)[:, 0, :, 0], np.eye(2), 0)

    @tf.function
    def function(x):
        return tf.reshape(x * filled(2.0) + filled(2.0) * filled(2.0), integers(-1, 1))

    graph = function.get_concrete_function(tf.ones(3)).graph
    assert [o.type for o in graph.get_operations()].count("Const") == 2
