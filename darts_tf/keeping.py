"""What a forward pass hands to its backward pass when the two are functions of their own.

A layer that others of its kind share the graph of (see `sharing`) runs forward in one function and
backward in another. The first records the results of its dear operations; the second, which goes
through the layer again to be differentiated, gets them instead of computing them once more. What
is not kept is computed again, where a gradient reads it at all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import tensorflow as tf

_state = threading.local()


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
    _state.mode = recorded, replayed
    try:
        yield
    finally:
        _state.mode = before


def _current():
    return getattr(_state, "mode", (None, None))


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
