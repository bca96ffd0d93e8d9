"""Cells as what a picture of them shows: states, operations between them, what makes the output."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from darts_tf.errors import InputError, shown, unknown_name
from darts_tf.spaces.cell import (
    CELLS,
    NONE,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    recurrent_nodes_of,
)
from darts_tf.spaces.derivation import (
    STRENGTHS,
    derive,
    derive_genotype,
    space_of_alphas,
    strengths,
)
from darts_tf.spaces.genotype import (
    CELL_KINDS,
    CELL_TITLES,
    AnyGenotype,
    DiscreteCell,
    edge_words,
    state_words,
)
from darts_tf.spaces.search_spaces import Space, recurrent_space

Name = tuple[str, str]
"""Name of a vertex: a letter or number, and a subscript, which may be empty."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """A box of the picture, with the edge that it is on."""

    primitive: str
    source: int
    """The state that it reads."""
    target: int
    """The node that it feeds."""
    weight: float | None = None
    """The strength of the edge, where it is known."""
    kept: bool = True
    """True if the discrete cell has this operation."""
    decided: bool | None = None
    """False for a choice that is drawn dashed because it is not sure; None if that is not known."""


INPUT_NAMES: dict[str, tuple[Name, ...]] = {
    "concat": (("c", "k−2"), ("c", "k−1")),
    "mean": (("x", "t"), ("h", "t−1")),
    "last": (("c", "k−1"),),
}
"""Names of the inputs of a cell, by how its output is made."""

OUTPUT_NAMES: dict[str, Name] = {"concat": ("c", "k"), "mean": ("h", "t"), "last": ("c", "k")}
"""Name of the output of a cell, by how it is made."""


@dataclasses.dataclass(frozen=True)
class Sketch:
    """A cell. States count from 0, inputs before nodes, as in genotypes."""

    cell: str
    """A key of `genotype.CELL_KINDS`."""
    nodes: int
    operations: tuple[Operation, ...]
    concat: tuple[int, ...]
    """The states that make the output."""

    @property
    def output(self) -> str:
        """How the output is made, one of `search_spaces.OUTPUTS`."""
        return CELL_KINDS[self.cell].output

    @property
    def first(self) -> int:
        """Number of the first state that is drawn as a node.

        That of a recurrent cell is state 0, which combines two inputs.
        """
        return 0 if self.output == "mean" else CELL_KINDS[self.cell].inputs

    @property
    def states(self) -> int:
        """Number of states without the output."""
        return self.nodes + CELL_KINDS[self.cell].inputs

    @property
    def input_names(self) -> tuple[Name, ...]:
        """Names of the inputs."""
        return INPUT_NAMES[self.output]

    @property
    def output_name(self) -> Name:
        """Name of the output."""
        return OUTPUT_NAMES[self.output]

    def words(self, operation: Operation) -> str:
        """Returns what an operation is and between which states it lies, in words."""
        edge = edge_words(self.cell, operation.primitive, operation.source)
        return f"{edge} to {state_words(self.cell, operation.target)}"


def describe_sketch(sketch: Sketch) -> str:
    """Describes a cell in words, as alternative text of its picture."""
    kept = ", ".join(sketch.words(operation) for operation in sketch.operations if operation.kept)
    return f"{CELL_TITLES[sketch.cell]}: {kept}"


def of_genotype(
    genotype: AnyGenotype,
    cell: str | None = None,
    strengths=None,
    undecided: Mapping[str, Collection[int]] | None = None,
) -> tuple[Sketch, ...]:
    """The cells of a genotype; see `figures.plot_genotype` for what is asked for and raised.

    Edges with `none` are left out.
    """
    cells = {each.kind: each for each in genotype.cells}
    chosen = _chosen(tuple(cells), cell)
    if strengths is not None and not isinstance(strengths, dict):
        if len(chosen) > 1:
            raise InputError(
                f"Expected strengths by cell: {', '.join(chosen)}. Received: {shown(strengths)}"
            )
        strengths = {chosen[0]: strengths}
    for name in [*(strengths or {}), *(undecided or {})]:
        if name not in cells:
            raise unknown_name("cell", name, tuple(cells))
    weights = strengths or {}
    unsure = {} if undecided is None else {name: undecided.get(name, ()) for name in chosen}
    return tuple(_discrete(cells[name], weights.get(name), unsure.get(name)) for name in chosen)


def _chosen(names: Sequence[str], cell: str | None) -> tuple[str, ...]:
    if cell is None:
        return tuple(names)
    if cell not in names:
        raise unknown_name("cell", cell, names)
    return (cell,)


def _discrete(cell: DiscreteCell, weights=None, undecided: Collection[int] | None = None) -> Sketch:
    """Returns a cell of a genotype; `undecided` has numbers of its pairs, those of `none` too."""
    edges = cell.edges
    weights = [None] * len(edges) if weights is None else _checked(weights, len(edges), cell.kind)
    operations = (
        Operation(*edge, weight, decided=None if undecided is None else number not in undecided)
        for number, (edge, weight) in enumerate(zip(edges, weights, strict=True))
        if edge[0] != NONE
    )
    return Sketch(cell.kind, len(cell.nodes), tuple(operations), cell.concat)


def _checked(weights, count: int, cell: str) -> list[float]:
    try:
        found = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != (count,) or not (np.isfinite(found) & (found >= 0)).all():
        raise InputError(
            f"Expected {count} strengths of zero or more for the {cell} cell. "
            f"Received: {shown(weights)}"
        )
    return [float(weight) for weight in found]


def of_alphas(
    alphas,
    *,
    genotype: AnyGenotype | None = None,
    cell: str | None = None,
    primitives: Sequence[str] | None = None,
    relaxation: str = "softmax",
    edge_primitives=None,
    space: Space | None = None,
) -> tuple[Sketch, ...]:
    """The cells of a supernet; see `figures.plot_supernet` for what is asked for and raised."""
    alphas = list(alphas)
    if space is None and len(alphas) not in (1, 2, 4):
        raise InputError(f"Expected 1, 2 or 4 arrays of alphas. Received: {len(alphas)}")
    if relaxation not in STRENGTHS:
        raise unknown_name("relaxation", relaxation, STRENGTHS)
    if space is None and len(alphas) == 1:
        nodes = recurrent_nodes_of(len(alphas[0]))
        space = recurrent_space(nodes, tuple(primitives or RECURRENT_PRIMITIVES))
        relaxation = "softmax"
    if space is not None:
        genotype = genotype or derive_genotype(space, alphas, relaxation)
        spaces = [space] * len(space.kinds)
    else:  # the numbers of nodes of both cells are those of their alphas
        names = {
            "primitives": tuple(primitives or PRIMITIVES),
            "edge_primitives": edge_primitives,
        }
        genotype = genotype or derive(*alphas, relaxation=relaxation, **names)
        spaces = [space_of_alphas(i, alphas[i], **names) for i in range(len(CELLS))]
    kinds = spaces[0].kinds
    over_edges = alphas[len(kinds) :] or (None,) * len(kinds)
    sketches = []
    for name in _chosen(kinds, cell):
        i = kinds.index(name)
        weights = strengths(spaces[i], i, alphas[i], over_edges[i], relaxation)
        sketches.append(_mixed(spaces[i], i, weights, genotype))
    return tuple(sketches)


def _kept(genotype: AnyGenotype, kind: str, nodes: int) -> Sketch:
    """The discrete cell that a supernet's is to become."""
    cells = {cell.kind: cell for cell in getattr(genotype, "cells", ())}
    if kind not in cells:
        raise InputError(
            f"Expected a genotype with a {CELL_TITLES[kind]}. Received: {shown(genotype)}"
        )
    discrete = _discrete(cells[kind])
    if discrete.nodes != nodes:
        raise InputError(
            f"Expected a genotype of the alphas' {nodes} nodes. Received: {discrete.nodes} nodes"
        )
    return discrete


def _mixed(space: Space, number: int, weights: np.ndarray, genotype: AnyGenotype) -> Sketch:
    kind = space.kinds[number]
    discrete = _kept(genotype, kind, space.nodes)
    operations = _strongest(space.edges, weights, space.candidates[number], discrete)
    return Sketch(kind, space.nodes, operations, discrete.concat)


def _strongest(pairs, weights, names, discrete: Sketch) -> tuple[Operation, ...]:
    """Each edge with its strongest operation, or with that which the discrete cell has there."""
    kept = {(op.source, op.target): op.primitive for op in discrete.operations}
    found = []
    for place, row, candidates in zip(pairs, weights, names, strict=True):
        column = int(row.argmax())
        if kept.get(place) in candidates:
            column = candidates.index(kept[place])
        found.append(Operation(candidates[column], *place, float(row[column]), place in kept))
    return tuple(found)
