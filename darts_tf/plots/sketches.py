"""Cells as what a picture of them shows: states, operations between them, what makes the output."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from darts_tf.errors import InputError, shown, unknown_name
from darts_tf.spaces.cell import (
    INPUTS,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    recurrent_nodes_of,
)
from darts_tf.spaces.derivation import (
    STRENGTHS,
    derive,
    derive_recurrent,
    space_of_alphas,
    strengths,
)
from darts_tf.spaces.genotype import (
    CELL_TITLES,
    Genotype,
    RecurrentGenotype,
    edge_words,
    state_words,
)
from darts_tf.spaces.search_spaces import Space, recurrent_space

Name = tuple[str, str]
"""Name of a vertex: a letter or number, and a subscript, which may be empty."""

CELLS = ("normal", "reduce", "recurrent")
"""Names of cells; a genotype has the first two or the last."""


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


@dataclasses.dataclass(frozen=True)
class Sketch:
    """A cell. States count from 0, inputs before nodes, as in genotypes."""

    cell: str
    """One of `CELLS`."""
    nodes: int
    operations: tuple[Operation, ...]
    concat: tuple[int, ...]
    """The states that make the output."""

    @property
    def recurrent(self) -> bool:
        """True for a recurrent cell, whose state 0 combines two inputs."""
        return self.cell == "recurrent"

    @property
    def states(self) -> int:
        """Number of states without the output."""
        return self.nodes + (1 if self.recurrent else INPUTS)

    @property
    def input_names(self) -> tuple[Name, Name]:
        """Names of the two inputs."""
        return (("x", "t"), ("h", "t−1")) if self.recurrent else (("c", "k−2"), ("c", "k−1"))

    @property
    def output_name(self) -> Name:
        """Name of the output."""
        return ("h", "t") if self.recurrent else ("c", "k")

    def words(self, operation: Operation) -> str:
        """Returns what an operation is and between which states it lies, in words."""
        edge = edge_words(self.cell, operation.primitive, operation.source)
        return f"{edge} to {state_words(self.cell, operation.target)}"


def describe_sketch(sketch: Sketch) -> str:
    """Describes a cell in words, as alternative text of its picture."""
    kept = ", ".join(sketch.words(operation) for operation in sketch.operations if operation.kept)
    return f"{CELL_TITLES[sketch.cell]}: {kept}"


def of_genotype(
    genotype: Genotype | RecurrentGenotype, cell: str | None = None, strengths=None
) -> tuple[Sketch, ...]:
    """The cells of a genotype; see `figures.plot_genotype` for what is asked for and raised."""
    names = CELLS[2:] if isinstance(genotype, RecurrentGenotype) else CELLS[:2]
    chosen = _chosen(names, cell)
    if strengths is not None and not isinstance(strengths, dict):
        if len(chosen) > 1:
            raise InputError(
                f"Expected strengths by cell: {', '.join(chosen)}. Received: {shown(strengths)}"
            )
        strengths = {chosen[0]: strengths}
    for name in strengths or {}:
        if name not in names:
            raise unknown_name("cell", name, names)
    return tuple(_discrete(genotype, name, (strengths or {}).get(name)) for name in chosen)


def _chosen(names: Sequence[str], cell: str | None) -> tuple[str, ...]:
    if cell is None:
        return tuple(names)
    if cell not in names:
        raise unknown_name("cell", cell, names)
    return (cell,)


def _discrete(genotype, cell: str, weights) -> Sketch:
    pairs = getattr(genotype, cell)
    recurrent = cell == "recurrent"
    a_node, first = (1, 1) if recurrent else (2, INPUTS)
    concat = genotype.concat if recurrent else getattr(genotype, f"{cell}_concat")
    weights = [None] * len(pairs) if weights is None else _checked(weights, len(pairs), cell)
    operations = (
        Operation(primitive, source, first + i // a_node, weight)
        for i, ((primitive, source), weight) in enumerate(zip(pairs, weights, strict=True))
    )
    return Sketch(cell, len(pairs) // a_node, tuple(operations), concat)


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
    genotype: Genotype | RecurrentGenotype | None = None,
    cell: str | None = None,
    primitives: Sequence[str] | None = None,
    relaxation: str = "softmax",
    edge_primitives=None,
) -> tuple[Sketch, ...]:
    """The cells of a supernet; see `figures.plot_supernet` for what is asked for and raised."""
    if len(alphas) not in (1, 2, 4):
        raise InputError(f"Expected 1, 2 or 4 arrays of alphas. Received: {len(alphas)}")
    if relaxation not in STRENGTHS:
        raise unknown_name("relaxation", relaxation, STRENGTHS)
    recurrent = len(alphas) == 1
    primitives = tuple(primitives or (RECURRENT_PRIMITIVES if recurrent else PRIMITIVES))
    if recurrent:
        _chosen(CELLS[2:], cell)
        found = derive_recurrent(*alphas, primitives=primitives)
        space = recurrent_space(recurrent_nodes_of(len(alphas[0])), primitives)
        return (_recurrent(space, alphas[0], genotype or found),)
    names = {"primitives": primitives, "edge_primitives": edge_primitives}
    genotype = genotype or derive(*alphas, relaxation=relaxation, **names)
    sketches = []
    for name in _chosen(CELLS[:2], cell):
        number = CELLS.index(name)
        space = space_of_alphas(number, alphas[number], **names)
        over_edges = alphas[number + 2] if len(alphas) == 4 else None
        weights = strengths(space, number, alphas[number], over_edges, relaxation)
        sketches.append(_mixed(name, space, weights, genotype))
    return tuple(sketches)


def _kept(genotype, cell: str, nodes: int) -> Sketch:
    """The discrete cell that a supernet's is to become."""
    if not hasattr(genotype, cell):
        raise InputError(f"Expected a genotype with a {cell} cell. Received: {shown(genotype)}")
    discrete = _discrete(genotype, cell, None)
    if discrete.nodes != nodes:
        raise InputError(
            f"Expected a genotype of the alphas' {nodes} nodes. Received: {discrete.nodes} nodes"
        )
    return discrete


def _mixed(cell: str, space: Space, weights: np.ndarray, genotype) -> Sketch:
    names = space.candidates[CELLS.index(cell)]
    discrete = _kept(genotype, cell, space.nodes)
    operations = _strongest(space.edges, weights, names, discrete)
    return Sketch(cell, space.nodes, operations, discrete.concat)


def _recurrent(space: Space, alphas, genotype) -> Sketch:
    discrete = _kept(genotype, "recurrent", space.nodes)
    weights = strengths(space, 0, alphas)
    operations = _strongest(space.edges, weights, space.candidates[0], discrete)
    return Sketch("recurrent", space.nodes, operations, discrete.concat)


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
