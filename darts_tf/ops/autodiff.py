"""Custom gradients, and switches for derivatives that are not needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import tensorflow as tf
from tensorflow.python.eager import record

from darts_tf.runtime import switches


def custom_gradient(function: Callable) -> Callable:
    """Decorator for a function with its own gradient; a lean `tf.custom_gradient`.

    In a graph `tf.custom_gradient` adds a copy and a tensor of zeros for every argument: a fifth
    of a supernet's graph. The function must use no variables.

    Args:
        function: a function of tensors that returns `(results, gradient)`. `results` is a tensor or
            a flat list of tensors. `gradient(*upstreams)` returns one tensor or None per argument.
            No tape records inside `function`, not even a tape that it opens, nor inside a
            `tf.function` that is traced by its first call there.

    Returns:
        A function of the same arguments that returns the results.
    """

    def differentiable(*arguments):
        arguments = tuple(tf.convert_to_tensor(a) for a in arguments)
        with record.stop_recording():
            results, gradient = function(*arguments)
        flat = tf.nest.flatten(results)

        def backward(*upstreams):
            return tf.nest.flatten(gradient(*upstreams))

        record.record_operation(function.__name__, flat, arguments, backward)
        return results

    return differentiable


def weights_fixed(order: int) -> AbstractContextManager[None]:
    """Context manager: derivatives with respect to weights are not needed from this order on.

    This only saves time. Use 1 if only a gradient for the alphas is needed, and 2 if the gradient
    for the weights will be differentiated by the alphas. Derivatives for weights that are taken
    anyway are missing.
    """
    return switches.WEIGHTS_FIXED_FROM.hold(order)


def weights_fixed_from() -> int:
    """Returns the lowest order whose derivatives for weights are not needed; 3 by default."""
    return switches.WEIGHTS_FIXED_FROM.value


@contextlib.contextmanager
def recording() -> Iterator[list[list[tf.Tensor]]]:
    """Context manager: collects the results of `keep` in the list that it yields."""
    results = []
    with switches.RECORDED.hold(results), switches.REPLAYED.hold(None):
        yield results


@contextlib.contextmanager
def replaying(results: list[list[tf.Tensor]]) -> Iterator[None]:
    """Context manager: `keep` returns recorded results in the same order, and computes nothing."""
    with switches.REPLAYED.hold(iter(results)), switches.RECORDED.hold(None):
        yield


def keep(compute: Callable[[], list[tf.Tensor]]) -> list[tf.Tensor]:
    """Returns the results of `compute`, or the recorded ones while replaying.

    A replayed result has no gradient: use this only inside custom gradients.
    """
    if switches.REPLAYED.value is not None:
        return next(switches.REPLAYED.value)
    results = compute()
    if switches.RECORDED.value is not None:
        switches.RECORDED.value.append(results)
    return results
