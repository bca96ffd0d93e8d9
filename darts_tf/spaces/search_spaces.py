"""Search spaces: topology and candidate primitives of cells, and the number of derivable cells.

Plain data, no TensorFlow. `SPACES` has them by name; users add their own with `register_space`.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

from darts_tf import registry
from darts_tf.errors import InputError, listed, shown
from darts_tf.spaces.cell import (
    EDGE_PRIMITIVES,
    INPUTS,
    NODES,
    NOISE,
    NONE,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    SKIP,
    by_node,
    edges,
    known_primitives,
    unknown_primitive,
)
from darts_tf.spaces.genotype import AnyGenotype, EdgeGenotype, Genotype, RecurrentGenotype

MOST_NODES = 12
"""Maximum number of nodes of a registered space; its cells have 90 edges."""

OUTPUTS = ("concat", "mean", "last")
"""Outputs of a cell: the concatenation of its nodes, their mean, or the last node."""

Candidates = tuple[tuple[tuple[str, ...], ...], ...]
"""Names of primitives by kind of cell, by edge, and by column of the alphas."""


@dataclasses.dataclass(frozen=True)
class Space:
    """A search space: the topology of its cells, and the primitives that every edge chooses from.

    A node reads the input states and the nodes before it, and adds up its edges. The defaults
    describe the cells of DARTS: two inputs, two edges per node, all nodes concatenated. A space of
    one input with an operation on every edge is that of NAS-Bench-201 (Dong and Yang 2020).

    Attributes:
        nodes: number of nodes of a cell.
        candidates: names of the primitives by kind of cell (normal and reduction, or only one
            kind) and by edge, in the order of `edges`; all edges of a cell have equally many.
        inputs: number of input states, 1 or 2.
        edges_per_node: number of strongest edges that a node keeps in a derived cell, each with
            one operation; None for all edges.
        allow_none: whether a derived cell may have `none` on an edge.
        output: output of a cell, one of `OUTPUTS`.
        normalized_pools: whether pools are normalized in a search, as in DARTS; those of
            NAS-Bench-201 are not.

    Raises:
        InputError: an invalid topology, or candidates for another number of edges.
    """

    nodes: int
    candidates: Candidates
    inputs: int = INPUTS
    edges_per_node: int | None = 2
    allow_none: bool = False
    output: str = "concat"
    normalized_pools: bool = True

    def __post_init__(self):
        if self.inputs not in (1, 2):
            raise InputError(f"Expected cells of 1 or 2 inputs. Received: inputs={self.inputs}")
        if self.edges_per_node is not None and self.edges_per_node < 1:
            raise InputError(
                "Expected edges_per_node to be positive, or None for all edges. "
                f"Received: edges_per_node={self.edges_per_node}"
            )
        if self.output not in OUTPUTS:
            raise InputError(
                f"Expected output to be one of {', '.join(OUTPUTS)}. "
                f"Received: output={shown(self.output)}"
            )
        if any(len(cell) != len(self.edges) for cell in self.candidates):
            raise InputError(
                f"Expected primitives of the {len(self.edges)} edges of every cell. "
                f"Received: {[len(cell) for cell in self.candidates]} edges"
            )

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The (source, target) pairs of a cell, in the order of the rows of the alphas."""
        return edges(self.nodes, self.inputs)

    @property
    def rows(self) -> dict[tuple[int, int], int]:
        """The row of the alphas by (source, target) pair."""
        return {edge: row for row, edge in enumerate(self.edges)}

    @property
    def rows_by_node(self) -> list[slice]:
        """The rows of the edges into each node."""
        return by_node(len(self.edges), self.inputs)

    @property
    def columns(self) -> tuple[int, ...]:
        """The number of primitives on an edge, by kind of cell."""
        return tuple(len(cell[0]) for cell in self.candidates)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shape `(edges, primitives)` of the alphas, by kind of cell."""
        return tuple((len(self.edges), columns) for columns in self.columns)

    @property
    def primitives(self) -> tuple[str, ...] | None:
        """The primitives of all edges of all cells; None where edges differ."""
        (first, *_), *_ = self.candidates
        alike = all(names == first for cell in self.candidates for names in cell)
        return first if alike else None

    @property
    def all_primitives(self) -> tuple[str, ...]:
        """Names of the primitives of all edges, without duplicates."""
        names = (name for cell in self.candidates for row in cell for name in row)
        return tuple(dict.fromkeys(names))

    def cells(self) -> int:
        """Returns the number of derivable cells, or of pairs of cells if there are two kinds."""
        return math.prod(self._count(cell) for cell in self.candidates)

    def derivable(self, cell: tuple[tuple[str, ...], ...]) -> list[int]:
        """Returns the number of primitives that a derived cell may have, for each edge.

        Args:
            cell: candidates of a kind of cell.
        """
        left_out = set() if self.allow_none else {NONE}
        return [len(set(names) - left_out) for names in cell]

    def _count(self, cell: tuple[tuple[str, ...], ...]) -> int:
        """Returns the number of derivable cells of one kind.

        It is a product over nodes. The factor of a node is a sum over the sets of edges it can keep
        of the product of the numbers of primitives on these edges.
        """
        counts = self.derivable(cell)
        total = 1
        for into in self.rows_by_node:
            kept = min(self.edges_per_node or len(counts[into]), len(counts[into]))
            total *= sum(map(math.prod, itertools.combinations(counts[into], kept)))
        return total

    @property
    def genotype_class(self) -> type[AnyGenotype]:
        """The class of the genotypes that are derived in this space.

        Raises:
            InputError: no genotypes and networks have cells of this topology.
        """
        for genotype_class, topology in _TOPOLOGIES.items():
            alike = all(getattr(self, name) == value for name, value in topology.items())
            if alike and len(self.candidates) == len(genotype_class.kinds):
                return genotype_class
        raise self._unlike(*_TOPOLOGIES)

    def check_genotypes(self, *classes: type[AnyGenotype]) -> None:
        """Checks that the genotypes that are derived in this space are of one of these classes.

        Raises:
            InputError: they are not.
        """
        if self.genotype_class not in classes:
            raise self._unlike(*classes)

    def _unlike(self, *classes: type[AnyGenotype]) -> InputError:
        """Returns the error of a space that has no genotypes of these classes."""
        wanted = ", or ".join(
            f"{each.described} with {_listed(_TOPOLOGIES[each])}" for each in classes
        )
        received = _listed({name: getattr(self, name) for name in _TOPOLOGIES[Genotype]})
        return InputError(
            f"Expected a space of {wanted}: genotypes and networks have no others. "
            f"Received: {len(self.candidates)} kinds of cells with {received}"
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds of cells, keys of `genotype.CELL_KINDS`.

        Raises:
            InputError: see `genotype_class`.
        """
        return self.genotype_class.kinds

    def genotype(self, cells: Sequence) -> AnyGenotype:
        """Returns the genotype of derived cells.

        Args:
            cells: (primitive, source) pairs of each kind of cell, see `derivation.derive_cell`.

        Raises:
            InputError: see `genotype_class`.
        """
        return self.genotype_class.of_pairs(cells)

    def of_supernet(self) -> dict[str, object]:
        """Returns the keyword arguments with which a supernet of this space is made.

        Raises:
            InputError: see `genotype_class`.
        """
        if self.genotype_class is EdgeGenotype:
            return {"space": self}
        if self.primitives:
            return {"nodes": self.nodes, "primitives": self.primitives}
        return {"nodes": self.nodes, "edge_primitives": self.candidates}

    def to_dict(self) -> dict[str, object]:
        """Returns the space as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields) -> Space:
        """Restores a space from the result of `to_dict`.

        Raises:
            InputError: missing or unknown fields, unknown primitives, or see the class.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(fields, dict) or sorted(fields) != sorted(names):
            received = sorted(fields) if isinstance(fields, dict) else fields
            raise InputError(
                f"Expected the fields {', '.join(names)} of a search space. "
                f"Received: {shown(received)}"
            )
        if not isinstance(fields["nodes"], int) or not 1 <= fields["nodes"] <= MOST_NODES:
            raise InputError(
                f"Expected nodes to be an integer from 1 to {MOST_NODES}. "
                f"Received: {shown(fields['nodes'])}"
            )
        candidates = tuple(tuple(tuple(row) for row in cell) for cell in fields["candidates"])
        _check_names(candidates)
        return cls(**{**fields, "candidates": candidates})


_TOPOLOGIES: dict[type[AnyGenotype], dict[str, object]] = {
    Genotype: {"inputs": INPUTS, "edges_per_node": 2, "allow_none": False, "output": "concat"},
    EdgeGenotype: {"inputs": 1, "edges_per_node": None, "output": "last"},
    RecurrentGenotype: {"inputs": 1, "edges_per_node": 1, "allow_none": False, "output": "mean"},
}
"""The topology of the cells that each class of genotypes represents, by field of `Space`."""


def _listed(topology: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in topology.items())


def _check_names(candidates: Candidates) -> None:
    """Checks the names of primitives, and that every edge has an operation to choose.

    Raises:
        InputError: an unknown name, or only `none` on an edge.
    """
    for names in (names for cell in candidates for names in cell):
        for name in names:
            if name not in known_primitives():
                raise unknown_primitive("primitive", name, known_primitives())
        if not set(names) - {NONE}:
            raise InputError(f"Expected another primitive beside none. Received: {listed(names)}")


def space_of(
    nodes: int = NODES,
    primitives: Iterable[str] = PRIMITIVES,
    edge_primitives: Iterable | None = None,
) -> Space:
    """Returns the space of DARTS' cells with the given primitives.

    Args:
        nodes: number of nodes of both cells.
        primitives: names of the candidates on every edge.
        edge_primitives: replaces `primitives`: names for each edge of the normal cell and of the
            reduction cell, equally many on all edges of a cell. None for the same on all edges.

    Raises:
        InputError: `edge_primitives` do not fit the edges of two cells, differ in number within a
            cell, contain an unknown name, or have only `none` on an edge.
    """
    if not edge_primitives:
        return Space(nodes, ((tuple(primitives),) * len(edges(nodes)),) * 2)
    candidates = tuple(tuple(tuple(names) for names in cell) for cell in edge_primitives)
    rows = len(edges(nodes))
    lengths = [{len(names) for names in cell} for cell in candidates]
    if [len(cell) for cell in candidates] != [rows] * 2 or any(len(each) != 1 for each in lengths):
        raise InputError(
            f"Expected primitives of the {rows} edges of two cells, as many on every edge of a "
            f"cell. Received: {[[len(names) for names in cell] for cell in candidates]} of them"
        )
    _check_names(candidates)
    return Space(nodes, candidates)


def recurrent_space(nodes: int, primitives: Iterable[str] = RECURRENT_PRIMITIVES) -> Space:
    """Returns the space of recurrent cells: each node keeps one edge, and nodes are averaged.

    Args:
        nodes: number of nodes.
        primitives: names of the candidates on every edge.
    """
    candidates = ((tuple(primitives),) * len(edges(nodes, inputs=1)),)
    return Space(nodes, candidates, inputs=1, edges_per_node=1, output="mean")


def checked_space(nodes=NODES, primitives=None, normal=None, reduce=None) -> Space:
    """Returns the space that a user registers, after checking its parts.

    Args:
        nodes: number of nodes of a cell.
        primitives: names of the candidates on every edge; by default the paper's.
        normal: replaces `primitives` for the normal cell: names, or a list of names per edge.
        reduce: names for the reduction cell, in the same form; by default those of `normal`.

    Raises:
        InputError: an invalid number of nodes, unknown or repeated primitives, or lists that do
            not fit the edges.
    """
    if not isinstance(nodes, int) or isinstance(nodes, bool) or not 1 <= nodes <= MOST_NODES:
        raise InputError(
            f"Expected nodes to be an integer from 1 to {MOST_NODES}. Received: {shown(nodes)}"
        )
    if primitives is not None and (normal is not None or reduce is not None):
        raise InputError("Expected primitives, or normal and reduce. Received: both")
    primitives = PRIMITIVES if primitives is None else primitives
    normal = primitives if normal is None else normal
    cells = [_on_edges(cell, nodes) for cell in (normal, normal if reduce is None else reduce)]
    space = space_of(nodes, edge_primitives=cells)
    for names in (names for cell in space.candidates for names in cell):
        if len(set(names)) < len(names):
            raise InputError(f"Expected each primitive once on an edge. Received: {shown(names)}")
    return space


def _on_edges(cell, nodes: int):
    """Returns the primitives of each edge, from names for all edges or from a list per edge."""
    if isinstance(cell, str) or not isinstance(cell, list | tuple) or not cell:
        raise InputError(f"Expected a list of primitives. Received: {shown(cell)}")
    if all(isinstance(name, str) for name in cell):
        return (tuple(cell),) * len(edges(nodes))
    if any(isinstance(names, str) or not isinstance(names, list | tuple) for names in cell):
        raise InputError(
            f"Expected primitives, or a list of them per edge. Received: {shown(cell)}"
        )
    return cell


def edge_space(
    nodes: int = 3, primitives: Iterable[str] = EDGE_PRIMITIVES, allow_none: bool = True
) -> Space:
    """Returns the space of cells with an operation on every edge: by default NAS-Bench-201.

    Args:
        nodes: number of nodes.
        primitives: names of the candidates on every edge.
        allow_none: whether a derived cell may have `none` on an edge.
    """
    return Space(
        nodes,
        ((tuple(primitives),) * len(edges(nodes, inputs=1)),),
        **{"inputs": 1, "edges_per_node": None, "allow_none": allow_none, "output": "last"},
        normalized_pools=False,
    )


DARTS = "darts"
"""Name of the paper's space: four nodes, eight primitives."""

_SHORT = {
    **{"skip": SKIP, "max": "max_pool_3x3", "avg": "avg_pool_3x3", "sep3": "sep_conv_3x3"},
    **{"dil3": "dil_conv_3x3", "dil5": "dil_conv_5x5"},
}


def _pairs(text: str) -> list[list[str]]:
    """Returns the primitives of every edge, from a line per node with a pair for every source."""
    return [[_SHORT[name] for name in pair.split("/")] for pair in text.split()]


_S1 = {
    "normal": _pairs("""
        skip/dil3 skip/dil5
        skip/dil5 skip/sep3 skip/dil3
        max/skip  skip/sep3 skip/sep3 skip/dil3
        skip/sep3 max/skip  skip/dil3 dil3/dil5 dil3/dil5
    """),
    "reduce": _pairs("""
        max/avg   max/dil3
        max/avg   max/avg   skip/dil5
        max/avg   max/sep3  skip/dil3 skip/dil5
        max/avg   max/avg   skip/dil5 skip/dil5 skip/dil5
    """),
}
"""Candidates of space S1 as its authors published them: two on every edge, which remain when the
least important ones of the paper's space are dropped (Zela et al. 2020, section 3)."""

NAS_BENCH_201 = "nas-bench-201"
"""Name of the space of NAS-Bench-201: one cell of three nodes, an operation on every edge."""

_BUILT_IN = {
    DARTS: checked_space(),
    # Zela et al. 2020, section 3: spaces in which DARTS' cells collapse
    "s1": checked_space(**_S1),
    "s2": checked_space(primitives=(SKIP, "sep_conv_3x3")),
    "s3": checked_space(primitives=(NONE, SKIP, "sep_conv_3x3")),
    "s4": checked_space(primitives=(NOISE, "sep_conv_3x3")),
    # Dong and Yang 2020, section 2.1
    NAS_BENCH_201: edge_space(),
}

SPACES = collections.ChainMap(registry.SPACES, _BUILT_IN)
"""Search spaces by name, the values of `--space`: built-in and registered by users."""
