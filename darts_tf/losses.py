"""What the examples of a batch add to a loss, and how many of them all replicas have."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from darts_tf.distribution import all_sum


def per_example(loss: Callable) -> Callable:
    """A loss of labels and logits that gives one number per example."""
    function = loss.call if isinstance(loss, keras.losses.Loss) else loss

    def losses(labels, logits):
        values = function(labels, logits if logits.dtype.size > 2 else tf.cast(logits, tf.float32))
        return values if values.shape.rank else tf.fill(tf.shape(labels)[:1], values)

    return losses


def counted(*batches) -> list[tuple]:
    """Batches `(x, y, n)` of `(x, y)`: n is how many examples all replicas have together."""
    if all(len(batch) == 3 for batch in batches):
        return list(batches)
    sizes = [tf.cast(tf.shape(batch[1])[0], tf.float32) for batch in batches]
    return [(*batch[:2], n) for batch, n in zip(batches, all_sum(sizes), strict=True)]
