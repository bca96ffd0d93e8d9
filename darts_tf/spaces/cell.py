"""The search space of convolutional cells: names, edges and size. Plain data, no TensorFlow.

A cell has two input states, 0 and 1 (the outputs of the two cells before it), and computes
`nodes` further states 2, 3, ...; every node may read every earlier state, and an edge is such a
(source, target) pair. In search an edge mixes all of `PRIMITIVES`. Liu et al. 2019, sections 2.1
and 3.1.1.
"""

from __future__ import annotations

import math
import numbers
from itertools import accumulate

from darts_tf import registry
from darts_tf.errors import InputError, shown, unknown_name

Pairs = tuple[tuple[str, int], ...]

CELLS = ("normal", "reduce")
"""Kinds of convolutional cells, in the order of the alphas."""

PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Candidate operations of every edge in a search, in the order of the columns of the alphas."""

EDGE_PRIMITIVES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Candidate operations of every edge in the space of NAS-Bench-201 (Dong and Yang 2020, section
2.1), in the order of the columns of the alphas and of the benchmark's tables."""

ALL_PRIMITIVES = (*PRIMITIVES, "sep_conv_7x7", "conv_7x1_1x7", "nor_conv_1x1", "nor_conv_3x3")
"""Built-in operations of networks: those of the searches, and two more that older cells of the zoo
use. Users can register others; see `known_primitives`."""

NONE = "none"
"""The operation that stands for "no edge": it is searched over, but never derived."""

NOISE = "noise"
"""The operation that replaces its input by Gaussian noise (Zela et al. 2020, space S4). It tests
whether a search avoids it: networks with it can be trained, but not exported."""

SKIP = "skip_connect"
"""The identity operation; the cells of a collapsed search consist mostly of it."""

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
"""Activations of the nodes of a recurrent cell."""

RECURRENT_PRIMITIVES = (NONE, *ACTIVATIONS)
"""Candidates of every edge in a recurrent search, in the order of the columns of the alphas."""

RECURRENT_NODES = 8
"""Number of nodes of a recurrent cell in the paper, without state 0."""

INPUTS = 2
"""Number of input states of a convolutional cell."""

NODES = 4
"""Number of nodes of a convolutional cell in the paper."""


def known_primitives() -> tuple[str, ...]:
    """Returns `ALL_PRIMITIVES`, `NOISE` and the primitives that users have registered."""
    return (*ALL_PRIMITIVES, NOISE, *registry.PRIMITIVES)


def edges(nodes: int = NODES, inputs: int = INPUTS) -> tuple[tuple[int, int], ...]:
    """Returns the (source, target) pairs of a cell in the order of the rows of the alphas.

    Node by node, sources ascending: (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), ...; 14 for 4 nodes.
    """
    targets = range(inputs, inputs + nodes)
    return tuple((source, target) for target in targets for source in range(target))


def by_node(rows: int, inputs: int = INPUTS) -> list[slice]:
    """Returns, for each node, the rows of the alphas of its incoming edges.

    Args:
        rows: number of edges.
        inputs: input states of the cell, 1 or 2.

    Raises:
        InputError: no number of nodes has that many edges.
    """
    counts = range(inputs, inputs + nodes_of(rows, inputs))
    return [slice(end - count, end) for count, end in zip(counts, accumulate(counts), strict=True)]


def nodes_of(rows: int, inputs: int = INPUTS) -> int:
    """Returns the number of nodes of a cell whose alphas have `rows` rows: 4 for 14.

    Args:
        rows: number of edges.
        inputs: input states of the cell, 1 or 2.

    Raises:
        InputError: No number of nodes has that many edges.
    """
    # nodes * (nodes + 2 * inputs - 1) / 2 = rows, solved for nodes
    more = 2 * inputs - 1
    nodes = (math.isqrt(more**2 + 8 * rows) - more) // 2 if rows > 0 else 0
    if nodes < 1 or nodes * (nodes + more) != 2 * rows:
        raise InputError(
            f"Expected one row of alphas per edge: {_ROWS[inputs]}, and so on. "
            f"Received: rows={rows}"
        )
    return nodes


_ROWS = {
    1: "1 row for one node, 3 for two, 6 for three, 36 for eight",
    2: "2 rows for one node, 5 for two, 9 for three, 14 for four",
}


def reductions(cells: int) -> list[bool]:
    """Returns, for each cell, whether it is a reduction: those at 1/3 and 2/3 of the depth.

    Raises:
        InputError: fewer than 3 cells, which would leave no normal cell or no second reduction.
    """
    if cells < 3:
        raise InputError(f"Expected at least 3 cells (two are reductions). Received: cells={cells}")
    return [i in (cells // 3, 2 * cells // 3) for i in range(cells)]


STAGES = (1, 2, 4)
"""Channels of the stages of NAS-Bench-201's network, as multiples of those of its stem."""


def count_cells(nodes: int = NODES, primitives: int = len(PRIMITIVES) - 1) -> int:
    """Returns the number of derivable cells: 1,037,664,180 for four nodes and seven operations.

    Every node has two different earlier states as inputs and one operation (not `none`) on each:
    the product over the nodes of C(states, 2) * primitives². Isomorphic cells count separately.
    """
    choices = (math.comb(INPUTS + node, 2) * primitives**2 for node in range(nodes))
    return math.prod(choices)


def recurrent_edges(nodes: int = RECURRENT_NODES) -> tuple[tuple[int, int], ...]:
    """Returns the (source, target) pairs of a recurrent cell in the order of the alphas' rows.

    Node by node, sources ascending: (0, 1), (0, 2), (1, 2), (0, 3), ...; 36 for 8 nodes.
    """
    return edges(nodes, inputs=1)


def recurrent_nodes_of(rows: int) -> int:
    """Returns the number of nodes of a recurrent cell whose alphas have `rows` rows: 8 for 36.

    Raises:
        InputError: No number of nodes has that many edges.
    """
    return nodes_of(rows, inputs=1)


def count_recurrent_cells(nodes: int = RECURRENT_NODES, activations: int = len(ACTIVATIONS)) -> int:
    """Returns the number of derivable recurrent cells: 2,642,411,520 for eight nodes.

    Every node has one earlier state as its input and one activation.
    """
    return math.prod((1 + node) * activations for node in range(nodes))


def unknown_primitive(kind: str, name, known: tuple[str, ...]) -> InputError:
    """Returns the error of `unknown_name`, with a hint at plugins where one can help.

    Users can register primitives, but neither activations nor `NONE`.
    """
    if name == NONE and NONE not in known and known != ACTIVATIONS:
        return InputError(
            f"Expected {kind} to be an operation: an edge that is left out is not listed in a "
            f"genotype. Received: {shown(name)}"
        )
    error = unknown_name(kind, name, known)
    can_be_registered = known != ACTIVATIONS and isinstance(name, str) and name.isidentifier()
    return InputError(f"{error}{registry.HINT}") if can_be_registered else error


def check_limit(max_skips: int | None, primitives: tuple[str, ...]) -> None:
    """Checks a limit on the skip connections of a cell.

    Raises:
        InputError: the limit is neither None nor an integer of zero or more, or the primitives
            have no other operation to choose from.
    """
    if max_skips is None:
        return
    if not is_integer(max_skips) or max_skips < 0:
        raise InputError(
            f"Expected max_skips to be zero or more, or None. Received: {shown(max_skips)}"
        )
    if not set(primitives) - {NONE, SKIP}:
        raise InputError(
            f"Expected max_skips with other operations than {SKIP} to choose from. "
            f"Received: {max_skips=}, {primitives=}"
        )


def is_integer(value) -> bool:
    """Returns whether a value is an integer of Python or NumPy, and not a boolean."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
