"""Estimators of the architecture's gradient: their names and traits, without TensorFlow.

The functions of the built-in ones are in `search.estimators`. Settings, which reach no TensorFlow,
list the names from here; a search reads the traits.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable

from darts_tf import registry
from darts_tf.errors import InputError

_HOME = "darts_tf.search.estimators"


@dataclasses.dataclass(frozen=True)
class Estimator:
    """A way to compute the gradient of the validation loss with respect to the alphas.

    Called like its function; `search.estimators` documents the signature. The defaults suit an
    unknown function: they assume the memory of the most expensive built-in estimator.

    Attributes:
        function: the function; or its module and name, `"module:name"`, imported on the first call.
        exact: whether the function differentiates everything it calls. Estimators that are not
            exact get the virtual step of the reference code, which also clips the vector in the
            backward direction.
        unrolled: whether it uses the virtual step. Estimators that are not unrolled return the
            gradient of the validation loss at the current weights.
        passes: number of forward passes whose activations are in memory at the same time. A
            backward pass that is itself differentiated counts as one more.
        working_memory: peak memory of the backward passes themselves, as a multiple of one pass.
        graph_bytes: approximate bytes of the traced graph per cell of the supernet.
    """

    function: Callable | str
    exact: bool = True
    unrolled: bool = True
    passes: int = 3
    working_memory: int = 2
    graph_bytes: float = 150e6

    def __call__(self, *args, **options):
        """Returns `(valid_loss, gradients)`, see `search.estimators`."""
        return registry.resolved(self.function)(*args, **options)


_BUILT_IN = {
    "first_order": Estimator(
        f"{_HOME}:first_order", unrolled=False, passes=1, working_memory=1, graph_bytes=90e6
    ),
    "second_order": Estimator(f"{_HOME}:second_order"),
    "finite_difference": Estimator(
        f"{_HOME}:finite_difference", exact=False, passes=2, graph_bytes=120e6
    ),
}

ESTIMATORS: collections.ChainMap[str, Estimator] = collections.ChainMap(
    registry.ESTIMATORS, _BUILT_IN
)
"""Estimators by name, the values of `--arch-gradient`: built-in and registered by users."""


def check_not_unrolled(name: str) -> None:
    """Checks that an estimator suits the early stop of operations, which has no virtual step.

    Raises:
        InputError: the estimator is unrolled.
    """
    if ESTIMATORS[name].unrolled:
        others = " or ".join(key for key, each in ESTIMATORS.items() if not each.unrolled)
        raise InputError(
            f"Expected stop_operations with arch_gradient={others}. Received: arch_gradient={name}"
        )
