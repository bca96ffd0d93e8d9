"""Overrides a supernet's mixture weights, e.g. to mask operations.

A mixture is a list as a supernet's `mixture()` gives it: the factors of the primitives on every
edge, `(edges, primitives)`, of each kind of cell; with partial channels also the factors of whole
edges, `(edges,)`, in the same order. As it is an input of a traced function, other
mixtures cost no tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import tensorflow as tf

from darts_tf.layers.normalization import tracked_statistics
from darts_tf.runtime import switches
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import Space

Mixture = Sequence


def mixed_by(mixture: Mixture) -> AbstractContextManager[None]:
    """Context manager: supernets mix by this rather than by their alphas."""
    return switches.MIXTURE.hold([tf.convert_to_tensor(part) for part in mixture])


def given_mixture() -> list[tf.Tensor] | None:
    """Returns the mixture that `mixed_by` set; None outside of it."""
    return switches.MIXTURE.value


def projected(genotype: AnyGenotype, mixture: Mixture, space: Space) -> list[np.ndarray]:
    """The mixture in which a genotype's operations alone are left, each with the factor 1.

    Args:
        genotype: derived from a search in this space.
        mixture: any of the supernet; its shapes are taken.
        space: of the search.
    """
    found = [np.zeros(part.shape, np.float32) for part in mixture]
    for kind, cell in enumerate(genotype.cells):
        for primitive, source, target in cell.edges:
            row = space.rows[source, target]
            found[kind][row, space.candidates[kind][row].index(primitive)] = 1
            for shares in found[len(space.kinds) + kind :: len(space.kinds)]:
                shares[row] = 1
    return found


def measuring(network, batches: Callable[[], tf.data.Dataset]) -> Callable:
    """A function of a mixture: accuracy and mean loss of the supernet that is mixed by it.

    Normalisations take the statistics of each batch: the running ones are those of the mixture
    that was trained, and would be wrong for any other. Nothing is dropped out or drawn.

    Args:
        network: a supernet.
        batches: gives the images and labels to measure on.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def sums(x, y, mixture):
        with mixed_by(mixture), tracked_statistics(False):
            logits = tf.cast(network(x, training=True), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        right = tf.equal(tf.argmax(logits, -1, y.dtype), y)
        return tf.reduce_sum(tf.cast(right, tf.float32)), tf.reduce_sum(losses), tf.size(y)

    def measure(mixture: Mixture) -> tuple[float, float]:
        mixture = [tf.convert_to_tensor(part) for part in mixture]
        total = np.sum([sums(x, y, mixture) for x, y in batches()], axis=0, dtype=np.float64)
        return float(total[0] / total[2]), float(total[1] / total[2])

    return measure
