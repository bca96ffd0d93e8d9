"""Discrete cells: the genotypes and their JSON files.

A genotype is data: it is parsed and checked, never evaluated.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re

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
    Pairs,
    is_integer,
    known_primitives,
    unknown_primitive,
)

_PICTURE = "darts_tf.plots.figures:plot_genotype"
"""Draws a genotype; imported when a notebook shows one, since rooms import only downwards."""

FILE = "genotype.json"
"""Name of the file of a genotype in the folder of a run or of an export."""


class _Genotype:
    """Base class of genotypes: conversion to and from JSON, and the picture in notebooks."""

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

    def __post_init__(self):
        pairs = checked_recurrent("recurrent", self.recurrent)
        concat = checked_concat("concat", self.concat, len(pairs), first=1)
        object.__setattr__(self, "recurrent", pairs)
        object.__setattr__(self, "concat", concat)

    def __str__(self) -> str:
        """Writes one line, as in `tanh 0 | relu 1 -> 1 2`, in the notation of the class."""
        nodes = " | ".join(f"{activation} {source}" for activation, source in self.recurrent)
        return f"{nodes} -> {' '.join(map(str, self.concat))}"


def abbreviated(genotype: Genotype | RecurrentGenotype) -> str:
    """Returns `str(genotype)` with abbreviated built-in operations: `sep3 0` for `sep_conv_3x3 0`.

    The file `metrics.jsonl` holds genotypes in this form since its first version, so that lines of
    resumed runs compare equal. Texts for people have full names.
    """
    return re.sub(r"\b[a-z]+(?:_[a-z0-9]+)+", lambda match: _abbreviation(match[0]), str(genotype))


def _abbreviation(primitive: str) -> str:
    if primitive not in ALL_PRIMITIVES:
        return primitive
    word, size = re.match(r"([a-z]+)(?:_[a-z]+)?_?(\d*)", primitive).groups()
    return word + size


CELL_TITLES = {
    "normal": "normal cell",
    "reduce": "reduction cell",
    "recurrent": "recurrent cell",
}
"""Names of the cells of genotypes in texts for people."""


def state_words(cell: str, state: int) -> str:
    """Returns the name of a state in texts for people: `input 0`, `node 2`.

    Args:
        cell: a key of `CELL_TITLES`.
        state: number of the state in genotypes.
    """
    inputs = 1 if cell == "recurrent" else INPUTS
    return f"{'input' if state < inputs else 'node'} {state}"


def edge_words(cell: str, primitive: str, source: int) -> str:
    """Returns the name of an edge in texts for people: `dil_conv_3x3 from node 2`."""
    return f"{primitive} from {state_words(cell, source)}"


def cells_in_words(genotype: Genotype | RecurrentGenotype) -> str:
    """Returns the cells as text for people, a line for each node, with a legend below."""
    recurrent = isinstance(genotype, RecurrentGenotype)
    count, first = (1, 1) if recurrent else (2, INPUTS)
    lines = []
    for cell in ("recurrent",) if recurrent else CELLS:
        pairs = getattr(genotype, cell)
        concat = genotype.concat if recurrent else getattr(genotype, f"{cell}_concat")
        lines.append(CELL_TITLES[cell])
        for node in range(first, first + len(pairs) // count):
            own = pairs[count * (node - first) :][:count]
            lines.append(f"  node {node} = {' + '.join(edge_words(cell, *pair) for pair in own)}")
        joined = "mean" if recurrent else "channels"
        lines.append(f"  output = {joined} of nodes {', '.join(map(str, concat))}")
    legend = _LEGEND_RECURRENT if recurrent else _LEGEND
    return "\n".join([*lines, *legend])


_LEGEND = (
    "A node adds what its two operations make of earlier states. Inputs 0 and 1 are",
    "the outputs of the cell before the last one and of the last one.",
)
_LEGEND_RECURRENT = (
    "A node applies its activation to a gated mixture of one earlier state. Input 0",
    "is made of the word and of the hidden state before.",
)


def cell_table(cell: str, pairs, concat) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Returns a cell as a table for people, a row for each node.

    Args:
        cell: a key of `CELL_TITLES`.
        pairs: (operation, input state) pairs of the cell.
        concat: states that form its output.

    Returns:
        The header and the rows.
    """
    recurrent = cell == "recurrent"
    count, first = (1, 1) if recurrent else (2, INPUTS)
    edges = ("edge",) if recurrent else ("first edge", "second edge")
    rows = []
    for node in range(first, first + len(pairs) // count):
        own = pairs[count * (node - first) :][:count]
        texts = (edge_words(cell, *pair) for pair in own)
        rows.append((f"node {node}", *texts, "yes" if node in concat else "no"))
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
