"""Entries that users have registered, by kind and name. Plain data: it imports nothing.

`register` adds entries here after it has checked them. Built-in entries and these are looked up
together, so that code that knows a built-in name knows users' names too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

PRIMITIVES: dict[str, Callable] = {}
"""`(channels, stride, affine, groups) -> layer`, as in `layers.primitives.PRIMITIVES`."""
SPACES: dict[str, object] = {}
"""Search spaces, as in `spaces.search_spaces.SPACES`."""
DATASETS: dict[str, Callable] = {}
"""`() -> (classes, train, test)`, as in `data.sources.EMBEDDED`."""
ESTIMATORS: dict[str, object] = {}
"""Estimators of the architecture gradient, `configs.estimators.Estimator` objects."""
SELECTIONS: dict[str, object] = {}
"""Selection rules, `configs.selections.Selection` objects."""

KINDS: Mapping[str, dict] = {
    "primitive": PRIMITIVES,
    "space": SPACES,
    "dataset": DATASETS,
    "estimator": ESTIMATORS,
    "selection": SELECTIONS,
}
"""The dicts by the noun that error messages use for an entry."""

HINT = " If it is one of your own, --plugin FILE gives it."
"""End of the error for an unknown name of a kind that users can register."""


def resolved(function: Callable | str) -> Callable:
    """Returns a function, imported where its module and name are given, as `"module:name"`.

    Entries name functions so where the table must be readable without TensorFlow.
    """
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def names() -> tuple[tuple[str, str], ...]:
    """Returns the kind and the name of everything that is registered."""
    return tuple((kind, name) for kind, entries in KINDS.items() for name in entries)
