"""Random numbers as pure functions of (seed, stream, counter), without a state to save."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

# Every use of a seed has its own stream. The counter is a class, an epoch or a step.
HALVES, LIMIT, WEIGHTS_ORDER, ALPHAS_ORDER, WEIGHTS_DRAWS, ALPHAS_DRAWS = STREAMS = range(6)


def stream_seed(seed: int, stream: int, counter: tf.Tensor | int) -> tf.Tensor:
    """Returns a seed for stateless operations: int64, `(2,)`, unique per argument tuple."""
    counter = tf.cast(counter, tf.int64)
    return tf.stack([tf.constant(seed, tf.int64), counter * len(STREAMS) + stream])


def permutation_key(seed: int, stream: int, counter: tf.Tensor | int) -> tf.Tensor:
    """Returns the key of a permutation for `shuffled_indices`: int64, `(3,)`."""
    # Hashed, since the shuffle reads only 8 bits of each number: consecutive integers as keys
    # would give at most 256 permutations. The algorithm is named since the default depends on the
    # device.
    return tf.random.stateless_uniform(
        [3], stream_seed(seed, stream, counter), None, None, tf.int64, alg="philox"
    )


def shuffled_indices(positions: tf.Tensor, size: int, keys: tf.Tensor) -> tf.Tensor:
    """Looks up positions in random permutations of `0 ... size - 1` without building them.

    Args:
        positions: int64, `(n,)`, each in `[0, size)`.
        size: length of the permutations.
        keys: int64, `(3,)`, or `(n, 3)` for a separate permutation per position.

    Returns:
        int64, `(n,)`: the permutations' elements at `positions`.
    """
    # `tf.random.experimental.index_shuffle` calls this operation, but takes no matrix of keys,
    # fixes one of the three numbers, and has 4 rounds: too few, small sizes repeat permutations.
    return tf.raw_ops.RandomIndexShuffle(
        index=positions, seed=keys, max_index=tf.constant(size - 1, tf.int64), rounds=8
    )


def permutation(size: int, seed: int, stream: int, counter: int = 0) -> np.ndarray:
    """Returns a random permutation of `0 ... size - 1`: int64, `(size,)`."""
    positions = tf.range(size, dtype=tf.int64)
    return shuffled_indices(positions, size, permutation_key(seed, stream, counter)).numpy()
