"""What users add from outside: primitives, search spaces, data sets, estimators, selection rules.

Each is registered by one line, in a program of one's own or in a script that `--plugin FILE` names,
and is then known by its name wherever a built-in one is. Settings and genotypes hold the names
alone: what runs is what the user has registered, never what a file of a run says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence

from darts_tf import plugins, registry
from darts_tf.configs.estimators import ESTIMATORS, Estimator
from darts_tf.configs.selections import SELECTIONS, Selection
from darts_tf.configs.text_datasets import EMBEDDED_TEXTS
from darts_tf.costs.parts import ADD, CLASSIFIER, CONCAT, PREPROCESS, RELU, STEM
from darts_tf.errors import InputError, shown
from darts_tf.search.selection import by_users_rule
from darts_tf.spaces.cell import ALL_PRIMITIVES, NODES
from darts_tf.spaces.search_spaces import SPACES, checked_space

TAKEN = {
    "primitive": (*ALL_PRIMITIVES, ADD, CLASSIFIER, CONCAT, PREPROCESS, RELU, STEM),
    "space": tuple(SPACES.maps[-1]),
    "dataset": ("digits", *EMBEDDED_TEXTS),
    "estimator": tuple(ESTIMATORS.maps[-1]),
    "selection": tuple(SELECTIONS.maps[-1]),
}
"""Names that nobody can register, by the kind of what they name."""


def register_primitive(
    name: str,
    build: Callable,
    macs: Callable[[int, int, int, int], int] | None = None,
) -> None:
    """Adds an operation that edges may choose from, in a search and in a network.

    Its layer is called on states `(batch, height, width, channels)`, has the training argument
    where it needs one, and gives as many channels, of the same height and width at stride 1 and of
    half of them, rounded up, at stride 2. It is tried on small images before it is used.

    Args:
        name: a new one, an identifier.
        build: `(channels, stride, affine) -> Keras layer`, such as the class of one; a layer of its
            own for every edge. `affine` says whether normalisations should have scale and shift: in
            a network, and not in a search. Where it takes `groups` too it makes a
            `darts_tf.Primitive` for all edges that leave a state, as the built-in ones are.
        macs: how many multiply-accumulates it costs, `(channels, stride, height, width) -> int`
            with height and width of its input; by default what the layer's own method
            `macs(height, width)` says.

    Raises:
        InputError: a name that is taken or no identifier, or a layer that is not as it must be.
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
    """Adds a search space, for `--space`.

    Args:
        name: a new one, an identifier.
        nodes: of a cell.
        primitives: what every edge chooses from; by default what the paper's do.
        normal: in place of these the primitives of a normal cell, or a list of them for each edge
            in the order of `cell.edges(nodes)`, as many on each.
        reduce: the same of a reduction; by default those of the normal cell.

    Raises:
        InputError: a name that is taken or no identifier, unknown primitives, or lists that do not
            fit the edges.
    """
    given = None if primitives is None or isinstance(primitives, str) else tuple(primitives)
    primitives = primitives if given is None else given
    _add("space", name, checked_space(nodes, primitives, normal, reduce))


def register_dataset(name: str, load: Callable[[], object]) -> None:
    """Adds a data set of images, for `--dataset`. It wins over a folder or one of TFDS so called.

    Args:
        name: a new one, an identifier.
        load: gives `((images, labels), (images, labels))` of training and test, and as a third
            the names of the classes if it likes; images uint8 `(n, height, width, channels)`,
            labels integers from 0. Or a `darts_tf.data.ImageDataset`. It is called when the data
            set is used, and must give the same every time.

    Raises:
        InputError: a name that is taken or no identifier.
    """
    _check_callable("dataset", name, load)
    _add("dataset", name, load)


def register_estimator(name: str, function: Callable) -> None:
    """Adds an estimator of the architecture's gradient, for `--arch-gradient`.

    Args:
        name: a new one, an identifier.
        function: `(loss, weights, alphas, train, valid, virtual_step) -> (valid_loss, gradients)`,
            see `search.estimators`. Or such a function with its traits, an `Estimator` of
            `configs.estimators`. It is tried on a loss of three numbers before it is used.

    Raises:
        InputError: a name that is taken or no identifier, or a function that gives something else.
    """
    _check_callable("estimator", name, function)

    def check():
        from darts_tf.search.estimators import check_estimator

        check_estimator(name, function)

    entry = function if isinstance(function, Estimator) else Estimator(function)
    _add("estimator", name, entry, check)


def register_selection(name: str, rule: Callable) -> None:
    """Adds a rule that chooses the cells of a search, for `--selection` of search and derive.

    Args:
        name: a new one, an identifier.
        rule: `(alphas, primitives) -> Genotype`. `alphas` is a list of arrays `(edges, primitives)`
            of the normal and of the reduction cell, and with partial channels `(edges,)` of both;
            `primitives[cell][edge]` are the names that the columns stand for.

    Raises:
        InputError: a name that is taken or no identifier.
    """
    _check_callable("selection", name, rule)
    _add("selection", name, Selection(functools.partial(by_users_rule, name, rule)))


def forget(kind: str, name: str) -> None:
    """Takes back what was registered, as to register another of that name in a notebook.

    Args:
        kind: a key of `TAKEN`.
        name: of it.
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
