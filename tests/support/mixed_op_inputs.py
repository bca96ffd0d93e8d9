"""Mixed operations with random alphas and inputs, for tests of shared graphs."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from darts_tf.layers.mixed_op import MixedOp
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.spaces.cell import PRIMITIVES

CHANNELS, EDGES = 2, 2


def drawn(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(0.3, 1.0, shape), "float64")


def mixed_op(stride=1):
    mixed = MixedOp(CHANNELS, stride, EDGES, PRIMITIVES)
    mixed.build((None, None, None, CHANNELS))
    return mixed


def inputs(seed=0):
    return drawn(2, 8, 8, CHANNELS, seed=seed), tf.nn.softmax(drawn(EDGES, len(PRIMITIVES)))


def scalar_of(call, mixed):
    """Returns a nonlinear scalar function of a mixed operation's state, alphas and weights."""

    def function(point):
        state, weights, *kernels = point
        mapping = list(zip(mixed.trainable_variables, kernels, strict=True))
        with keras.StatelessScope(state_mapping=mapping), tracked_statistics(False):
            outputs = call(mixed, state, weights)
        places = tf.reshape(tf.range(tf.size(outputs[0]), dtype=tf.float64), tf.shape(outputs[0]))
        return tf.add_n([tf.reduce_sum(tf.cos(places + i) * y**3) for i, y in enumerate(outputs)])

    return function
