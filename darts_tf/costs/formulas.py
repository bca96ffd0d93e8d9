"""Parameters and multiply-accumulates of networks in closed form: no layer is built.

The rules are those of `counting`, whose results a test holds these against.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from darts_tf.costs.parts import CLASSIFIER, PREPROCESS, STEM, Part, Target, parts_of
from darts_tf.costs.tables import CostTable, network_cost
from darts_tf.spaces.cell import ALL_PRIMITIVES, SKIP
from darts_tf.spaces.genotype import Genotype

_SEPARABLE = {
    **{f"sep_conv_{size}x{size}": (size, 2) for size in (3, 5, 7)},
    **{f"dil_conv_{size}x{size}": (size, 1) for size in (3, 5)},
}
"""Rows of the depthwise kernel, and how often the sequence is applied."""


@dataclasses.dataclass(frozen=True)
class WordCost:
    """What a part of a language model costs for one word.

    Attributes:
        name: of the part.
        params: trainable numbers.
        macs: multiply-accumulates of matrix products.
    """

    name: str
    params: int
    macs: int


def word_costs(
    units: int, vocabulary: int, nodes: int, products: int | None = None
) -> list[WordCost]:
    """What every part of a language model costs, from the embedding to the nodes of its cell.

    A word is looked up in the matrix that embedding and classifier share, and the state is
    multiplied with it.

    Args:
        units: of the hidden state and of the embedding.
        vocabulary: number of different words.
        nodes: of the cell.
        products: of a state with a node's kernel; by default one a node. In the cell of a search
            there is one an edge.
    """
    matrix, kernel = vocabulary * units, units * 2 * units
    return [
        WordCost("embedding and classifier", matrix, matrix),
        WordCost("classifier's bias", vocabulary, 0),
        WordCost("input kernel", kernel, kernel),
        WordCost("recurrent kernel", kernel, kernel),
        WordCost("kernels of nodes", nodes * kernel, (products or nodes) * kernel),
    ]


def network_costs(target: Target, genotype: Genotype) -> tuple[int, int] | None:
    """Parameters and multiply-accumulates for one image.

    Args:
        target: the network, without auxiliary head.
        genotype: its cells.

    Returns:
        Both; None where a cell has an operation that no formula is known of.
    """
    parts = parts_of(target, genotype)
    named = {primitive for primitive, _ in (*genotype.normal, *genotype.reduce)}
    if not named <= set(ALL_PRIMITIVES):
        return None
    tables = [cost_table(metric, parts) for metric in ("params", "macs")]
    params, macs = (network_cost(table, target, genotype) for table in tables)
    return params, macs


def cost_table(metric: str, parts: Iterable[Part]) -> CostTable:
    """What parts cost; the metric is `"params"` or `"macs"`."""
    count = {"params": _params, "macs": _macs}[metric]
    return CostTable(metric, {part: count(part) for part in parts}, f"the table of {metric}")


def _params(part: Part) -> int:
    kernels = sum(inputs * outputs * size for inputs, outputs, size, _ in _kernels(part))
    if part.name == CLASSIFIER:
        return kernels + part.channels  # a bias
    return kernels + 2 * sum(_normalised(part))


def _macs(part: Part) -> int:
    return sum(inputs * outputs * size * places for inputs, outputs, size, places in _kernels(part))


def _kernels(part: Part) -> list[tuple[int, int, int, int]]:
    """Inputs, outputs and places of every kernel, and the places of what it gives.

    A depthwise kernel counts as one of a single input.
    """
    inputs, channels = part.inputs, part.channels
    rows, columns = _divided(part.height, part.stride), _divided(part.width, part.stride)
    if part.name == CLASSIFIER:
        return [(inputs, channels, 1, 1)]
    if part.name in (PREPROCESS, SKIP):
        return [(inputs, channels, 1, rows * columns)]
    if part.name in _SEPARABLE:
        size, rounds = _SEPARABLE[part.name]
        places = rows * columns
        return [(1, channels, size**2, places), (channels, channels, 1, places)] * rounds
    if part.name == "conv_7x1_1x7":
        along_columns = (channels, channels, 7, part.height * columns)
        return [along_columns, (channels, channels, 7, rows * columns)]
    return _of_stem(part)


def _of_stem(part: Part) -> list[tuple[int, int, int, int]]:
    """The kernels of a stem; of what has no weights none."""
    found, inputs, rows, columns = [], part.inputs, part.height, part.width
    for outputs in _normalised(part) if part.name.startswith(STEM) else ():
        stride = 1 if part.stride == 1 else 2
        rows, columns = _divided(rows, stride), _divided(columns, stride)
        found.append((inputs, outputs, 9, rows * columns))
        inputs = outputs
    return found


def _normalised(part: Part) -> list[int]:
    """Channels of every normalisation."""
    if part.name == f"{STEM}_imagenet":
        return [part.channels // 2, part.channels, part.channels]
    if part.name in _SEPARABLE:
        return [part.channels] * _SEPARABLE[part.name][1]
    has_one = (PREPROCESS, SKIP, "conv_7x1_1x7", f"{STEM}_cifar")
    return [part.channels] if part.name in has_one else []


def _divided(side: int, stride: int) -> int:
    return -(-side // stride)
