"""Gradients of the validation loss with respect to the alphas (Liu et al. 2019, sec. 2.3).

An estimator is a pure function. `configs.estimators.ESTIMATORS` lists the estimators by name, with
their traits. All take

- `loss(weights, alphas, batch)`, which returns a scalar,
- `weights` and `alphas`, two lists of arrays: w and α,
- `train` and `valid`, a batch of each half of the data,
- `virtual_step(weights, gradients)`, which returns w' = w − ξ∇L_train, with the momentum and the
  decay of the weights' optimizer,

and return `(valid_loss, gradients)`, one gradient per entry of `alphas`.

On several replicas, `loss` returns a replica's share of the loss of the global batch. Shares are
summed over the replicas where the paper's formulas need the sum: the gradient for the virtual step,
the gradient at the virtual weights, and the product with the mixed second derivative. The returned
loss and gradients are sums too, equal on all replicas.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from darts_tf.errors import InputError, in_one_line, shown
from darts_tf.ops.autodiff import weights_fixed
from darts_tf.runtime.distribution import all_sum

FINITE_DIFFERENCE_RADIUS = 1e-2


def first_order(loss, weights, alphas, train, valid, virtual_step):
    """Returns ∇α L_valid(w, α), the gradient for ξ = 0 at the current weights (sec. 2.3)."""
    del train, virtual_step
    valid_loss, share = _arch_gradients(loss, weights, alphas, valid)
    valid_loss, *gradients = all_sum([valid_loss, *share])
    return valid_loss, gradients


def first_order_with_weights(loss, weights, alphas, valid):
    """Returns L_valid(w, α), ∇α L_valid(w, α) and ∇w L_valid(w, α), from one pass."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([weights, alphas])
        value = loss(weights, alphas, valid)
    of_weights, of_alphas = _gradient(tape, value, [weights, alphas])
    valid_loss, *sums = all_sum([value, *of_alphas, *of_weights])
    return valid_loss, sums[: len(alphas)], sums[len(alphas) :]


def second_order(loss, weights, alphas, train, valid, virtual_step):
    """Returns the exact gradient of the unrolled loss (eq. 6).

    It is d/dα L_valid(w − ξ∇w L_train(w, α), α). The chain rule (eq. 7) is applied by hand, so that
    the outer tape records only the training loss: first the validation loss and its gradient at the
    virtual weights w'; then the product of the mixed second derivative of the training loss with
    the vector that the virtual step propagates back to ∇w L_train.
    """
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(alphas)
        with weights_fixed(2):
            # one operation at the end: the order in which a tape goes back through several differs
            # between replicas, which would then wait for each other in different sums
            share = tf.identity_n(_weight_gradients(loss, weights, alphas, train))
    gradients = all_sum(share)
    valid_loss, direct, direction = _unrolled(loss, weights, alphas, gradients, valid, virtual_step)
    implicit = _gradient(outer, share, alphas, output_gradients=direction)
    return valid_loss, all_sum(_add(direct, implicit))


def finite_difference(
    loss, weights, alphas, train, valid, virtual_step, radius=FINITE_DIFFERENCE_RADIUS
):
    """Returns the gradient of `second_order`, its product by a central difference (eq. 8).

    The difference is that of ∇α L_train at w ± ε·v, with v the propagated vector and
    ε = radius / |v|. The product is zero if v is zero.

    Args:
        loss: see the module.
        weights: see the module.
        alphas: see the module.
        train: see the module.
        valid: see the module.
        virtual_step: see the module.
        radius: length of the step in weight space to either side.
    """
    gradients = all_sum(_weight_gradients(loss, weights, alphas, train))
    valid_loss, direct, direction = _unrolled(loss, weights, alphas, gradients, valid, virtual_step)
    epsilon = tf.math.divide_no_nan(
        tf.convert_to_tensor(radius, valid_loss.dtype), tf.linalg.global_norm(direction)
    )
    steps = [epsilon * d for d in direction]
    sides = []
    for side in (tf.add, tf.subtract):
        moved = [side(w, step) for w, step in zip(weights, steps, strict=True)]
        sides.append(_arch_gradients(loss, moved, alphas, train)[1])
    implicit = [
        tf.math.divide_no_nan(plus - minus, 2 * epsilon) for plus, minus in zip(*sides, strict=True)
    ]
    return valid_loss, all_sum(_add(direct, implicit))


def _arch_gradients(loss, weights, alphas, batch):
    """Returns a replica's share of the loss and of its gradient with respect to the alphas."""
    with weights_fixed(1), tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(alphas)
        value = loss(weights, alphas, batch)
    return value, _gradient(tape, value, alphas)


def _weight_gradients(loss, weights, alphas, batch):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        value = loss(weights, alphas, batch)
    return _gradient(tape, value, weights)


def _unrolled(loss, weights, alphas, gradients, valid, virtual_step):
    """Differentiates L_valid at the virtual weights w'.

    Returns:
        L_valid(w', α); this replica's share of its gradient with respect to α at constant w'; and
        its gradient with respect to `gradients`, through the virtual step.
    """
    with tf.GradientTape(watch_accessed_variables=False) as step:
        step.watch(gradients)
        virtual = virtual_step(weights, gradients)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([virtual, alphas])
        valid_loss = loss(virtual, alphas, valid)
    at_virtual, direct = _gradient(tape, valid_loss, [virtual, alphas])
    valid_loss, *at_virtual = all_sum([valid_loss, *at_virtual])
    return valid_loss, direct, _gradient(step, virtual, gradients, output_gradients=at_virtual)


_ZERO = tf.UnconnectedGradients.ZERO  # a supernet need not use every kind of cell


def _gradient(tape, target, sources, **kwargs):
    return tape.gradient(target, sources, unconnected_gradients=_ZERO, **kwargs)


def _add(first, second):
    return [a + b for a, b in zip(first, second, strict=True)]


SHAPES = ((2, 3), (2, 2))
"""Shapes of the alphas that `check_estimator` uses."""


def check_estimator(name: str, function: Callable) -> None:
    """Checks an estimator on the loss (w - mean(α) - batch)², traced as in a search.

    Args:
        name: name of the estimator.
        function: the estimator, with the signature of the functions above.

    Raises:
        InputError: it fails, or does not return a scalar and a finite gradient for every entry of
            the alphas.
    """

    def loss(weights, alphas, batch):
        mean = tf.add_n([tf.reduce_mean(array) for array in alphas])
        return tf.reduce_mean((weights[0] - mean - batch) ** 2)

    def virtual_step(weights, gradients):
        return [w - 0.1 * g for w, g in zip(weights, gradients, strict=True)]

    @tf.function(autograph=False)
    def estimate():
        weights, alphas = [tf.ones(3)], [tf.fill(shape, 0.5) for shape in SHAPES]
        batches = tf.zeros(3), tf.ones(3)
        result = function(loss, weights, alphas, *batches, virtual_step)
        _check_kind(name, result)
        return result

    try:
        valid_loss, gradients = estimate()
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"Expected the estimator {name} to run. Received: {in_one_line(error)}"
        ) from error
    shapes = tuple(tuple(gradient.shape) for gradient in gradients)
    if shapes != SHAPES or tuple(valid_loss.shape) != ():
        raise InputError(
            f"Expected the estimator {name} to return a scalar and gradients of the alphas' shapes "
            f"{SHAPES}. Received: {tuple(valid_loss.shape)} and {shapes}"
        )
    if not all(np.isfinite(np.asarray(part)).all() for part in (valid_loss, *gradients)):
        raise InputError(
            f"Expected the estimator {name} to return finite numbers. Received: NaN or infinity"
        )


def _check_kind(name: str, result) -> None:
    pair = result if isinstance(result, list | tuple) and len(result) == 2 else (None, None)
    gradients = pair[1] if isinstance(pair[1], list | tuple) else [None]
    if not all(tf.is_tensor(part) for part in (pair[0], *gradients)):
        raise InputError(
            f"Expected the estimator {name} to return (valid_loss, gradients), a tensor for each "
            f"array of the alphas. Received: {shown(result)}"
        )
