"""Batch normalisation: exact second derivatives, the authors' statistics, precision."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from mostly_slow import mostly_slow
from numerics import assert_close, gradients, hessian_product, relative_error

from darts_tf.layers.normalization import BatchNormalization, tracked_statistics
from darts_tf.ops.batch_norm import normalize

EPSILON = 1e-5
SHAPE = (3, 4, 5, 2)
MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": lambda function: tf.function(function, jit_compile=True),
}


def drawn(shape=SHAPE, seed=0, dtype="float64"):
    """Draws numbers whose mean is not 0 and whose variance is not 1."""
    return tf.constant(np.random.default_rng(seed).normal(0.5, 2.0, shape), dtype)


def plain(x):
    """Normalises by explicit moments, which TensorFlow differentiates twice."""
    mean = tf.reduce_mean(x, (0, 1, 2))
    variance = tf.reduce_mean(tf.square(x - mean), (0, 1, 2))
    return (x - mean) / tf.sqrt(variance + EPSILON)


def ours(x):
    return normalize(x, EPSILON)[0]


def two_layers(norm):
    """Makes a scalar function of `x` and a kernel: two normalisations with a ReLU between."""

    def function(point):
        x, kernel = point
        y = tf.nn.relu(norm(tf.matmul(x, kernel)))
        y = norm(tf.matmul(y, kernel))
        weights = tf.reshape(tf.range(tf.size(y), dtype=tf.float32), tf.shape(y))
        return tf.reduce_sum(tf.cast(tf.cos(weights), y.dtype) * y**3)

    return function


def point_and_direction(dtype="float64"):
    shapes = (SHAPE, (2, 2))
    return tuple([drawn(shape, 2 * k + i, dtype) for i, shape in enumerate(shapes)] for k in (0, 1))


def product_in(mode, norm, dtype):
    point, direction = point_and_direction(dtype)
    return MODES[mode](lambda: hessian_product(two_layers(norm), point, direction))()


@pytest.mark.parametrize("mode", MODES)
@mostly_slow(1, ("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_normalize_has_the_second_derivative_of_plain_moments(mode, dtype, tolerance):
    expected = product_in("eager", plain, "float64")
    assert_close(product_in(mode, ours, dtype), expected, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_normalize_has_the_value_and_gradient_of_plain_moments(dtype, tolerance):
    assert_close(ours(drawn(dtype=dtype)), plain(drawn()), tolerance)
    point, _ = point_and_direction(dtype)
    expected = gradients(two_layers(plain), point_and_direction()[0])
    assert_close(gradients(two_layers(ours), point), expected, tolerance)


@pytest.mark.parametrize("mode", MODES)
@mostly_slow(1, ("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_scale_and_offset_have_their_second_derivatives(mode, dtype, tolerance):
    """Compares values, gradients and a Hessian-vector product for all arguments."""

    def scalar(norm):
        def function(point):
            z = norm(*point)
            weights = tf.reshape(tf.range(tf.size(z), dtype=tf.float32), tf.shape(z))
            return tf.reduce_sum(tf.cast(tf.cos(weights), z.dtype) * z**3)

        return function

    def ours_scaled(x, scale, offset):
        return normalize(x, EPSILON, scale, offset)[0]

    def plain_scaled(x, scale, offset):
        return plain(x) * scale + offset

    shapes = (SHAPE, (2,), (2,))
    point, direction = ([drawn(s, 3 * k + i) for i, s in enumerate(shapes)] for k in (0, 1))
    narrow = [[tf.cast(t, dtype) for t in tensors] for tensors in (point, direction)]
    assert_close(ours_scaled(*narrow[0]), plain_scaled(*point), tolerance)
    expected = gradients(scalar(plain_scaled), point)
    assert_close(gradients(scalar(ours_scaled), narrow[0]), expected, tolerance)
    product = MODES[mode](lambda: hessian_product(scalar(ours_scaled), *narrow))()
    assert_close(product, hessian_product(scalar(plain_scaled), point, direction), tolerance)


def test_normalize_takes_a_batch_of_unknown_size():
    signature = [tf.TensorSpec((None, None, None, 2), tf.float64)]
    product = tf.function(
        lambda x: hessian_product(lambda p: tf.reduce_sum(ours(p[0]) ** 3), [x], [tf.cos(x)])[0],
        input_signature=signature,
    )
    x = drawn()
    expected = hessian_product(lambda p: tf.reduce_sum(plain(p[0]) ** 3), [x], [tf.cos(x)])[0]
    assert_close(product(x), expected, 1e-12)


def test_stock_layer_has_a_wrong_second_derivative():
    """The reason for our own layer: this test fails once it is no longer needed."""
    stock = keras.layers.BatchNormalization(
        center=False, scale=False, epsilon=EPSILON, dtype="float64"
    )
    stock.build((None, None, None, 2))

    def norm(x):
        return stock(x, training=True)

    point, _ = point_and_direction()
    assert_close(gradients(two_layers(norm), point), gradients(two_layers(plain), point), 1e-10)
    expected = product_in("eager", plain, "float64")[0]
    error = relative_error(product_in("eager", norm, "float64")[0], expected)
    if error < 1e-10:
        pytest.skip(f"Keras {keras.__version__} gets the second derivative right")
    assert error > 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_running_statistics_follow_the_reference(dtype):
    layer = BatchNormalization(affine=False, dtype=dtype)
    mean, variance = np.zeros(2), np.ones(2)
    for seed in (1, 2):
        x = drawn(seed=seed)
        layer(tf.cast(x, dtype), training=True)
        mean = 0.9 * mean + 0.1 * np.mean(x, (0, 1, 2))
        variance = 0.9 * variance + 0.1 * np.var(x, (0, 1, 2), ddof=1)
    assert_close(layer.moving_mean, mean, 1e-6)
    assert_close(layer.moving_variance, variance, 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_single_value_normalizes_to_zero_with_finite_statistics(dtype):
    layer = BatchNormalization(dtype=dtype)
    y = layer(drawn((1, 1, 1, 2), dtype=dtype), training=True)
    assert_close(y, np.zeros((1, 1, 1, 2)), 0)
    assert_close(layer.moving_variance, np.full(2, 0.9), 1e-6)


def test_momentum_is_the_weight_of_the_past():
    layer = BatchNormalization(momentum=0.25, dtype="float64")
    layer(drawn(), training=True)
    assert_close(layer.moving_mean, 0.75 * np.mean(drawn(), (0, 1, 2)), 1e-12)


def test_inference_uses_running_statistics_and_keeps_them():
    layer = BatchNormalization(epsilon=1e-3, dtype="float64")
    layer.build(SHAPE)
    for variable, value in zip(
        (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance),
        ((2.0, 3.0), (-1.0, 1.0), (0.5, -0.5), (4.0, 9.0)),
        strict=True,
    ):
        variable.assign(value)
    x = drawn().numpy()
    expected = (x - (0.5, -0.5)) / np.sqrt(np.add((4.0, 9.0), 1e-3)) * (2.0, 3.0) + (-1.0, 1.0)
    assert_close(layer(drawn()), expected, 1e-14)
    scale, shift = layer.inference_scale_and_shift()
    assert_close(x * scale + shift, expected, 1e-14)
    assert_close(layer.moving_mean, np.array((0.5, -0.5)), 0)


def test_affine_layer_scales_and_shifts_the_normalized():
    layer = BatchNormalization(dtype="float64")
    layer.build(SHAPE)
    layer.gamma.assign((2.0, 3.0))
    layer.beta.assign((-1.0, 1.0))
    expected = plain(drawn()) * (2.0, 3.0) + (-1.0, 1.0)
    assert_close(layer(drawn(), training=True), expected, 1e-12)
    assert [v.name for v in layer.trainable_variables] == ["gamma", "beta"]


def test_layer_without_affine_has_nothing_to_train():
    layer = BatchNormalization(affine=False)
    layer.build(SHAPE)
    assert not layer.trainable_variables
    assert len(layer.non_trainable_variables) == 2


def test_tracked_statistics_leave_running_ones_alone():
    layer = BatchNormalization(affine=False)
    x = drawn(dtype="float32")
    with tracked_statistics(False):
        with tracked_statistics(False):
            y = layer(x, training=True)
        layer(x, training=True)
    assert_close(layer.moving_mean, np.zeros(2), 0)
    assert_close(y, plain(drawn()), 1e-5)
    layer(x, training=True)
    assert np.all(np.asarray(layer.moving_mean) != 0)


def test_tracked_statistics_end_with_an_error():
    layer = BatchNormalization(affine=False)
    with pytest.raises(KeyError), tracked_statistics(False):
        raise KeyError
    layer(drawn(dtype="float32"), training=True)
    assert np.all(np.asarray(layer.moving_mean) != 0)


def test_mixed_bfloat16_keeps_statistics_in_float32():
    layer = BatchNormalization(dtype="mixed_bfloat16")
    y = layer(drawn(dtype="bfloat16"), training=True)
    assert y.dtype == tf.bfloat16
    assert_close(tf.cast(y, tf.float64), plain(drawn()), 0.02)
    assert layer.moving_variance.dtype == layer.gamma.dtype == "float32"
    assert_close(layer.moving_mean, 0.1 * np.mean(drawn(), (0, 1, 2)), 0.01)
    assert layer(drawn(dtype="bfloat16")).dtype == tf.bfloat16


def test_bfloat16_second_derivative_is_near_the_exact_one():
    point, direction = [drawn()], [drawn(seed=1)]

    def function(norm):
        return lambda p: tf.reduce_sum(tf.cast(norm(p[0]), tf.float32) ** 3)

    expected = hessian_product(lambda p: tf.reduce_sum(plain(p[0]) ** 3), point, direction)
    narrow = [[tf.cast(t, tf.bfloat16) for t in tensors] for tensors in (point, direction)]
    actual = hessian_product(function(ours), *narrow)
    assert_close(tf.cast(actual[0], tf.float64), expected[0], 0.05)


def test_config_round_trip_keeps_settings():
    layer = BatchNormalization(affine=False, momentum=0.5, epsilon=1e-3)
    copy = BatchNormalization.from_config(layer.get_config())
    assert (copy.affine, copy.momentum, copy.epsilon) == (False, 0.5, 1e-3)
