"""Cross-entropy compared with Keras', its second derivative compared with differences."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from numerics import assert_close, gradients, hessian_product

from darts_tf.training.losses import cross_entropy

DRAW = np.random.default_rng(0)
LABELS = tf.constant([[0, 3, 6], [2, 2, 5]])
LOGITS = tf.constant(5 * DRAW.normal(size=(2, 3, 7)))
FACTORS = tf.constant(DRAW.normal(size=(2, 3)))
DIRECTION = tf.constant(DRAW.normal(size=(2, 3, 7)))


def written_out(labels, logits):
    return -tf.gather(tf.nn.log_softmax(logits), labels, batch_dims=2)


def total(function):
    """A nonlinear function of the losses, so that second derivatives involve the upstream."""
    return lambda point: tf.reduce_sum(tf.sin(FACTORS * function(LABELS, point[0])))


def test_the_loss_is_that_of_keras():
    stock = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    assert_close(cross_entropy(LABELS, LOGITS), stock.call(LABELS, LOGITS), 1e-13)


def test_large_logits_stay_finite():
    logits = tf.constant([[1e4, -1e4, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = cross_entropy(tf.constant([1]), logits)
    assert_close(loss, [2e4], 1e-7)
    assert_close(tape.gradient(loss, logits), [[1.0, -1.0, 0.0]], 1e-7)


def test_first_and_second_derivatives():
    point = [LOGITS]
    expected = gradients(total(written_out), point)
    assert_close(gradients(total(cross_entropy), point), expected, 1e-13)
    actual, expected = (
        hessian_product(total(f), point, [DIRECTION]) for f in (cross_entropy, written_out)
    )
    assert_close(actual, expected, 1e-13)
