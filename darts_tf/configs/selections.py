"""Selection rules, which choose the cells of a search: their names and traits, without TensorFlow.

The functions of the built-in ones are in `search.selection`. Settings list the names from here.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable

from darts_tf import registry

_HOME = "darts_tf.search.selection"

STRENGTH = "strength"
"""The rule that searches have by default, and that gives the cells of every epoch."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """A rule that chooses the cells of a search.

    Called as `selection(context, alphas) -> Genotype`; see `search.selection.Context`.

    Attributes:
        function: the function; or its module and name, `"module:name"`, imported on the first call.
        needs_supernet: whether it measures the trained supernet. Such a rule chooses once, at the
            end of a search, in one process alone; the cells of every epoch are those of `STRENGTH`.
        obeys_limits: whether it keeps within a budget and within `max_skips`.
        relaxations: relaxations of the searches whose cells it can choose.
    """

    function: Callable | str
    needs_supernet: bool = False
    obeys_limits: bool = False
    relaxations: tuple[str, ...] = ("softmax", "sigmoid", "gumbel", "dirichlet")

    def __call__(self, context, alphas):
        """Returns the genotype that the rule chooses."""
        return registry.resolved(self.function)(context, alphas)


_BUILT_IN = {
    STRENGTH: Selection(f"{_HOME}:by_strength", obeys_limits=True),
    "perturbation": Selection(
        f"{_HOME}:by_perturbation", needs_supernet=True, relaxations=("softmax", "sigmoid")
    ),
}

SELECTIONS: collections.ChainMap[str, Selection] = collections.ChainMap(
    registry.SELECTIONS, _BUILT_IN
)
"""Selection rules by the name that `--selection` takes: built-in ones, then those of users."""
