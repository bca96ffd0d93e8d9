"""Random numbers as functions of (seed, stream, counter): nothing to store, nothing to replay."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

# Every use of one seed reads a stream of its own. The counter is a class, an epoch or a step.
HALVES, LIMIT, WEIGHTS_ORDER, ALPHAS_ORDER, WEIGHTS_DRAWS, ALPHAS_DRAWS = STREAMS = range(6)


def stream_seed(seed: int, stream: int, counter: tf.Tensor | int) -> tf.Tensor:
    """The seed of the stateless operations: int64, `(2,)`, another one for every argument."""
    counter = tf.cast(counter, tf.int64)
    return tf.stack([tf.constant(seed, tf.int64), counter * len(STREAMS) + stream])


def permutation_key(seed: int, stream: int, counter: tf.Tensor | int) -> tf.Tensor:
    """The name of a permutation for `shuffled_indices`: int64, `(3,)`."""
    # Hashed: of each number the shuffle reads 8 bits only, so that counting up as keys gives no
    # more than 256 permutations. The algorithm is named since the default depends on the device.
    return tf.random.stateless_uniform(
        [3], stream_seed(seed, stream, counter), None, None, tf.int64, alg="philox"
    )


def shuffled_indices(positions: tf.Tensor, size: int, keys: tf.Tensor) -> tf.Tensor:
    """Looks positions up in random permutations of `0 ... size - 1`, without building these.

    Args:
        positions: int64, `(n,)`, each in `[0, size)`.
        size: length of the permutations.
        keys: int64, `(3,)` or, for a permutation of its own at each position, `(n, 3)`.

    Returns:
        int64, `(n,)`: the permutations' elements at `positions`.
    """
    # What `tf.random.experimental.index_shuffle` calls; that one takes no matrix of keys, fixes
    # one of the three numbers, and has 4 rounds: too few, small sizes repeat permutations.
    return tf.raw_ops.RandomIndexShuffle(
        index=positions, seed=keys, max_index=tf.constant(size - 1, tf.int64), rounds=8
    )


def permutation(size: int, seed: int, stream: int, counter: int = 0) -> np.ndarray:
    """A random permutation of `0 ... size - 1`: int64, `(size,)`."""
    positions = tf.range(size, dtype=tf.int64)
    return shuffled_indices(positions, size, permutation_key(seed, stream, counter)).numpy()
