"""Discrete cells: the genotypes and their JSON files.

A genotype is data: it is parsed and checked, never evaluated.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
from typing import ClassVar, NamedTuple

from darts_tf import registry
from darts_tf.errors import InputError, shown
from darts_tf.runtime import atomic
from darts_tf.runtime.strict_json import parse_json
from darts_tf.spaces.cell import (
    ACTIVATIONS,
    ALL_PRIMITIVES,
    CELLS,
    INPUTS,
    NONE,
    STAGES,
    Pairs,
    is_integer,
    known_primitives,
    nodes_of,
    unknown_primitive,
)

_PICTURE = "darts_tf.plots.figures:plot_genotype"
"""Draws a genotype; imported when a notebook shows one, since rooms import only downwards."""

FILE = "genotype.json"
"""Name of the file of a genotype in the folder of a run or of an export."""


class CellKind(NamedTuple):
    """Properties that all cells of one kind share.

    Attributes:
        title: name in texts for people.
        inputs: number of input states, which come before the nodes.
        output: how the output is made of nodes, one of `search_spaces.OUTPUTS`.
    """

    title: str
    inputs: int
    output: str


CELL_KINDS = {
    "normal": CellKind("normal cell", INPUTS, "concat"),
    "reduce": CellKind("reduction cell", INPUTS, "concat"),
    "recurrent": CellKind("recurrent cell", 1, "mean"),
    "cell": CellKind("cell", 1, "last"),
}
"""Kinds of cells by the name that fields, files and metrics have."""

CELL_TITLES = {name: kind.title for name, kind in CELL_KINDS.items()}
"""Names of the cells of genotypes in texts for people."""


@dataclasses.dataclass(frozen=True)
class DiscreteCell:
    """A cell of a genotype, in the one form that pictures, tables, texts and costs read.

    Attributes:
        kind: key of `CELL_KINDS`.
        nodes: (operation, input state) pairs of every node.
        concat: nodes that form the output.
    """

    kind: str
    nodes: tuple[Pairs, ...]
    concat: tuple[int, ...]

    @property
    def title(self) -> str:
        """Name in texts for people."""
        return CELL_KINDS[self.kind].title

    @property
    def inputs(self) -> int:
        """Number of input states; the first node is the state with this number."""
        return CELL_KINDS[self.kind].inputs

    @property
    def pairs(self) -> Pairs:
        """The (operation, input state) pairs of all nodes, in order."""
        return tuple(itertools.chain.from_iterable(self.nodes))

    @property
    def edges(self) -> tuple[tuple[str, int, int], ...]:
        """The (operation, source, target) triples of all nodes, in order."""
        numbered = enumerate(self.nodes, self.inputs)
        return tuple((*pair, target) for target, pairs in numbered for pair in pairs)


def _grouped(kind: str, pairs: Pairs, each: int, concat: tuple[int, ...]) -> DiscreteCell:
    """Returns a cell of pairs, with `each` of them per node."""
    nodes = tuple(pairs[i : i + each] for i in range(0, len(pairs), each))
    return DiscreteCell(kind, nodes, concat)


class _Genotype:
    """Base class of genotypes: their cells, JSON, and the picture in notebooks.

    Attributes:
        kinds: kinds of the cells, keys of `CELL_KINDS`, in the order of the alphas.
        on_text: whether the cells are those of language models, not of networks on images.
        abbreviates: whether metrics have operations in a short form, see `abbreviated`.
        fewest_cells: smallest number of cells of a network, or of a stage.
        stages: number of stages of equal cells in a network; 1 for a network that has none.
        usual_sizes: settings of the network in the paper, which commands have as defaults.
        described: the cells in error messages.
    """

    kinds: ClassVar[tuple[str, ...]]
    on_text: ClassVar[bool] = False
    abbreviates: ClassVar[bool] = True
    fewest_cells: ClassVar[int] = 3
    stages: ClassVar[int] = 1
    usual_sizes: ClassVar[dict[str, int]] = {"channels": 36, "cells": 20}
    described: ClassVar[str] = "normal and reduction cells"

    @property
    def cells(self) -> tuple[DiscreteCell, ...]:
        """The cells, one of each kind."""
        raise NotImplementedError

    @classmethod
    def of_pairs(cls, cells):
        """Creates a genotype from the pairs of each kind of cell; all nodes form the output."""
        raise NotImplementedError

    def _repr_svg_(self) -> str:
        """Returns the drawing of the cells that notebooks show; see `plot_genotype`."""
        return registry.resolved(_PICTURE)(self)._repr_svg_()

    def to_json(self) -> str:
        """Returns JSON text with one line per field, which `from_json` reads."""
        items = dataclasses.asdict(self).items()
        lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in items)
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str | bytes):
        """Restores a genotype from the result of `to_json`.

        Raises:
            InputError: not JSON (with line and column), missing or unknown fields, or an invalid
                cell.
        """
        return cls.from_fields(parse_json(text))

    @classmethod
    def from_fields(cls, fields):
        """Creates a genotype from a dict of its fields.

        Raises:
            InputError: missing or unknown fields, or an invalid cell.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(fields, dict) or sorted(fields) != sorted(names):
            received = shown(sorted(fields)) if isinstance(fields, dict) else type(fields).__name__
            raise InputError(
                f"Expected a JSON object with the keys {', '.join(names)}. Received: {received}"
            )
        return cls(**fields)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the JSON file atomically."""
        atomic.write_text(path, self.to_json())


@dataclasses.dataclass(frozen=True)
class Genotype(_Genotype):
    """A normal and a reduction cell. Lists are converted to tuples.

    `str(genotype)` is a line per cell: nodes are separated by `|`, each is the sum of two
    operations, and the number after an operation is the state that it reads. 0 and 1 are the
    outputs of the cell before the previous one and of the previous one, 2 is the first node. The
    nodes after `->` are concatenated to the cell's output. Notebooks show the cells as a picture.

    Example:
        >>> genotype = GENOTYPES["DARTS_V2"]
        >>> genotype.normal[:2]
        (('sep_conv_3x3', 0), ('sep_conv_3x3', 1))
        >>> print(str(genotype)[:48])
        normal  sep_conv_3x3 0, sep_conv_3x3 1 | sep_con

    Raises:
        InputError: an unknown primitive, an input that does not exist yet, a number of pairs that
            is not two per node, or a concat of states that are not nodes of the cell.
    """

    normal: Pairs
    """(primitive, input state) pairs of the normal cell, two per node, strongest first. Inputs 0
    and 1 are the outputs of the two previous cells; 2 is the cell's first node."""
    normal_concat: tuple[int, ...]
    """Nodes that are concatenated to the normal cell's output."""
    reduce: Pairs
    """(primitive, input state) pairs of the reduction cell, like those of the normal cell."""
    reduce_concat: tuple[int, ...]
    """Nodes that are concatenated to the reduction cell's output."""

    kinds = CELLS

    @property
    def cells(self) -> tuple[DiscreteCell, ...]:
        """The normal and the reduction cell."""
        return tuple(
            _grouped(cell, getattr(self, cell), 2, getattr(self, f"{cell}_concat"))
            for cell in CELLS
        )

    @classmethod
    def of_pairs(cls, cells):
        """Creates a genotype from the pairs of both cells; all nodes form the output."""
        normal, reduce = cells
        concats = [tuple(range(INPUTS, INPUTS + len(pairs) // 2)) for pairs in (normal, reduce)]
        return cls(normal, concats[0], reduce, concats[1])

    def __post_init__(self):
        for cell in CELLS:
            pairs = checked_pairs(cell, getattr(self, cell))
            name = f"{cell}_concat"
            object.__setattr__(self, cell, pairs)
            object.__setattr__(
                self, name, checked_concat(name, getattr(self, name), len(pairs) // 2)
            )

    def __str__(self) -> str:
        """Writes one line per cell, in the notation that the class describes."""
        return "\n".join(f"{cell}  {self._line(cell)}" for cell in CELLS)

    def _line(self, cell: str) -> str:
        texts = [f"{primitive} {source}" for primitive, source in getattr(self, cell)]
        nodes = (", ".join(texts[i : i + 2]) for i in range(0, len(texts), 2))
        concat = " ".join(map(str, getattr(self, f"{cell}_concat")))
        return f"{' | '.join(nodes)} -> {concat}"


@dataclasses.dataclass(frozen=True)
class RecurrentGenotype(_Genotype):
    """A recurrent cell (Liu et al. 2019, section 2.1). Lists are converted to tuples.

    `str(genotype)` is a line: nodes are separated by `|`, and the number after an activation is the
    state that it reads. 0 is computed from the word and the last hidden state, 1 is the first node.
    The mean of the nodes after `->` is the new hidden state. Notebooks show the cell as a picture.

    Example:
        >>> RecurrentGenotype((("tanh", 0), ("relu", 1)), (1, 2)).recurrent[1]
        ('relu', 1)

    Raises:
        InputError: an unknown activation, an input that does not exist yet, or a concat of states
            that are not nodes of the cell.
    """

    recurrent: Pairs
    """One (activation, input state) pair per node. State 0 is computed from the input and the
    hidden state, state 1 is the first node."""
    concat: tuple[int, ...]
    """Nodes whose mean is the new hidden state."""

    kinds = ("recurrent",)
    on_text = True
    described = "a recurrent cell"

    @property
    def cells(self) -> tuple[DiscreteCell, ...]:
        """The recurrent cell."""
        return (_grouped("recurrent", self.recurrent, 1, self.concat),)

    @classmethod
    def of_pairs(cls, cells):
        """Creates a genotype from the pairs of the cell; all nodes form the output."""
        (pairs,) = cells
        return cls(pairs, tuple(range(1, len(pairs) + 1)))

    def __post_init__(self):
        pairs = checked_recurrent("recurrent", self.recurrent)
        concat = checked_concat("concat", self.concat, len(pairs), first=1)
        object.__setattr__(self, "recurrent", pairs)
        object.__setattr__(self, "concat", concat)

    def __str__(self) -> str:
        """Writes one line, as in `tanh 0 | relu 1 -> 1 2`, in the notation of the class."""
        nodes = " | ".join(f"{activation} {source}" for activation, source in self.recurrent)
        return f"{nodes} -> {' '.join(map(str, self.concat))}"


@dataclasses.dataclass(frozen=True)
class EdgeGenotype(_Genotype):
    """A cell with one operation on every edge, as in NAS-Bench-201 (Dong and Yang 2020, sec. 2.1).

    State 0 is the cell's input, states 1, 2, ... are nodes. Every node adds the edges from all
    earlier states, and the last node is the output. `none` is the operation of an edge that adds
    nothing. Lists are converted to tuples.

    `str(genotype)` is the benchmark's notation: nodes are separated by `+`, and the number after
    `~` is the state that an operation reads. `load_genotype` reads it. Notebooks show the cell as
    a picture.

    Example:
        >>> genotype = EdgeGenotype(("nor_conv_3x3", "none", "skip_connect"))
        >>> print(genotype)
        |nor_conv_3x3~0|+|none~0|skip_connect~1|

    Raises:
        InputError: an unknown operation, or a number of operations that no number of nodes has.
    """

    operations: tuple[str, ...]
    """Operations of the edges in the order of the alphas' rows: 0 -> 1, 0 -> 2, 1 -> 2, 0 -> 3,
    1 -> 3, 2 -> 3, ..., see `cell.edges(nodes, inputs=1)`."""

    kinds = ("cell",)
    abbreviates = False
    fewest_cells = 1
    stages = len(STAGES)
    usual_sizes: ClassVar[dict[str, int]] = {"channels": 16, "cells": 5}
    described = "a cell with an operation on every edge"

    def __post_init__(self):
        operations = checked_operations("operations", self.operations)
        object.__setattr__(self, "operations", operations)

    @property
    def cells(self) -> tuple[DiscreteCell, ...]:
        """The cell."""
        names = iter(self.operations)
        nodes = nodes_of(len(self.operations), inputs=1)
        by_node = tuple(
            tuple((next(names), source) for source in range(target))
            for target in range(1, nodes + 1)
        )
        return (DiscreteCell("cell", by_node, (nodes,)),)

    @classmethod
    def of_pairs(cls, cells):
        """Creates a genotype from the (operation, source) pairs of all edges, in order."""
        (pairs,) = cells
        return cls(tuple(operation for operation, _ in pairs))

    def __str__(self) -> str:
        """Writes the benchmark's notation."""
        (cell,) = self.cells
        nodes = ("".join(f"{name}~{source}|" for name, source in node) for node in cell.nodes)
        return "+".join(f"|{node}" for node in nodes)


AnyGenotype = Genotype | RecurrentGenotype | EdgeGenotype
"""All kinds of genotypes."""


def abbreviated(genotype: AnyGenotype) -> str:
    """Returns `str(genotype)` with abbreviated built-in operations: `sep3 0` for `sep_conv_3x3 0`.

    The file `metrics.jsonl` holds genotypes in this form since its first version, so that lines of
    resumed runs compare equal. Texts for people have full names, and so have genotypes whose
    notation is that of other tools.
    """
    if not genotype.abbreviates:
        return str(genotype)
    return re.sub(r"\b[a-z]+(?:_[a-z0-9]+)+", lambda match: _abbreviation(match[0]), str(genotype))


def _abbreviation(primitive: str) -> str:
    if primitive not in ALL_PRIMITIVES:
        return primitive
    word, size = re.match(r"([a-z]+)(?:_[a-z]+)?_?(\d*)", primitive).groups()
    return word + size


def state_words(cell: str, state: int) -> str:
    """Returns the name of a state in texts for people: `input 0`, `node 2`.

    Args:
        cell: a key of `CELL_KINDS`.
        state: number of the state in genotypes.
    """
    return f"{'input' if state < CELL_KINDS[cell].inputs else 'node'} {state}"


def edge_words(cell: str, primitive: str, source: int) -> str:
    """Returns the name of an edge in texts for people: `dil_conv_3x3 from node 2`."""
    return f"{primitive} from {state_words(cell, source)}"


_OUTPUTS = {"concat": "channels of nodes", "mean": "mean of nodes", "last": "node"}
"""The output of a cell in texts for people, by how it is made."""

_LEGENDS = {
    "concat": (
        "A node adds what its two operations make of earlier states. Inputs 0 and 1 are",
        "the outputs of the cell before the last one and of the last one.",
    ),
    "mean": (
        "A node applies its activation to a gated mixture of one earlier state. Input 0",
        "is made of the word and of the hidden state before.",
    ),
    "last": (
        "A node adds what its operations make of earlier states; edges with none are left",
        "out. Input 0 is the output of the layer before.",
    ),
}
"""Explanations of cells in texts for people, by how their output is made."""


def cells_in_words(genotype: AnyGenotype) -> str:
    """Returns the cells as text for people, a line for each node, with a legend below."""
    lines = []
    for cell in genotype.cells:
        lines.append(cell.title)
        for number, pairs in enumerate(cell.nodes, cell.inputs):
            terms = [edge_words(cell.kind, *pair) for pair in pairs if pair[0] != NONE]
            lines.append(f"  node {number} = {' + '.join(terms) or 'zero'}")
        output = CELL_KINDS[cell.kind].output
        lines.append(f"  output = {_OUTPUTS[output]} {', '.join(map(str, cell.concat))}")
    return "\n".join([*lines, *_LEGENDS[output]])


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def cell_table(cell: DiscreteCell) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Returns a cell as a table for people, a row for each node.

    Returns:
        The header and the rows.
    """
    most = max(map(len, cell.nodes))
    ordinals = (*_ORDINALS, *(f"{number}th" for number in range(len(_ORDINALS) + 1, most + 1)))
    edges = ("edge",) if most == 1 else tuple(f"{each} edge" for each in ordinals[:most])
    rows = []
    for number, pairs in enumerate(cell.nodes, cell.inputs):
        texts = [edge_words(cell.kind, *pair) for pair in pairs]
        texts += [""] * (most - len(texts))
        rows.append((f"node {number}", *texts, "yes" if number in cell.concat else "no"))
    return ("node", *edges, "in the output"), rows


def checked_pairs(name: str, pairs) -> Pairs:
    """Returns the (primitive, input) pairs of a discrete cell, two per node, checked and as tuples.

    Raises:
        InputError: not two pairs per node, an unknown primitive, or an input state that does not
            exist yet at that node. The message calls the cell `name`.
    """
    if not isinstance(pairs, list | tuple) or not pairs or len(pairs) % 2:
        received = f"{len(pairs)} pairs" if isinstance(pairs, list | tuple) else shown(pairs)
        raise InputError(
            f"Expected {name} to hold two (primitive, input) pairs for every node, an even number "
            f"of pairs. Received: {received}"
        )
    known = tuple(primitive for primitive in known_primitives() if primitive != NONE)
    return tuple(
        _checked_pair(f"{name}[{i}]", pair, INPUTS + i // 2 - 1, known)
        for i, pair in enumerate(pairs)
    )


def checked_recurrent(name: str, pairs) -> Pairs:
    """Returns the (activation, input) pairs of a recurrent cell, one per node, checked, as tuples.

    Raises:
        InputError: no pairs, an unknown activation, or an input state that does not exist yet at
            that node. The message calls the cell `name`.
    """
    if not isinstance(pairs, list | tuple) or not pairs:
        raise InputError(
            f"Expected {name} to hold an (activation, input) pair for every node. "
            f"Received: {shown(pairs)}"
        )
    return tuple(
        _checked_pair(f"{name}[{i}]", pair, i, ACTIVATIONS) for i, pair in enumerate(pairs)
    )


def checked_operations(name: str, operations) -> tuple[str, ...]:
    """Returns the operations of all edges of a cell of one input, checked and as a tuple.

    Raises:
        InputError: not 1, 3, 6, 10, ... operations, or an unknown one.
    """
    is_list = isinstance(operations, list | tuple)
    count = len(operations) if is_list else 0
    if count not in itertools.accumulate(range(1, count + 1)):
        raise InputError(
            f"Expected {name} to hold an operation for every edge of a cell: 1 for one node, 3 for "
            f"two, 6 for three. Received: {count if is_list else shown(operations)}"
        )
    known = known_primitives()
    for i, operation in enumerate(operations):
        if operation not in known:
            raise unknown_primitive(f"{name}[{i}]", operation, known)
    return tuple(map(str, operations))


def _checked_pair(place: str, pair, last: int, known: tuple[str, ...]) -> tuple[str, int]:
    """Returns a pair as a tuple after checking that its input is one of the states 0 to `last`."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise InputError(
            f"Expected {place} to be a (primitive, input) pair. Received: {shown(pair)}"
        )
    primitive, source = pair
    if primitive not in known:
        raise unknown_primitive(f"the primitive of {place}", primitive, known)
    if not is_integer(source) or not 0 <= source <= last:
        raise InputError(
            f"Expected the input of {place} to be a state that exists there, 0 to {last}. "
            f"Received: input={shown(source)}"
        )
    return str(primitive), int(source)


def checked_concat(name: str, concat, nodes: int, first: int = INPUTS) -> tuple[int, ...]:
    """Returns the nodes that form a cell's output, checked and as a tuple.

    Args:
        name: name of the field, for the error message.
        concat: states.
        nodes: number of nodes of the cell.
        first: state of the first node.

    Raises:
        InputError: not a list of different states between `first` and `first + nodes - 1`.
    """
    last = first + nodes - 1
    is_list = isinstance(concat, list | tuple | range) and all(map(is_integer, concat))
    if not is_list or not concat or len(set(concat)) < len(concat):
        raise InputError(
            f"Expected {name} to be a list of different nodes. Received: {shown(concat)}"
        )
    if min(concat) < first or max(concat) > last:
        raise InputError(
            f"Expected {name} to hold nodes of the cell, {first} to {last}. "
            f"Received: {shown(list(concat))}"
        )
    return tuple(map(int, concat))
