"""Estimators of users: whether they give what `gradients` asks of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.names import in_one_line, shown

SHAPES = ((2, 3), (2, 2))
"""Of the alphas that an estimator is tried on."""


def check(name: str, function: Callable) -> None:
    """Tries an estimator on the loss (w - mean(α) - batch)², traced as in a search.

    Args:
        name: of the estimator.
        function: as those of `gradients.ESTIMATORS`.

    Raises:
        InputError: it fails, or gives no scalar and a finite gradient for each of the alphas.
    """

    def loss(weights, alphas, batch):
        mean = tf.add_n([tf.reduce_mean(array) for array in alphas])
        return tf.reduce_mean((weights[0] - mean - batch) ** 2)

    def virtual_step(weights, gradients):
        return [w - 0.1 * g for w, g in zip(weights, gradients, strict=True)]

    @tf.function(autograph=False)
    def tried():
        weights, alphas = [tf.ones(3)], [tf.fill(shape, 0.5) for shape in SHAPES]
        batches = tf.zeros(3), tf.ones(3)
        found = function(loss, weights, alphas, *batches, virtual_step)
        _check_kind(name, found)
        return found

    try:
        valid_loss, gradients = tried()
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"Expected the estimator {name} to run. Received: {in_one_line(error)}"
        ) from error
    shapes = tuple(tuple(gradient.shape) for gradient in gradients)
    if shapes != SHAPES or tuple(valid_loss.shape) != ():
        raise InputError(
            f"Expected the estimator {name} to give a scalar and gradients {SHAPES}, of the shapes "
            f"of the alphas. Received: {tuple(valid_loss.shape)} and {shapes}"
        )
    if not all(np.isfinite(np.asarray(part)).all() for part in (valid_loss, *gradients)):
        raise InputError(f"Expected the estimator {name} to give finite numbers. Received: others")


def _check_kind(name: str, found) -> None:
    pair = found if isinstance(found, list | tuple) and len(found) == 2 else (None, None)
    gradients = pair[1] if isinstance(pair[1], list | tuple) else [None]
    if not all(tf.is_tensor(part) for part in (pair[0], *gradients)):
        raise InputError(
            f"Expected the estimator {name} to give (valid_loss, gradients), a tensor for each of "
            f"the alphas. Received: {shown(found)}"
        )
