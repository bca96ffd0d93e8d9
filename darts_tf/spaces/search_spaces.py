"""Search spaces: how many nodes a cell has, and which primitives its edges choose from.

Plain data, no TensorFlow. `SPACES` names them; users add their own by `register_space`.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math

from darts_tf import registry
from darts_tf.errors import InputError, shown
from darts_tf.spaces.cell import NODES, NONE, PRIMITIVES, SKIP, ByEdge, checked_by_edge, edges

MOST_NODES = 12
"""Of a cell: more edges than 102 are a mistake rather than a space."""


@dataclasses.dataclass(frozen=True)
class Space:
    """A search space.

    Attributes:
        nodes: of both cells.
        by_edge: primitives by cell, normal and reduction, and by edge, in the order of
            `cell.edges`; as many on every edge of a cell.
    """

    nodes: int
    by_edge: ByEdge

    @property
    def primitives(self) -> tuple[str, ...] | None:
        """The primitives of all edges; None where edges differ."""
        (first, *_), _ = self.by_edge
        alike = all(names == first for cell in self.by_edge for names in cell)
        return first if alike else None

    @property
    def all_primitives(self) -> tuple[str, ...]:
        """Each primitive of any edge, once."""
        return tuple(dict.fromkeys(name for cell in self.by_edge for row in cell for name in row))

    @property
    def columns(self) -> tuple[int, int]:
        """How many primitives an edge of a normal cell has, and one of a reduction."""
        normal, reduce = self.by_edge
        return len(normal[0]), len(reduce[0])

    def of_supernet(self) -> dict[str, object]:
        """What a `Supernet` of this space is made with."""
        if self.primitives:
            return {"nodes": self.nodes, "primitives": self.primitives}
        return {"nodes": self.nodes, "edge_primitives": self.by_edge}

    def cells(self) -> int:
        """How many pairs of a normal and a reduction cell can be derived; see `count_cells`."""
        return math.prod(_cells(self.nodes, cell) for cell in self.by_edge)


def _cells(nodes: int, cell) -> int:
    """The product over the nodes of the sum, over pairs of edges, of their numbers' product."""
    into = collections.defaultdict(list)
    for (_, target), names in zip(edges(nodes), cell, strict=True):
        into[target].append(len(set(names) - {NONE}))
    pairs = (itertools.combinations(numbers, 2) for numbers in into.values())
    return math.prod(sum(a * b for a, b in of_node) for of_node in pairs)


def checked_space(nodes=NODES, primitives=None, normal=None, reduce=None) -> Space:
    """The space of these cells.

    Args:
        nodes: of a cell.
        primitives: names of the candidates of every edge; by default the paper's.
        normal: in their place those of a normal cell: names, or a list of them for each edge.
        reduce: the same of a reduction; by default those of the normal cell.

    Raises:
        InputError: a number of nodes that cannot be, unknown primitives, or edges that do not fit.
    """
    if not isinstance(nodes, int) or isinstance(nodes, bool) or not 1 <= nodes <= MOST_NODES:
        raise InputError(
            f"Expected nodes to be an integer from 1 to {MOST_NODES}. Received: {shown(nodes)}"
        )
    if primitives is not None and (normal is not None or reduce is not None):
        raise InputError("Expected primitives, or normal and reduce. Received: both")
    primitives = PRIMITIVES if primitives is None else primitives
    normal = primitives if normal is None else normal
    cells = [_by_edge(cell, nodes) for cell in (normal, normal if reduce is None else reduce)]
    space = Space(nodes, checked_by_edge(cells, nodes))
    for names in (names for cell in space.by_edge for names in cell):
        if len(set(names)) < len(names):
            raise InputError(f"Expected each primitive once on an edge. Received: {shown(names)}")
    return space


def _by_edge(cell, nodes: int):
    if isinstance(cell, str) or not isinstance(cell, list | tuple) or not cell:
        raise InputError(f"Expected a list of primitives. Received: {shown(cell)}")
    if all(isinstance(name, str) for name in cell):
        return (tuple(cell),) * len(edges(nodes))
    if any(isinstance(names, str) or not isinstance(names, list | tuple) for names in cell):
        raise InputError(f"Expected primitives, or a list of them an edge. Received: {shown(cell)}")
    return cell


DARTS = "darts"
"""The paper's: four nodes, eight primitives."""

_BUILT_IN = {
    DARTS: checked_space(),
    # Zela et al. 2020, section 3: spaces in which DARTS' cells collapse
    "s2": checked_space(primitives=(SKIP, "sep_conv_3x3")),
    "s3": checked_space(primitives=(NONE, SKIP, "sep_conv_3x3")),
}

SPACES = collections.ChainMap(registry.SPACES, _BUILT_IN)
"""By the name that `--space` takes."""
