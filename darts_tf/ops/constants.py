"""Cached small tensors that the graph of a supernet uses hundreds of times.

A graph that captures a tensor from outside has a single node for it. A literal number adds a node
at every use, and a third of a supernet's graph would be such nodes.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf


@functools.cache
def filled(value: float, shape: tuple[int, ...] = (), dtype=tf.float32) -> tf.Tensor:
    """Returns a tensor whose elements all equal `value`."""
    with tf.init_scope():
        return tf.fill(shape, tf.constant(value, dtype))


@functools.cache
def tiled_identity(size: int, times: int, dtype=tf.float32) -> tf.Tensor:
    """Returns identity matrices side by side, `(size, times * size)`."""
    with tf.init_scope():
        return tf.constant(np.tile(np.eye(size), (1, times)), dtype)


@functools.cache
def diagonal_blocks(groups: int, dtype=tf.float32) -> tf.Tensor:
    """Returns an identity matrix over groups, `(groups, 1, groups, 1)`."""
    with tf.init_scope():
        return tf.constant(np.eye(groups)[:, None, :, None], dtype)


@functools.cache
def integers(*values: int) -> tf.Tensor:
    """Returns an int32 vector, such as a shape."""
    with tf.init_scope():
        return tf.constant(values, tf.int32)
