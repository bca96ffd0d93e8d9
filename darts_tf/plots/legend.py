"""Legends of pictures of cells: the meaning of colors, names, circles and lines. No matplotlib."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from darts_tf.plots.palette import COLOURS, kind_of
from darts_tf.plots.sketches import Name, Operation, Sketch

SIGNS = ("box", "faint", "widths", "solid", "dashed", "names", "node", "thin")
"""Signs of entries, in the order in which legends have them."""

MOST_DECIMALS = 5
"""Largest number of decimals of weights."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry of a legend."""

    sign: str
    """One of `SIGNS`."""
    text: str
    colour: str | None = None
    """Fill color of a box; None for a box without a fill."""
    names: tuple[Name, ...] = ()
    """Names that the entry explains."""


def legend_of(
    cells: Sequence[Sketch],
    operations: Iterable[Operation],
    weights: tuple[float, float] | None = None,
) -> tuple[Entry, ...]:
    """Returns the entries of the legend of cells.

    Args:
        cells: the cells of the picture, all recurrent or none.
        operations: all operations that have boxes. Boxes of activations explain themselves.
        weights: the range of the weights that the widths of edges show.
    """
    operations = list(operations)
    output = cells[0].output
    kinds = set() if output == "mean" else {kind_of(each.primitive) for each in operations}
    entries = [Entry("box", kind, COLOURS[kind]) for kind in COLOURS if kind in kinds]
    if not all(operation.kept for operation in operations):
        entries.append(Entry("faint", "faint: not in the genotype"))
    if weights:
        low, high = (f"{weight:.{decimals_of(*weights)}f}" for weight in weights)
        entries.append(
            Entry("widths", f"weight, {low} to {high}" if low < high else f"weight {low}")
        )
    if any(operation.decided for operation in operations):
        entries.append(Entry("solid", "decided choice"))
    if any(operation.decided is False for operation in operations):
        entries.append(Entry("dashed", "undecided choice"))
    of_inputs, of_nodes, of_output, thin = _TEXTS[output]
    return (
        *entries,
        Entry("names", of_inputs, names=cells[0].input_names),
        Entry("node", of_nodes),
        Entry("names", of_output, names=(cells[0].output_name,)),
        Entry("thin", f"no operation: {thin}"),
    )


_TEXTS = {
    "concat": (
        *("outputs of the two previous cells", "node: the sum of its edges"),
        *("output of this cell", "nodes are concatenated to the output"),
    ),
    "mean": (
        *("input, and output of the previous step", "node", "output"),
        "inputs enter node 0; the output is the mean of nodes",
    ),
    "last": (
        *("output of the previous cell", "node: the sum of its edges", "output of this cell"),
        "the last node is the output",
    ),
}
"""Texts of inputs, nodes, output and thin lines, by how the output of the cells is made."""


def weight_range(operations: Iterable[Operation]) -> tuple[float, float] | None:
    """Returns the smallest and the largest weight of operations; None if they have no weights."""
    weights = [each.weight for each in operations if each.weight is not None]
    return (min(weights), max(weights)) if weights else None


def decimals_of(low: float, high: float) -> int:
    """Returns the number of decimals with which weights from `low` to `high` look different."""
    steps = (each for each in range(2, MOST_DECIMALS) if (high - low) * 10**each >= 5)
    return 3 if low == high else next(steps, MOST_DECIMALS)
