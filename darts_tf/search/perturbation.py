"""Cells chosen by what the supernet cannot do without (DARTS-PT, Wang et al. 2021, algorithm 1).

The largest alpha need not belong to the operation that matters most. Here every edge is cut down
to one operation, in a random order: that without which the supernet's accuracy is lowest. Then
every node keeps the two inputs without which it is lowest. Between the choices the weights may be
trained on; see `selecting`.

One edge of each kind of cell is decided in a round, as in the authors' code. The inputs of a node
are ranked at once, as in the paper; the code drops one after another.
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
    """What has been decided so far; `UNDECIDED` elsewhere.

    Attributes:
        operations: `(cells, edges)`, columns of the mixture.
        inputs: `(cells, nodes, 2)`, states, the one that matters more first.
    """

    operations: np.ndarray
    inputs: np.ndarray


@dataclasses.dataclass(frozen=True)
class Decision:
    """One thing to decide.

    Attributes:
        cell: its number in `CELLS`.
        kind: `EDGE`, whose operation is to be decided, or `NODE`, whose inputs are.
        index: the row of the edge, or the number of the node from 0.
    """

    cell: int
    kind: str
    index: int


def nothing_decided(rows: int) -> Choice:
    """The choice at the beginning, for cells of so many edges."""
    cells, nodes = len(CELLS), nodes_of(rows)
    return Choice(np.full((cells, rows), UNDECIDED), np.full((cells, nodes, 2), UNDECIDED))


def rounds(rows: int, seed: int) -> list[list[Decision]]:
    """All decisions in a random order, one of each kind of cell in a round; edges before nodes.

    Args:
        rows: edges of a cell.
        seed: of the order.
    """
    rng = np.random.default_rng(seed)
    found = []
    for kind, count in ((EDGE, rows), (NODE, nodes_of(rows))):
        orders = [rng.permutation(count) for _ in CELLS]
        found += [
            [Decision(cell, kind, int(index)) for cell, index in enumerate(indices)]
            for indices in zip(*orders, strict=True)
        ]
    return found


def mixture_of(choice: Choice, mixture: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The mixture as far as it is decided: the factor 1 for what was chosen, 0 for the rest.

    Args:
        choice: what was.
        mixture: that of the alphas, see `mixing`.
    """
    found = [np.array(part) for part in mixture]
    for cell, (operations, inputs) in enumerate(zip(choice.operations, choice.inputs, strict=True)):
        decided = np.flatnonzero(operations != UNDECIDED)
        found[cell][decided] = 0
        found[cell][decided, operations[decided]] = 1
        for row, (source, target) in enumerate(edges(len(inputs))):
            kept = inputs[target - INPUTS]
            if UNDECIDED not in kept and source not in kept:
                _drop(found, cell, row)
    return found


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
    """Decides one thing by leaving out each candidate in turn.

    Of candidates without which accuracy is equal, the one without which the loss is higher
    matters more, and then the first.

    Args:
        choice: what is decided already.
        decision: what is to be.
        mixture: that of the alphas.
        space: of the search; `none` is no candidate.
        measure: accuracy and loss of the supernet mixed so.

    Returns:
        The choice with this decision, and the accuracy without each candidate: without the
        primitive of this name, or the input from this state.
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
    """Candidates, those first that the supernet can spare least."""
    return sorted(without, key=lambda candidate: (without[candidate][0], -without[candidate][1]))


def genotype_of(choice: Choice, space: Space) -> Genotype:
    """The cells, once everything is decided."""
    cells = []
    for cell, inputs in enumerate(choice.inputs):
        places = [(int(s), INPUTS + node) for node, kept in enumerate(inputs) for s in kept]
        chosen = [space.rows[place] for place in places]
        names = [space.candidates[cell][row][choice.operations[cell, row]] for row in chosen]
        pairs = [(name, place[0]) for name, place in zip(names, places, strict=True)]
        cells += [pairs, range(INPUTS, INPUTS + len(inputs))]
    return Genotype(*cells)


def describe_decision(decision: Decision, choice: Choice, space: Space, without: dict) -> str:
    """A line on what was decided, with the accuracies without each candidate."""
    cell, index = CELLS[decision.cell], decision.index
    if decision.kind == EDGE:
        source, target = space.edges[index]
        names = space.candidates[decision.cell][index]
        chosen = names[choice.operations[decision.cell, index]]
        what = f"{cell} edge {source} to {target}: {chosen}"
    else:
        chosen = " and ".join(map(str, choice.inputs[decision.cell, index]))
        what = f"{cell} node {INPUTS + index}: inputs {chosen}"
    parts = ", ".join(f"{candidate} {accuracy:.2%}" for candidate, accuracy in without.items())
    return f"{what} (accuracy without {parts})"
