"""What users have registered beside what is built in, by name. Plain data: it imports nothing.

`extending` puts things here, after it has checked them. The dicts of what is built in are looked up
together with these, so that whoever knows a name of the ones knows those of the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

PRIMITIVES: dict[str, Callable] = {}
"""`(channels, stride, affine, groups) -> layer`, as in `primitives.PRIMITIVES`."""
SPACES: dict[str, object] = {}
"""Those of `search_spaces.SPACES`."""
DATASETS: dict[str, Callable] = {}
"""`() -> (classes, train, test)`, as in `data.sources.EMBEDDED`."""
ESTIMATORS: dict[str, object] = {}
"""`configs.estimators.Estimator` objects."""
SELECTIONS: dict[str, Callable] = {}
"""`(alphas, primitives) -> Genotype`: how the cells of a search are chosen; see `extending`."""

KINDS: Mapping[str, dict] = {
    "primitive": PRIMITIVES,
    "space": SPACES,
    "dataset": DATASETS,
    "estimator": ESTIMATORS,
    "selection": SELECTIONS,
}
"""All of them, by what an error calls one."""

HINT = " If it is one of your own, --plugin FILE gives it."
"""What an error of an unknown name goes on with, where users may have names of their own."""


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
