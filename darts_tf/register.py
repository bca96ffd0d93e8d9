"""Extensions by users: primitives, search spaces, data sets, estimators, selection rules.

Each is registered with one line, in the user's program or in a script that `--plugin FILE` names,
and can then be used by name like a built-in one. Settings and genotypes contain only names: the
files of a run never contain or execute code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence

from darts_tf import plugins, registry
from darts_tf.configs.estimators import ESTIMATORS, Estimator
from darts_tf.configs.selections import SELECTIONS, Selection
from darts_tf.configs.text_datasets import EMBEDDED_TEXTS
from darts_tf.costs.parts import ADD, CLASSIFIER, CONCAT, FINAL, PREPROCESS, REDUCTION, RELU, STEM
from darts_tf.errors import InputError, shown
from darts_tf.search.selection import by_users_rule
from darts_tf.spaces.cell import ALL_PRIMITIVES, NODES, NOISE
from darts_tf.spaces.search_spaces import SPACES, checked_space

TAKEN = {
    "primitive": (
        *(*ALL_PRIMITIVES, NOISE),
        *(ADD, CLASSIFIER, CONCAT, FINAL, PREPROCESS, REDUCTION, RELU, STEM),
    ),
    "space": tuple(SPACES.maps[-1]),
    "dataset": ("digits", *EMBEDDED_TEXTS),
    "estimator": tuple(ESTIMATORS.maps[-1]),
    "selection": tuple(SELECTIONS.maps[-1]),
}
"""Reserved names, by the kind of extension."""


def register_primitive(
    name: str,
    build: Callable,
    macs: Callable[[int, int, int, int], int] | None = None,
) -> None:
    """Registers a primitive, an operation for the edges of searches and networks.

    Its layer is called with states of shape `(batch, height, width, channels)`, and with `training`
    if it has this argument. The output has the same number of channels, and the same height and
    width at stride 1, or half of them, rounded up, at stride 2. The layer is tested on small images
    before it is used.

    Args:
        name: a new name, an identifier.
        build: `(channels, stride, affine) -> Keras layer`, e.g. the class of a layer. It is called
            for every edge. `affine` says whether normalizations have scale and offset: they do in
            networks, not in searches. If it also takes `groups`, it returns a `darts_tf.Primitive`
            for all edges that leave a state, like the built-in primitives.
        macs: `(channels, stride, height, width) -> int`, the number of multiply-accumulates for an
            input of this height and width; by default the layer's method `macs(height, width)`.

    Raises:
        InputError: the name is taken or not an identifier, or the layer fails its test.
    """
    _check_callable("primitive", name, build)
    if macs is not None:
        _check_callable("MAC rule of the primitive", name, macs)

    def made(channels: int, stride: int = 1, affine: bool = True, groups: int = 1):
        from darts_tf.layers.user_primitives import make

        return make(name, build, macs, (channels, stride, affine, groups))

    def check():
        from darts_tf.layers.user_primitives import check

        check(name, made)

    _add("primitive", name, made, check)


def register_space(
    name: str,
    nodes: int = NODES,
    primitives: Iterable[str] | None = None,
    *,
    normal: Sequence | None = None,
    reduce: Sequence | None = None,
) -> None:
    """Registers a search space, for `--space`.

    Args:
        name: a new name, an identifier.
        nodes: number of nodes of a cell.
        primitives: candidates of every edge; by default the paper's.
        normal: replaces `primitives` for the normal cell: names, or a list of names for each edge
            in the order of `cell.edges(nodes)`, equally many on all edges.
        reduce: names for the reduction cell, in the same form; by default those of `normal`.

    Raises:
        InputError: the name is taken or not an identifier, primitives are unknown, or lists do not
            fit the edges.
    """
    if primitives is not None and not isinstance(primitives, str):
        primitives = tuple(primitives)
    _add("space", name, checked_space(nodes, primitives, normal, reduce))


def register_dataset(name: str, load: Callable[[], object]) -> None:
    """Registers a data set of images, for `--dataset`.

    It takes precedence over a folder or a TFDS dataset with the same name.

    Args:
        name: a new name, an identifier.
        load: function without arguments that returns `((images, labels), (images, labels))` of the
            training and the test split, optionally followed by the names of the classes; images
            are uint8 arrays `(n, height, width, channels)`, labels integers from 0. It can also
            return a `darts_tf.data.ImageDataset`. It is called whenever the data set is used, and
            must return the same data every time.

    Raises:
        InputError: the name is taken or not an identifier.
    """
    _check_callable("dataset", name, load)
    _add("dataset", name, load)


def register_estimator(name: str, function: Callable) -> None:
    """Registers an estimator of the architecture's gradient, for `--arch-gradient`.

    Args:
        name: a new name, an identifier.
        function: `(loss, weights, alphas, train, valid, virtual_step) -> (valid_loss, gradients)`,
            see `search.estimators`; or an `Estimator` of `configs.estimators`, which adds traits
            to such a function. It is tested on a loss of three numbers before it is used.

    Raises:
        InputError: the name is taken or not an identifier, or the function returns another type or
            shape of result.
    """
    _check_callable("estimator", name, function)

    def check():
        from darts_tf.search.estimators import check_estimator

        check_estimator(name, function)

    entry = function if isinstance(function, Estimator) else Estimator(function)
    _add("estimator", name, entry, check)


def register_selection(name: str, rule: Callable) -> None:
    """Registers a rule that selects the final cells, for `--selection` of search and derive.

    Args:
        name: a new name, an identifier.
        rule: `(alphas, primitives) -> Genotype`. `alphas` is a list of arrays `(edges, primitives)`
            of the normal and of the reduction cell, and with partial channels also `(edges,)` of
            both; `primitives[cell][edge]` has the names of the columns.

    Raises:
        InputError: the name is taken or not an identifier.
    """
    _check_callable("selection", name, rule)
    _add("selection", name, Selection(functools.partial(by_users_rule, name, rule)))


def forget(kind: str, name: str) -> None:
    """Removes a registration, e.g. to register another one with the same name in a notebook.

    Args:
        kind: a key of `TAKEN`.
        name: the registered name; nothing happens if there is none.
    """
    registry.KINDS[kind].pop(name, None)


def _add(kind: str, name: str, value, check: Callable[[], None] | None = None) -> None:
    _check_name(kind, name)
    registry.KINDS[kind][name] = value
    if check is None or plugins.postponed(kind, name, check):
        return
    try:
        check()
    except BaseException:
        forget(kind, name)
        raise


def _check_name(kind: str, name) -> None:
    if not isinstance(name, str) or not (name.isascii() and name.isidentifier()):
        raise InputError(
            f"Expected the name of a {kind} to be an identifier, of letters, digits and "
            f"underscores. Received: {shown(name)}"
        )
    if name in TAKEN[kind] or (kind == "primitive" and name.startswith(f"{STEM}_")):
        raise InputError(f"Expected a new name for a {kind}. Received: {name}, a built-in one")
    if name in registry.KINDS[kind]:
        raise InputError(
            f"Expected a new name for a {kind}. Received: {name}, which is registered already"
        )


def _check_callable(kind: str, name, value) -> None:
    if not callable(value):
        raise InputError(f"Expected a function for the {kind} {name}. Received: {shown(value)}")
