"""What users have registered beside what is built in, by name. Plain data: it imports nothing.

`extending` puts things here, after it has checked them. The dicts of what is built in are looked up
together with these, so that whoever knows a name of the ones knows those of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

PRIMITIVES: dict[str, Callable] = {}
"""`(channels, stride, affine, groups) -> layer`, as in `primitives.PRIMITIVES`."""
SPACES: dict[str, object] = {}
"""Those of `search_spaces.SPACES`."""
DATASETS: dict[str, Callable] = {}
"""`() -> (classes, train, test)`, as in `data.sources.EMBEDDED`."""
ESTIMATORS: dict[str, Callable] = {}
"""Those of `estimators.ESTIMATORS`."""
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


def names() -> tuple[str, ...]:
    """Every name that there is, of all kinds."""
    return tuple(name for kind in KINDS.values() for name in kind)
