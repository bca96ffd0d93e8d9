"""The expected cost of what a search will derive, as a penalty that it can descend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from darts_tf.costs.tables import CellCosts
from darts_tf.spaces.cell import INPUTS, NONE, nodes_of


def expected_cost(costs: CellCosts, alphas: Sequence[tf.Tensor]) -> tf.Tensor:
    """The mean cost of the networks of cells that are drawn by their alphas.

    Every node draws two edges, by the softmax of the edges' own alphas where there are some, else
    all alike, and on each of them a primitive by the softmax of the alphas, `none` left out: it is
    never derived, and would be the cheapest way to make the penalty small.

    Args:
        costs: of every choice.
        alphas: as a supernet has them: `(edges, primitives)` of the normal and of the reduction
            cell, and `(edges,)` of the edges of both with partial channels.

    Returns:
        A scalar.
    """
    dtype = alphas[0].dtype
    total = tf.constant(costs.constant, dtype)
    for cell, table in enumerate((costs.normal, costs.reduce)):
        derived = costs.names(cell) != NONE
        shares = tf.nn.softmax(tf.where(derived, alphas[cell], tf.cast(-np.inf, dtype)))
        of_edges = tf.reduce_sum(shares * tf.constant(np.where(derived, table, 0), dtype), 1)
        sizes = [INPUTS + node for node in range(nodes_of(len(table)))]
        over = alphas[2 + cell] if alphas[2:] else tf.zeros_like(of_edges)
        drawn = tf.concat([tf.nn.softmax(part) for part in tf.split(over, sizes)], 0)
        total += 2 * tf.reduce_sum(drawn * of_edges)
    return total


def cost_penalty(costs: CellCosts, weight: float) -> Callable[[Sequence[tf.Tensor]], tf.Tensor]:
    """`weight * expected_cost / reference` as a function of the alphas.

    The reference is the expected cost where all alphas are equal, as they are when a search
    begins. The weights of the network take no part in it, so that it is the same whatever the
    estimator of the valid loss's gradient.

    Args:
        costs: of every choice.
        weight: of the penalty in what the alphas descend.
    """
    equal = [tf.zeros_like(table, tf.float64) for table in (costs.normal, costs.reduce)]
    reference = float(expected_cost(costs, equal))

    return lambda alphas: weight / reference * expected_cost(costs, alphas)
