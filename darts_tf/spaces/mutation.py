"""Random genotypes and mutations, for search methods without a supernet.

In the paper's space every node of the normal and of the reduction cell has two different inputs,
and an operation other than `none` on each; all nodes are concatenated. In that of NAS-Bench-201
every edge of the cell has one of five operations. A search derives its cells from the same spaces:
see `Space.cells`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from darts_tf.spaces.cell import CELLS, EDGE_PRIMITIVES, INPUTS, NODES, NONE, PRIMITIVES, edges
from darts_tf.spaces.genotype import AnyGenotype, EdgeGenotype, Genotype

OPERATIONS = tuple(primitive for primitive in PRIMITIVES if primitive != NONE)

Node = tuple[tuple[int, int], tuple[str, str]]
"""Node of a cell: its two inputs, the smaller first, and the operation on each."""


EDGES = {f"cell/{source}/{target}": (source, target) for source, target in edges(3, inputs=1)}
"""Edges of NAS-Bench-201's cell by the name of the parameter that is its operation."""


def choices(
    nodes: int = NODES, genotype_class: type[AnyGenotype] = Genotype
) -> dict[str, tuple[str, ...]]:
    """Returns the categorical parameters of a genotype by name, as strings for any tuner.

    `normal/3/inputs` is "0 1", "0 2" or "1 2", `normal/3/first` the operation on the smaller input,
    `normal/3/second` that on the other. The first node has only one pair of inputs, and thus no
    parameter for it. An `EdgeGenotype` has one parameter per edge, `cell/0/1` for that from 0 to 1.

    Args:
        nodes: number of nodes of a normal and a reduction cell.
        genotype_class: `Genotype` or `EdgeGenotype`.
    """
    if genotype_class is EdgeGenotype:
        return dict.fromkeys(EDGES, EDGE_PRIMITIVES)
    parameters = {}
    for cell in CELLS:
        for node in range(INPUTS, INPUTS + nodes):
            if len(pairs := _pairs(node)) > 1:
                parameters[f"{cell}/{node}/inputs"] = tuple(f"{a} {b}" for a, b in pairs)
            for name in _ORDER:
                parameters[f"{cell}/{node}/{name}"] = OPERATIONS
    return parameters


def genotype_of(values: Mapping[str, str], nodes: int = NODES) -> Genotype | EdgeGenotype:
    """Returns the genotype with the given values of the parameters in `choices`."""
    if values.keys() >= EDGES.keys():
        return EdgeGenotype(tuple(values[name] for name in EDGES))

    def node_of(cell, node) -> Node:
        inputs = values.get(f"{cell}/{node}/inputs", "0 1")
        first, second = map(int, inputs.split())
        return (first, second), tuple(values[f"{cell}/{node}/{name}"] for name in _ORDER)

    within = range(INPUTS, INPUTS + nodes)
    return _genotype({cell: [node_of(cell, node) for node in within] for cell in CELLS})


def values_of(genotype: Genotype | EdgeGenotype) -> dict[str, str]:
    """Returns the values from which `genotype_of` restores the cells, up to the order of inputs."""
    if isinstance(genotype, EdgeGenotype):
        return dict(zip(EDGES, genotype.operations, strict=True))
    values = {}
    for cell, nodes in _nodes(genotype).items():
        for node, (inputs, operations) in enumerate(nodes, INPUTS):
            if node > INPUTS:
                values[f"{cell}/{node}/inputs"] = "{} {}".format(*inputs)
            names = (f"{cell}/{node}/{name}" for name in _ORDER)
            values.update(zip(names, operations, strict=True))
    return values


def random_genotype(
    seed: int, nodes: int = NODES, genotype_class: type[AnyGenotype] = Genotype
) -> Genotype | EdgeGenotype:
    """Returns a genotype sampled uniformly from all genotypes, reproducible by the seed."""
    random = np.random.default_rng(seed)
    within = choices(nodes, genotype_class)
    return genotype_of({name: each[random.integers(len(each))] for name, each in within.items()})


def mutated(
    genotype: Genotype | EdgeGenotype, random: np.random.Generator
) -> Genotype | EdgeGenotype:
    """Returns a copy with one input or operation changed (Real et al. 2019, section 3, figure 2).

    The kind of change, the cell, the node, the place and the new value are sampled uniformly. The
    two inputs of a node stay different. Of an `EdgeGenotype` the operation of one edge changes.
    """
    if isinstance(genotype, EdgeGenotype):
        names, place = list(genotype.operations), int(random.integers(len(genotype.operations)))
        others = [name for name in EDGE_PRIMITIVES if name != names[place]]
        names[place] = others[random.integers(len(others))]
        return EdgeGenotype(tuple(names))
    cells = _nodes(genotype)
    nodes = cells[CELLS[random.integers(len(CELLS))]]
    place = int(random.integers(2))
    if len(nodes) > 1 and random.integers(2):
        chosen = int(random.integers(1, len(nodes)))  # the first node has no other inputs
        inputs, operations = nodes[chosen]
        free = [state for state in range(INPUTS + chosen) if state not in inputs]
        changed = _replaced(inputs, place, free[random.integers(len(free))])
        nodes[chosen] = _ordered(changed, operations)
    else:
        chosen = int(random.integers(len(nodes)))
        inputs, operations = nodes[chosen]
        others = [name for name in OPERATIONS if name != operations[place]]
        changed = _replaced(operations, place, others[random.integers(len(others))])
        nodes[chosen] = (inputs, changed)
    return _genotype(cells)


_ORDER = ("first", "second")


def _pairs(node: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(node), 2))


def _nodes(genotype: Genotype) -> dict[str, list[Node]]:
    nodes = {}
    for cell in CELLS:
        pairs = getattr(genotype, cell)
        halves = zip(pairs[::2], pairs[1::2], strict=True)
        nodes[cell] = [_ordered((a[1], b[1]), (a[0], b[0])) for a, b in halves]
    return nodes


def _ordered(inputs: tuple[int, int], operations: tuple[str, str]) -> Node:
    if inputs[0] < inputs[1]:
        return inputs, operations
    return inputs[::-1], operations[::-1]


def _replaced(pair: tuple, place: int, value) -> tuple:
    return (value, pair[1]) if place == 0 else (pair[0], value)


def _genotype(cells: Mapping[str, list[Node]]) -> Genotype:
    pairs = [
        tuple(
            pair
            for inputs, operations in cells[cell]
            for pair in zip(operations, inputs, strict=True)
        )
        for cell in CELLS
    ]
    concat = tuple(range(INPUTS, INPUTS + len(pairs[0]) // 2))
    return Genotype(pairs[0], concat, pairs[1], concat)
