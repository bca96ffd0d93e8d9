"""The expected cost of the derived network, as a differentiable penalty on the alphas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from darts_tf.costs.tables import CellCosts
from darts_tf.layers.relaxations import over_edges
from darts_tf.spaces.cell import NONE


def expected_cost(costs: CellCosts, alphas: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the mean cost of networks whose cells are sampled by their alphas.

    Every node samples two of its edges, by the softmax of the edges' alphas, or uniformly if there
    are none; or it keeps all of them, if the space says so. Each edge samples a primitive by the
    softmax of its alphas. Where `none` is never derived, it is excluded: it would be the cheapest
    way to reduce the penalty.

    Args:
        costs: cost of every choice.
        alphas: alphas of a supernet: `(edges, primitives)` of each kind of cell; with partial
            channels also `(edges,)` of the edges of each.

    Returns:
        A scalar, in the unit of `costs`.
    """
    dtype, space = alphas[0].dtype, costs.space
    total, kinds = tf.constant(costs.constant, dtype), len(costs.tables)
    for cell, table in enumerate(costs.tables):
        derived = (costs.names(cell) != NONE) | space.allow_none
        shares = tf.nn.softmax(tf.where(derived, alphas[cell], tf.cast(-np.inf, dtype)))
        edge_costs = tf.reduce_sum(shares * tf.constant(np.where(derived, table, 0), dtype), 1)
        if space.edges_per_node is None:
            total += tf.reduce_sum(edge_costs)
            continue
        over = alphas[kinds + cell] if alphas[kinds:] else tf.zeros_like(edge_costs)
        drawn = over_edges(over, space)
        total += space.edges_per_node * tf.reduce_sum(drawn * edge_costs)
    return total


def cost_penalty(costs: CellCosts, weight: float) -> Callable[[Sequence[tf.Tensor]], tf.Tensor]:
    """Returns the function `weight * expected_cost / reference` of the alphas.

    The reference is the expected cost at equal alphas, as at the start of a search. The penalty
    does not depend on the network's weights, so it is the same for all estimators of the
    validation loss's gradient.

    Args:
        costs: cost of every choice.
        weight: factor of the penalty in the loss of the alphas.
    """
    equal = [tf.zeros_like(table, tf.float64) for table in costs.tables]
    reference = float(expected_cost(costs, equal))

    return lambda alphas: weight / reference * expected_cost(costs, alphas)
