"""The worst mixture weights in a neighbourhood (Chen and Hsieh 2020, SmoothDARTS, SDARTS-ADV).

The network's weights descend the training loss at the mixture weights that maximize it within a
radius: max over |δ|∞ <= ε of L_train(w, p + δ), approached by projected gradient ascent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from darts_tf.layers.relaxations import random_smoothing, to_distributions
from darts_tf.runtime.distribution import replicas

STEPS = 7
"""Steps of the ascent, as in the authors' code."""


def adversarial_smoothing(
    gradient_at: Callable, weights: Sequence[tf.Tensor], radius: tf.Tensor, seed: tf.Tensor
) -> list[tf.Tensor]:
    """Returns mixture weights near `weights` at which the loss is high.

    The ascent begins at a random point of the neighbourhood. Every step follows the signs of the
    gradient by 2ε / `STEPS`; the result is clipped to the neighbourhood, and then made a
    distribution again by `to_distributions`, as in the authors' code.

    Args:
        gradient_at: returns the gradients of the loss at mixture weights, a list like `weights`.
        weights: `(edges, primitives)` for each kind of cell, each row a distribution.
        radius: ε, a scalar.
        seed: seed of the random point, int32, `(2,)`.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, len(weights)))
    radius = tf.cast(radius, weights[0].dtype)
    first = [random_smoothing(w, radius, s) for w, s in zip(weights, seeds, strict=True)]

    def ascend(*now):
        moves = [2 * radius / STEPS * tf.sign(g) for g in gradient_at(list(now))]
        parts = zip(weights, now, moves, strict=True)
        return [
            to_distributions(w + tf.clip_by_value(p + move - w, -radius, radius))
            for w, p, move in parts
        ]

    if replicas() == 1:  # one graph for all steps
        return list(tf.while_loop(lambda *now: True, ascend, first, maximum_iterations=STEPS))
    for _ in range(STEPS):  # replicas cannot communicate inside a loop of the graph
        first = ascend(*first)
    return first
