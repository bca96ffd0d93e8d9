"""Number of steps in a pass over a split, and the rows of a batch for each replica."""

from __future__ import annotations

from darts_tf.data.splits import AnySplit
from darts_tf.errors import InputError

WHOLE = (0, 1, 1)
"""The `part` that is a whole batch.

A part is `(first, here, replicas)`: a batch is divided among `replicas`, of which this process has
`here`, beginning with number `first`.
"""


def steps_per_epoch(split: AnySplit, batch_size: int, replicas: int = 1) -> int:
    """Returns the number of batches in one pass over `split`; the last one may be smaller.

    Raises:
        InputError: `batch_size` is not between 1 and the number of images, or a batch has fewer
            images than replicas.
    """
    size = split.size
    if not 1 <= batch_size <= size:
        raise InputError(
            f"`batch_size` expected at most {size}, the number of images in the split, and at "
            f"least 1. Received: batch_size={batch_size}"
        )
    smallest = min(batch_size, size % batch_size or batch_size)
    if smallest < replicas:
        raise InputError(
            f"`batch_size` expected to leave an image for each of the {replicas} replicas in every "
            f"batch. Received: {batch_size=}, with which one of {size} images has {smallest}"
        )
    return -(-size // batch_size)


def evaluation_steps(split: AnySplit, batch_size: int) -> int:
    """Returns the number of batches of `evaluation_batches`."""
    return -(-split.size // batch_size)


def rows_of(length, replica, replicas: int) -> tuple:
    """Returns the first row of a replica's part of a batch, and the row after its last.

    Args:
        length: number of rows of the batch; numbers or tensors, as are the results.
        replica: number of the replica, from 0.
        replicas: number of replicas that share the batch.
    """
    return length * replica // replicas, length * (replica + 1) // replicas
