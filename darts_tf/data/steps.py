"""How many steps a pass over a split has, and who has which rows of a batch."""

from __future__ import annotations

from darts_tf.data.splits import AnySplit
from darts_tf.errors import InputError

WHOLE = (0, 1, 1)
"""All of a batch: the parts from the first of `(first, here, replicas)`, as many as the second, of
as many as the third that a batch is divided into."""


def steps_per_epoch(split: AnySplit, batch_size: int, replicas: int = 1) -> int:
    """Batches in one pass over `split`; the last one may be smaller.

    Raises:
        InputError: `batch_size` is not between 1 and the number of images, or a batch has fewer
            images than there are replicas to share it.
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
    """How many batches `evaluation_batches` gives."""
    return -(-split.size // batch_size)


def rows_of(length, replica, replicas: int) -> tuple:
    """The rows of a batch that a replica has: from the first to before the second.

    Args:
        length: of the batch; a number or a tensor, as the results then are.
        replica: from 0.
        replicas: that share the batch.
    """
    return length * replica // replicas, length * (replica + 1) // replicas
