"""Discrete cells: the genotypes, their JSON files, and how they are derived.

A genotype is data: it is parsed and checked, never evaluated.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable

import numpy as np

from darts_tf import files
from darts_tf.errors import InputError
from darts_tf.names import shown
from darts_tf.parsing import parse_json
from darts_tf.spaces import (
    INPUTS,
    NONE,
    PRIMITIVES,
    RECURRENT_PRIMITIVES,
    Pairs,
    checked_concat,
    checked_pairs,
    checked_recurrent,
    nodes_of,
    recurrent_nodes_of,
)


class _Genotype:
    """What genotypes share: a JSON object with one field a line."""

    def to_json(self) -> str:
        """JSON text with one line a field, which `from_json` reads."""
        items = dataclasses.asdict(self).items()
        lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in items)
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str | bytes):
        """Reads what `to_json` wrote.

        Raises:
            InputError: Not JSON (with line and column), fields missing or unknown, or a cell that
                cannot be.
        """
        return cls.from_fields(parse_json(text))

    @classmethod
    def from_fields(cls, fields):
        """Makes the genotype of these fields, by name.

        Raises:
            InputError: Fields missing or unknown, or a cell that cannot be.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(fields, dict) or sorted(fields) != sorted(names):
            received = shown(sorted(fields)) if isinstance(fields, dict) else type(fields).__name__
            raise InputError(
                f"Expected a JSON object with the keys {', '.join(names)}. Received: {received}"
            )
        return cls(**fields)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the JSON file atomically: whole or not at all."""
        files.write_text(path, self.to_json())


@dataclasses.dataclass(frozen=True)
class Genotype(_Genotype):
    """A normal and a reduction cell. Lists are taken too, and become tuples.

    Example:
        >>> genotype = GENOTYPES["DARTS_V2"]
        >>> genotype.normal[:2]
        (('sep_conv_3x3', 0), ('sep_conv_3x3', 1))

    Raises:
        InputError: An unknown primitive, an input that does not exist yet, a number of pairs that
            is not two a node, or a concat of states that are not nodes of the cell.
    """

    normal: Pairs
    """(primitive, input state) pairs of the normal cell, two a node, strongest first. Inputs 0
    and 1 are the outputs of the two cells before; 2 is the cell's first node."""
    normal_concat: tuple[int, ...]
    """The nodes whose concatenation is the normal cell's output."""
    reduce: Pairs
    """The same for the reduction cell."""
    reduce_concat: tuple[int, ...]
    """The same for the reduction cell."""

    def __post_init__(self):
        for cell in ("normal", "reduce"):
            pairs = checked_pairs(cell, getattr(self, cell))
            name = f"{cell}_concat"
            object.__setattr__(self, cell, pairs)
            object.__setattr__(
                self, name, checked_concat(name, getattr(self, name), len(pairs) // 2)
            )

    def __str__(self) -> str:
        """One line a cell, with short names: `sep3 0` is `("sep_conv_3x3", 0)`."""
        return "\n".join(f"{cell}  {self._line(cell)}" for cell in ("normal", "reduce"))

    def _line(self, cell: str) -> str:
        texts = [f"{short_name(primitive)} {source}" for primitive, source in getattr(self, cell)]
        nodes = (", ".join(texts[i : i + 2]) for i in range(0, len(texts), 2))
        concat = " ".join(map(str, getattr(self, f"{cell}_concat")))
        return f"{' | '.join(nodes)} -> {concat}"


@dataclasses.dataclass(frozen=True)
class RecurrentGenotype(_Genotype):
    """A recurrent cell (Liu et al. 2019, section 2.1). Lists are taken too, and become tuples.

    Example:
        >>> RecurrentGenotype((("tanh", 0), ("relu", 1)), (1, 2)).recurrent[1]
        ('relu', 1)

    Raises:
        InputError: An unknown activation, an input that does not exist yet, or a concat of states
            that are not nodes of the cell.
    """

    recurrent: Pairs
    """One (activation, input state) pair a node. State 0 is made of the input and the hidden state,
    state 1 is the first node."""
    concat: tuple[int, ...]
    """The nodes whose mean is the new hidden state."""

    def __post_init__(self):
        pairs = checked_recurrent("recurrent", self.recurrent)
        concat = checked_concat("concat", self.concat, len(pairs), first=1)
        object.__setattr__(self, "recurrent", pairs)
        object.__setattr__(self, "concat", concat)

    def __str__(self) -> str:
        """One line, as in `tanh 0 | relu 1 -> 1 2`."""
        nodes = " | ".join(f"{activation} {source}" for activation, source in self.recurrent)
        return f"{nodes} -> {' '.join(map(str, self.concat))}"


def derive(
    alphas_normal,
    alphas_reduce,
    edges_normal=None,
    edges_reduce=None,
    *,
    primitives: tuple[str, ...] = PRIMITIVES,
) -> Genotype:
    """The discrete cells that architecture parameters stand for. Liu et al. 2019, section 2.4.

    On every edge the operation with the largest softmax weight is kept, `none` left out, and its
    weight is the edge's strength; every node keeps its two strongest edges. Of equals the first
    wins. `none` takes its share of the softmax all the same. Where edges have parameters of their
    own (Xu et al. 2020, section 3.2), their softmax over the edges into a node multiplies the
    strengths.

    Args:
        alphas_normal: (edges, primitives) array: one row per pair of `spaces.edges(nodes)`, for
            any number of nodes.
        alphas_reduce: The same for the reduction cell.
        edges_normal: (edges,) array, or None for edges that are weighed alike.
        edges_reduce: The same for the reduction cell.
        primitives: What the columns stand for.

    Raises:
        InputError: An array of another shape, or a number that is not finite.
    """
    normal = _derive_cell("normal", alphas_normal, edges_normal, primitives)
    reduce = _derive_cell("reduce", alphas_reduce, edges_reduce, primitives)
    return Genotype(normal, _all_nodes(normal), reduce, _all_nodes(reduce))


def derive_recurrent(
    alphas, *, primitives: tuple[str, ...] = RECURRENT_PRIMITIVES
) -> RecurrentGenotype:
    """The discrete recurrent cell that architecture parameters stand for.

    As `derive`, but that every node keeps its one strongest edge; its output is the mean of all
    nodes. Liu et al. 2019, sections 2.1 and 2.4.

    Args:
        alphas: (edges, primitives) array: one row per pair of `spaces.recurrent_edges(nodes)`, for
            any number of nodes.
        primitives: What the columns stand for.

    Raises:
        InputError: An array of another shape, or a number that is not finite.
    """
    columns = _derived(primitives)
    alphas = _checked_alphas("alphas", alphas, (None, len(primitives)), recurrent_nodes_of)
    weights = _softmax(alphas)[:, columns]
    pairs, start = [], 0
    for node in range(recurrent_nodes_of(len(weights))):
        rows = weights[start : start + node + 1]
        source = int(rows.max(axis=1).argmax())
        pairs.append((primitives[columns[rows[source].argmax()]], source))
        start += len(rows)
    return RecurrentGenotype(tuple(pairs), tuple(range(1, len(pairs) + 1)))


def _derived(primitives: tuple[str, ...]) -> list[int]:
    """The columns of what can be derived."""
    return [i for i, primitive in enumerate(primitives) if primitive != NONE]


def _derive_cell(cell: str, alphas, edges, primitives: tuple[str, ...]) -> Pairs:
    columns = _derived(primitives)
    alphas = _checked_alphas(f"alphas_{cell}", alphas, (None, len(primitives)))
    weights = _softmax(alphas)[:, columns]
    rows = len(weights)
    edges = np.zeros(rows) if edges is None else _checked_alphas(f"edges_{cell}", edges, (rows,))
    pairs, start = [], 0
    for node in range(nodes_of(rows)):
        into = slice(start, start + INPUTS + node)
        rows = weights[into] * _softmax(edges[None, into]).T
        strongest = np.argsort(-rows.max(axis=1), kind="stable")[:2]
        pairs += [(primitives[columns[rows[i].argmax()]], int(i)) for i in strongest]
        start += len(rows)
    return tuple(pairs)


def _softmax(rows: np.ndarray) -> np.ndarray:
    exponentials = np.exp(rows - rows.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _all_nodes(pairs: Pairs) -> tuple[int, ...]:
    return tuple(range(INPUTS, INPUTS + len(pairs) // 2))


def _checked_alphas(
    name: str, alphas, shape: tuple[int | None, ...], nodes_of: Callable[[int], int] = nodes_of
) -> np.ndarray:
    """Finite numbers in an array of this shape, None standing for the edges of some cell."""
    alphas = np.asarray(alphas, dtype=np.float64)
    fits = len(shape) == alphas.ndim and all(
        size in (None, actual) for size, actual in zip(shape, alphas.shape, strict=True)
    )
    if not fits:
        sizes = ", ".join("edges" if size is None else str(size) for size in shape)
        raise InputError(
            f"Expected an array of shape ({sizes}). Received: {name}.shape={alphas.shape}"
        )
    if not np.isfinite(alphas).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(alphas))[0])
        raise InputError(f"Expected finite numbers. Received: {name}{list(place)}={alphas[place]}")
    nodes_of(len(alphas))
    return alphas


def short_name(primitive: str) -> str:
    """`sep3` of `sep_conv_3x3`: how a genotype is printed."""
    word, _, size = re.match(r"([a-z]+)(_[a-z]+)?_?(\d*)", primitive).groups()
    return word + size
