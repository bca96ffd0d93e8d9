"""Perturbation-based selection of cells (DARTS-PT, Wang et al. 2021, algorithm 1).

The operation with the largest alpha is not always the one that matters most. Selection by
perturbation visits the edges in a random order and keeps on each one operation: the one whose
removal lowers the supernet's accuracy most. Then every node keeps the two inputs whose removal
lowers it most. The weights may be tuned between the decisions; see `perturbation_selection`.

A round decides one edge of each kind of cell, as in the authors' code. The inputs of a node are
ranked at once, as in the paper; the authors' code drops them one by one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from darts_tf.spaces.cell import CELLS, INPUTS, NONE, edges, nodes_of
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import Space

EDGE, NODE = "edge", "node"
UNDECIDED = -1


@dataclasses.dataclass(frozen=True)
class Choice:
    """The decisions made so far; `UNDECIDED` elsewhere.

    Attributes:
        operations: `(cells, edges)`, columns of the mixture.
        inputs: `(cells, nodes, 2)`, numbers of states; of each pair the more important one first.
    """

    operations: np.ndarray
    inputs: np.ndarray


@dataclasses.dataclass(frozen=True)
class Decision:
    """A decision to make: the operation of an edge, or the inputs of a node.

    Attributes:
        cell: index of the cell in `CELLS`.
        kind: `EDGE` or `NODE`.
        index: row of the edge, or number of the node, from 0.
    """

    cell: int
    kind: str
    index: int


def nothing_decided(rows: int) -> Choice:
    """Returns a choice without any decision, for cells with this number of edges."""
    cells, nodes = len(CELLS), nodes_of(rows)
    return Choice(np.full((cells, rows), UNDECIDED), np.full((cells, nodes, 2), UNDECIDED))


def rounds(rows: int, seed: int) -> list[list[Decision]]:
    """Returns all decisions in a random order, edges before nodes.

    Args:
        rows: edges of a cell.
        seed: seed of the order.

    Returns:
        A list of rounds; a round is a list with one decision for each kind of cell.
    """
    rng = np.random.default_rng(seed)
    decisions = []
    for kind, count in ((EDGE, rows), (NODE, nodes_of(rows))):
        orders = [rng.permutation(count) for _ in CELLS]
        decisions += [
            [Decision(cell, kind, int(index)) for cell, index in enumerate(indices)]
            for indices in zip(*orders, strict=True)
        ]
    return decisions


def mixture_of(choice: Choice, mixture: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the mixture after the decisions: factor 1 for what was chosen, 0 for its rivals.

    Args:
        choice: the decisions made so far.
        mixture: mixture of the alphas, see `models.mixture`; kept where nothing is decided.
    """
    decided_mixture = [np.array(part) for part in mixture]
    for cell, (operations, inputs) in enumerate(zip(choice.operations, choice.inputs, strict=True)):
        decided = np.flatnonzero(operations != UNDECIDED)
        decided_mixture[cell][decided] = 0
        decided_mixture[cell][decided, operations[decided]] = 1
        for row, (source, target) in enumerate(edges(len(inputs))):
            kept = inputs[target - INPUTS]
            if UNDECIDED not in kept and source not in kept:
                _drop(decided_mixture, cell, row)
    return decided_mixture


def _drop(mixture: list[np.ndarray], cell: int, row: int) -> None:
    for part in mixture[cell :: len(CELLS)]:  # the edge's primitives, and the edge as a whole
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
        space: search space; its `none` is not a candidate.
        measure: returns accuracy and loss of the supernet for a mixture.

    Returns:
        The choice with this decision; and a dict of the accuracies without each candidate, by the
        name of the primitive, or by the number of the input state.
    """
    now, cell = mixture_of(choice, mixture), decision.cell
    operations, inputs, without = choice.operations.copy(), choice.inputs.copy(), {}
    if decision.kind == EDGE:
        names = space.candidates[cell][decision.index]
        for column, name in enumerate(names):
            if name != NONE:
                masked = [part.copy() for part in now]
                masked[cell][decision.index, column] = 0
                without[name] = measure(masked)
        operations[cell, decision.index] = names.index(_needed(without)[0])
    else:
        for row, (source, target) in enumerate(edges(inputs.shape[1])):
            if target == INPUTS + decision.index:
                masked = [part.copy() for part in now]
                _drop(masked, cell, row)
                without[source] = measure(masked)
        inputs[cell, decision.index] = _needed(without)[:2]
    accuracies = {candidate: accuracy for candidate, (accuracy, _) in without.items()}
    return Choice(operations, inputs), accuracies


def _needed(without: dict) -> list:
    """Returns the candidates, the most important first."""
    return sorted(without, key=lambda candidate: (without[candidate][0], -without[candidate][1]))


def genotype_of(choice: Choice, space: Space) -> Genotype:
    """Returns the genotype of a complete choice."""
    cells = []
    for cell, inputs in enumerate(choice.inputs):
        places = [(int(s), INPUTS + node) for node, kept in enumerate(inputs) for s in kept]
        chosen = [space.rows[place] for place in places]
        names = [space.candidates[cell][row][choice.operations[cell, row]] for row in chosen]
        pairs = [(name, place[0]) for name, place in zip(names, places, strict=True)]
        cells += [pairs, range(INPUTS, INPUTS + len(inputs))]
    return Genotype(*cells)


def describe_decision(decision: Decision, choice: Choice, space: Space, without: dict) -> str:
    """Describes a decision in a line, with the accuracies without each candidate."""
    cell, index = CELLS[decision.cell], decision.index
    if decision.kind == EDGE:
        source, target = space.edges[index]
        names = space.candidates[decision.cell][index]
        chosen = names[choice.operations[decision.cell, index]]
        result = f"{cell} edge {source} to {target}: {chosen}"
    else:
        chosen = " and ".join(map(str, choice.inputs[decision.cell, index]))
        result = f"{cell} node {INPUTS + index}: inputs {chosen}"
    parts = ", ".join(f"{candidate} {accuracy:.2%}" for candidate, accuracy in without.items())
    return f"{result} (accuracy without {parts})"
