"""What the edges of a supernet are mixed by, given in place of its softmaxed alphas.

A mixture is a list as a supernet's `mixture()` gives it: the factors of the primitives on every
edge, `(edges, primitives)`, of the normal and of the reduction cell; with partial channels also the
factors of whole edges, `(edges,)`, in the same order. As it is an input of a traced function, other
mixtures cost no tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import tensorflow as tf

from darts_tf.layers.normalization import tracked_statistics
from darts_tf.runtime import switches
from darts_tf.spaces.cell import edges, nodes_of
from darts_tf.spaces.genotype import Genotype

Mixture = Sequence


def mixed_by(mixture: Mixture) -> AbstractContextManager[None]:
    """Context manager: supernets mix by this rather than by their alphas."""
    return switches.MIXTURE.hold([tf.convert_to_tensor(part) for part in mixture])


def given_mixture() -> list[tf.Tensor] | None:
    """Returns the mixture that `mixed_by` set; None outside of it."""
    return switches.MIXTURE.value


def projected(genotype: Genotype, mixture: Mixture, primitives) -> list[np.ndarray]:
    """The mixture in which a genotype's operations alone are left, each with the factor 1.

    Args:
        genotype: derived from a search with these primitives.
        mixture: any of the supernet; its shapes are taken.
        primitives: what the columns stand for, on all edges or, of both cells, on each.
    """
    same = isinstance(primitives[0], str)
    found = [np.zeros(part.shape, np.float32) for part in mixture]
    rows = {edge: row for row, edge in enumerate(edges(nodes_of(len(found[0]))))}
    for cell, pairs in enumerate((genotype.normal, genotype.reduce)):
        for i, (primitive, source) in enumerate(pairs):
            row = rows[source, 2 + i // 2]
            names = primitives if same else primitives[cell][row]
            found[cell][row, names.index(primitive)] = 1
            for shares in found[2 + cell :: 2]:
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
