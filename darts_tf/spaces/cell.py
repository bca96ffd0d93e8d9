"""The search space of convolutional cells: names, edges and size. Plain data, no TensorFlow.

A cell has two input states, 0 and 1 (the outputs of the two cells before it), and computes
`nodes` further states 2, 3, ...; every node may read every earlier state, and an edge is such a
(source, target) pair. In search an edge mixes all of `PRIMITIVES`. Liu et al. 2019, sections 2.1
and 3.1.1.
"""

from __future__ import annotations

import math
import numbers

from darts_tf import registry
from darts_tf.errors import InputError, listed, shown, unknown_name

Pairs = tuple[tuple[str, int], ...]

ByEdge = tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]
"""Primitives of every edge of a normal cell, and of every edge of a reduction."""

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
"""What every edge chooses from in search, in the order of the columns of the alphas."""

ALL_PRIMITIVES = (*PRIMITIVES, "sep_conv_7x7", "conv_7x1_1x7")
"""Everything a network can be built from: older cells of the zoo use two more operations. Users may
register others; see `known_primitives`."""

NONE = "none"
"""The operation that stands for "no edge": it is searched over, but never derived."""

SKIP = "skip_connect"
"""The operation that hands a state on as it is; cells of a search that has collapsed have many."""

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
"""What a node of a recurrent cell chooses from; in search `none` comes before them."""

RECURRENT_PRIMITIVES = (NONE, *ACTIVATIONS)
"""The same in search, in the order of the columns of the alphas."""

RECURRENT_NODES = 8
"""Nodes of a recurrent cell in the paper, beside state 0."""

INPUTS = 2
"""Input states of a cell."""

NODES = 4
"""Nodes of a cell in the paper."""


def known_primitives() -> tuple[str, ...]:
    """`ALL_PRIMITIVES`, and those that users have registered."""
    return (*ALL_PRIMITIVES, *registry.PRIMITIVES)


def edges(nodes: int = NODES) -> tuple[tuple[int, int], ...]:
    """The (source, target) pairs of a cell in the order of the rows of the alphas.

    Node by node, sources ascending: (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), ...; 14 for 4 nodes.
    """
    targets = range(INPUTS, INPUTS + nodes)
    return tuple((source, target) for target in targets for source in range(target))


def by_node(rows: int) -> list[slice]:
    """The rows of the edges into each node."""
    ends = [sum(INPUTS + i for i in range(node + 1)) for node in range(nodes_of(rows))]
    return [slice(end - INPUTS - node, end) for node, end in enumerate(ends)]


def checked_by_edge(primitives, nodes: int = NODES) -> ByEdge:
    """The candidates of every edge of a normal cell and of every edge of a reduction, as tuples.

    Raises:
        InputError: Other edges than those of two cells, or edges of a cell with other numbers of
            candidates, of which one at least is not `none`; or an unknown one.
    """
    found = tuple(tuple(tuple(names) for names in cell) for cell in primitives)
    rows = len(edges(nodes))
    lengths = [{len(names) for names in cell} for cell in found]
    if [len(cell) for cell in found] != [rows] * 2 or any(len(each) != 1 for each in lengths):
        raise InputError(
            f"Expected primitives of the {rows} edges of two cells, as many on every edge of a "
            f"cell. Received: {[[len(names) for names in cell] for cell in found]} of them"
        )
    for names in (names for cell in found for names in cell):
        for name in names:
            if name not in known_primitives():
                raise unknown_primitive("primitive", name, known_primitives())
        if not set(names) - {NONE}:
            raise InputError(f"Expected another primitive beside none. Received: {listed(names)}")
    return found


def nodes_of(rows: int) -> int:
    """How many nodes a cell has whose alphas have `rows` rows: 4 for 14.

    Raises:
        InputError: No number of nodes has that many edges.
    """
    return _nodes(rows, INPUTS, "2 rows for one node, 5 for two, 9 for three, 14 for four")


def _nodes(rows: int, inputs: int, examples: str) -> int:
    """As `nodes_of`, of a cell whose nodes take one of the `inputs` or of the nodes before."""
    # nodes * (nodes + 2 * inputs - 1) / 2 = rows, solved for nodes
    more = 2 * inputs - 1
    nodes = (math.isqrt(more**2 + 8 * rows) - more) // 2 if rows > 0 else 0
    if nodes < 1 or nodes * (nodes + more) != 2 * rows:
        raise InputError(
            f"Expected one row of alphas per edge: {examples}, and so on. Received: rows={rows}"
        )
    return nodes


def reductions(cells: int) -> list[bool]:
    """Which cells are reductions: those at one and two thirds of the depth.

    Raises:
        InputError: fewer than 3 cells, which would leave no normal cell or no second reduction.
    """
    if cells < 3:
        raise InputError(f"Expected at least 3 cells (two are reductions). Received: cells={cells}")
    return [i in (cells // 3, 2 * cells // 3) for i in range(cells)]


def count_cells(nodes: int = NODES, primitives: int = len(PRIMITIVES) - 1) -> int:
    """How many cells can be derived: 1,037,664,180 for four nodes and seven operations.

    Every node takes two different earlier states and one operation (`none` left out) for each:
    the product over the nodes of C(states, 2) * primitives². Isomorphic cells count apart.
    """
    choices = (math.comb(INPUTS + node, 2) * primitives**2 for node in range(nodes))
    return math.prod(choices)


def recurrent_edges(nodes: int = RECURRENT_NODES) -> tuple[tuple[int, int], ...]:
    """The (source, target) pairs of a recurrent cell in the order of the rows of the alphas.

    Node by node, sources ascending: (0, 1), (0, 2), (1, 2), (0, 3), ...; 36 for 8 nodes.
    """
    return tuple((source, target) for target in range(1, nodes + 1) for source in range(target))


def recurrent_nodes_of(rows: int) -> int:
    """How many nodes a recurrent cell has whose alphas have `rows` rows: 8 for 36.

    Raises:
        InputError: No number of nodes has that many edges.
    """
    return _nodes(rows, 1, "1 row for one node, 3 for two, 6 for three, 36 for eight")


def count_recurrent_cells(nodes: int = RECURRENT_NODES, activations: int = len(ACTIVATIONS)) -> int:
    """How many recurrent cells can be derived: 2,642,411,520 for eight nodes.

    Every node takes one earlier state and one activation.
    """
    return math.prod((1 + node) * activations for node in range(nodes))


def unknown_primitive(kind: str, name, known: tuple[str, ...]) -> InputError:
    """As `unknown_name`, with where else a primitive may come from; activations are all here."""
    error = unknown_name(kind, name, known)
    return error if known == ACTIVATIONS else InputError(f"{error}{registry.HINT}")


def check_limit(max_skips: int | None, primitives: tuple[str, ...]) -> None:
    """Refuses a limit on the skip connections of a cell that cannot be, or cannot be met.

    Raises:
        InputError: Neither None nor a number from 0, or there is nothing else to choose from.
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
    """Whether a value is an integer of Python or NumPy, not a boolean."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
