"""Perturbation-based selection of cells (DARTS-PT, Wang et al. 2021, algorithm 1).

The operation with the largest alpha is not always the one that matters most. Selection by
perturbation visits the edges in a random order and keeps on each one operation: the one whose
removal lowers the supernet's accuracy most. Then every node keeps the two inputs whose removal
lowers it most. The weights may be tuned between the decisions; see `perturbation_selection`.

A round decides one edge of each kind of cell, as in the authors' code. The inputs of a node are
ranked at once, as in the paper; the authors' code drops them one by one. Where nodes keep all their
edges, as in NAS-Bench-201, only operations are decided.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from darts_tf.spaces.cell import NONE
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import Space

EDGE, NODE = "edge", "node"
UNDECIDED = -1


@dataclasses.dataclass(frozen=True)
class Choice:
    """The decisions made so far; `UNDECIDED` elsewhere.

    Attributes:
        operations: `(cells, edges)`, columns of the mixture.
        inputs: `(cells, nodes, 2)`, numbers of states; of each pair the more important one first.
            Without nodes if these keep all their edges.
    """

    operations: np.ndarray
    inputs: np.ndarray


@dataclasses.dataclass(frozen=True)
class Decision:
    """A decision to make: the operation of an edge, or the inputs of a node.

    Attributes:
        cell: index of the kind of cell in `space.kinds`.
        kind: `EDGE` or `NODE`.
        index: row of the edge, or number of the node, from 0.
    """

    cell: int
    kind: str
    index: int


def _deciding_nodes(space: Space) -> int:
    """Returns the number of nodes that choose among their edges."""
    return 0 if space.edges_per_node is None else space.nodes


def nothing_decided(space: Space) -> Choice:
    """Returns a choice without any decision."""
    kinds, rows = len(space.kinds), len(space.edges)
    inputs = (kinds, _deciding_nodes(space), 2)
    return Choice(np.full((kinds, rows), UNDECIDED), np.full(inputs, UNDECIDED))


def rounds(space: Space, seed: int) -> list[list[Decision]]:
    """Returns all decisions in a random order, edges before nodes.

    Args:
        space: search space.
        seed: seed of the order.

    Returns:
        A list of rounds; a round is a list with one decision for each kind of cell.
    """
    rng = np.random.default_rng(seed)
    decisions = []
    for kind, count in ((EDGE, len(space.edges)), (NODE, _deciding_nodes(space))):
        orders = [rng.permutation(count) for _ in space.kinds]
        decisions += [
            [Decision(cell, kind, int(index)) for cell, index in enumerate(indices)]
            for indices in zip(*orders, strict=True)
        ]
    return decisions


def mixture_of(choice: Choice, mixture: Sequence[np.ndarray], space: Space) -> list[np.ndarray]:
    """Returns the mixture after the decisions: factor 1 for what was chosen, 0 for its rivals.

    Args:
        choice: the decisions made so far.
        mixture: mixture of the alphas, see `models.mixture`; kept where nothing is decided.
        space: search space.
    """
    decided_mixture = [np.array(part) for part in mixture]
    for cell, (operations, inputs) in enumerate(zip(choice.operations, choice.inputs, strict=True)):
        decided = np.flatnonzero(operations != UNDECIDED)
        decided_mixture[cell][decided] = 0
        decided_mixture[cell][decided, operations[decided]] = 1
        for row, (source, target) in enumerate(space.edges if len(inputs) else ()):
            kept = inputs[target - space.inputs]
            if UNDECIDED not in kept and source not in kept:
                _drop(decided_mixture, cell, row, space)
    return decided_mixture


def _drop(mixture: list[np.ndarray], cell: int, row: int, space: Space) -> None:
    for part in mixture[cell :: len(space.kinds)]:  # the edge's primitives, and the whole edge
        part[row] = 0


def decide(
    choice: Choice,
    decision: Decision,
    mixture: Sequence[np.ndarray],
    space: Space,
    measure: Callable[[list[np.ndarray]], tuple[float, float]],
) -> tuple[Choice, dict[str | int, float]]:
    """Makes one decision, by removing each candidate in turn.

    The candidate whose removal leaves the lowest accuracy is chosen; of a node's inputs, the two
    lowest. Ties are broken by the higher loss, then by the order of the candidates.

    Args:
        choice: the decisions made so far.
        decision: the decision to make.
        mixture: mixture of the alphas.
        space: search space; its `none` is a candidate only where it may be derived.
        measure: returns accuracy and loss of the supernet for a mixture.

    Returns:
        The choice with this decision; and a dict of the accuracies without each candidate, by the
        name of the primitive, or by the number of the input state.
    """
    now, cell = mixture_of(choice, mixture, space), decision.cell
    operations, inputs, without = choice.operations.copy(), choice.inputs.copy(), {}
    if decision.kind == EDGE:
        names = space.candidates[cell][decision.index]
        for column, name in enumerate(names):
            if name != NONE or space.allow_none:
                masked = [part.copy() for part in now]
                masked[cell][decision.index, column] = 0
                without[name] = measure(masked)
        operations[cell, decision.index] = names.index(_needed(without)[0])
    else:
        for row, (source, target) in enumerate(space.edges):
            if target == space.inputs + decision.index:
                masked = [part.copy() for part in now]
                _drop(masked, cell, row, space)
                without[source] = measure(masked)
        inputs[cell, decision.index] = _needed(without)[:2]
    accuracies = {candidate: accuracy for candidate, (accuracy, _) in without.items()}
    return Choice(operations, inputs), accuracies


def _needed(without: dict) -> list:
    """Returns the candidates, the most important first."""
    return sorted(without, key=lambda candidate: (without[candidate][0], -without[candidate][1]))


def genotype_of(choice: Choice, space: Space) -> AnyGenotype:
    """Returns the genotype of a complete choice."""
    cells = []
    for cell, inputs in enumerate(choice.inputs):
        places = [(int(s), space.inputs + node) for node, kept in enumerate(inputs) for s in kept]
        places = places or space.edges
        chosen = [space.rows[place] for place in places]
        names = [space.candidates[cell][row][choice.operations[cell, row]] for row in chosen]
        cells.append(tuple((name, source) for name, (source, _) in zip(names, places, strict=True)))
    return space.genotype(cells)


def describe_decision(decision: Decision, choice: Choice, space: Space, without: dict) -> str:
    """Describes a decision in a line, with the accuracies without each candidate."""
    cell, index = space.kinds[decision.cell], decision.index
    if decision.kind == EDGE:
        source, target = space.edges[index]
        names = space.candidates[decision.cell][index]
        chosen = names[choice.operations[decision.cell, index]]
        result = f"{cell} edge {source} to {target}: {chosen}"
    else:
        chosen = " and ".join(map(str, choice.inputs[decision.cell, index]))
        result = f"{cell} node {space.inputs + index}: inputs {chosen}"
    parts = ", ".join(f"{candidate} {accuracy:.2%}" for candidate, accuracy in without.items())
    return f"{result} (accuracy without {parts})"
