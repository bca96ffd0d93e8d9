"""Gradients by hand, and which of them are wanted."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorflow.python.eager import record

_state = threading.local()


def custom_gradient(function: Callable) -> Callable:
    """As `tf.custom_gradient`, for functions of tensors that use no variables, without its nodes.

    In a graph `tf.custom_gradient` adds a copy and a tensor of zeros for every argument: a fifth
    of a supernet's graph.

    Args:
        function: gives `(results, gradient)`, results a tensor or a flat list of them, and
            `gradient(*upstreams)` one tensor or None for each argument. No tape records within
            it, not even its own, nor within a function that it calls first and so traces.

    Returns:
        A function of the same arguments that gives the results.
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


@contextlib.contextmanager
def weights_fixed(order: int) -> Iterator[None]:
    """Within this block derivatives along weights are not needed from this order on.

    That saves time alone: 1 where only a gradient along the alphas is wanted, 2 where the gradient
    along the weights is to be differentiated along the alphas. Derivatives along weights that are
    taken all the same are missing.
    """
    before = weights_fixed_from()
    _state.fixed_from = order
    try:
        yield
    finally:
        _state.fixed_from = before


def weights_fixed_from() -> int:
    """The lowest order whose derivatives along weights are not needed; 3 where all are."""
    return getattr(_state, "fixed_from", 3)


_mode_state = threading.local()


@contextlib.contextmanager
def recording() -> Iterator[list[list[tf.Tensor]]]:
    """Within this block the results of `keep` are collected in the list that it gives."""
    results = []
    with _mode(recorded=results):
        yield results


@contextlib.contextmanager
def replaying(results: list[list[tf.Tensor]]) -> Iterator[None]:
    """Within this block `keep` gives what was recorded, in the same order, and computes nothing."""
    with _mode(replayed=iter(results)):
        yield


@contextlib.contextmanager
def _mode(recorded=None, replayed=None):
    before = _current()
    _mode_state.mode = recorded, replayed
    try:
        yield
    finally:
        _mode_state.mode = before


def _current():
    return getattr(_mode_state, "mode", (None, None))


def keep(compute: Callable[[], list[tf.Tensor]]) -> list[tf.Tensor]:
    """What `compute` gives, or gave when it was recorded.

    A replayed result is connected to nothing: this is for the inside of custom gradients.
    """
    recorded, replayed = _current()
    if replayed is not None:
        return next(replayed)
    results = compute()
    if recorded is not None:
        recorded.append(results)
    return results
