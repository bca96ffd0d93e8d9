"""Estimators of the architecture's gradient: their names and traits, without TensorFlow.

The functions of the built-in ones are in `search.estimators`. Settings, which reach no TensorFlow,
list the names from here; a search reads the traits.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable

from darts_tf import registry

_HOME = "darts_tf.search.estimators"


@dataclasses.dataclass(frozen=True)
class Estimator:
    """A way to compute the gradient of the validation loss with respect to the alphas.

    It is called like its function, whose signature `search.estimators` describes. The defaults are
    for unknown functions: they assume the largest memory of the built-in estimators.

    Attributes:
        function: the function; or its module and name, `"module:name"`, imported on the first call.
        exact: True if it differentiates everything that it calls. Otherwise the virtual step
            differentiates its clipping as the reference does, which also clips the vector that is
            propagated back.
        passes: forward passes whose activations are in memory at the same time; a backward pass
            that is differentiated counts as one more.
        working_memory: peak memory of the backward passes themselves, in units of a single one.
        graph_bytes: approximate size of the traced graph per cell of the supernet, in bytes.
    """

    function: Callable | str
    exact: bool = True
    passes: int = 3
    working_memory: int = 2
    graph_bytes: float = 150e6

    def __call__(self, *args, **options):
        """Returns `(valid_loss, gradients)`, see `search.estimators`."""
        return registry.resolved(self.function)(*args, **options)


_BUILT_IN = {
    "first_order": Estimator(f"{_HOME}:first_order", passes=1, working_memory=1, graph_bytes=90e6),
    "second_order": Estimator(f"{_HOME}:second_order"),
    "finite_difference": Estimator(
        f"{_HOME}:finite_difference", exact=False, passes=2, graph_bytes=120e6
    ),
}

ESTIMATORS: collections.ChainMap[str, Estimator] = collections.ChainMap(
    registry.ESTIMATORS, _BUILT_IN
)
"""Estimators by the name that `--arch-gradient` takes: built-in ones, then those of users."""
