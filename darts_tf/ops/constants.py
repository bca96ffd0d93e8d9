"""Small tensors that the graph of a supernet needs hundreds of times, made once.

A graph that reads a tensor from outside keeps a single node for it; a number written in place is a
node each time, and a third of a supernet's graph would be such nodes.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf


@functools.cache
def filled(value: float, shape: tuple[int, ...] = (), dtype=tf.float32) -> tf.Tensor:
    """A tensor of one number."""
    with tf.init_scope():
        return tf.fill(shape, tf.constant(value, dtype))


@functools.cache
def tiled_identity(size: int, times: int, dtype=tf.float32) -> tf.Tensor:
    """Identity matrices side by side, `(size, times * size)`."""
    with tf.init_scope():
        return tf.constant(np.tile(np.eye(size), (1, times)), dtype)


@functools.cache
def diagonal_blocks(groups: int, dtype=tf.float32) -> tf.Tensor:
    """An identity matrix over groups, `(groups, 1, groups, 1)`."""
    with tf.init_scope():
        return tf.constant(np.eye(groups)[:, None, :, None], dtype)


@functools.cache
def integers(*values: int) -> tf.Tensor:
    """A vector of int32, such as a shape."""
    with tf.init_scope():
        return tf.constant(values, tf.int32)
