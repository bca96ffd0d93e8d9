"""Costs of networks in closed form, by the papers' conventions. No layer is built.

The cost of a network is the sum over its parts. `part_cost` has a formula for every part of the
built-in spaces, but none for primitives that users have registered: callers that can build layers
pass `models.counting.part_cost`, which measures those. Tests compare the formulas with the weights
of built networks, and with a NumPy implementation that counts its operations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

from darts_tf.costs.parts import (
    ADD,
    CLASSIFIER,
    CONCAT,
    FINAL,
    PREPROCESS,
    REDUCTION,
    RELU,
    STEM,
    Part,
    Target,
    stacked_parts,
)
from darts_tf.costs.tables import CostTable
from darts_tf.spaces.cell import ALL_PRIMITIVES, NOISE, SKIP
from darts_tf.spaces.genotype import AnyGenotype

_SEPARABLE = {
    **{f"sep_conv_{size}x{size}": (size, 2) for size in (3, 5, 7)},
    **{f"dil_conv_{size}x{size}": (size, 1) for size in (3, 5)},
}
"""Size of the depthwise kernel, and number of times the sequence is applied."""

_NORMALIZED_CONVOLUTIONS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
"""Size of the kernel."""

ROW_AND_COLUMN = "conv_7x1_1x7"

CIFAR_STEM, IMAGENET_STEM = _STEMS = (f"{STEM}_cifar", f"{STEM}_imagenet")

_LAYERS = (*_STEMS, PREPROCESS, RELU, ADD, CONCAT, REDUCTION, FINAL, CLASSIFIER)
_KNOWN = frozenset((*ALL_PRIMITIVES, NOISE, *_LAYERS))
"""Names of the parts that have a formula."""


class PartCost(NamedTuple):
    """The cost of one part for one image.

    Attributes:
        params: number of trainable parameters.
        macs: multiply-accumulates of convolutions and dense layers.
        elementwise: two operations per normalized value and one per value through a ReLU.
        kernels: number of weight arrays, without those of normalizations.
    """

    params: int
    macs: int
    elementwise: int
    kernels: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of the stem, a cell or the classifier of a network for one image.

    Attributes:
        name: name of the component.
        params: number of trainable parameters.
        macs: multiply-accumulates of convolutions and dense layers.
        elementwise: two operations per normalized value and one per value through a ReLU.
        height: rows of the output.
        width: columns of the output.
        channels: channels of the output.
    """

    name: str
    params: int
    macs: int
    elementwise: int
    height: int
    width: int
    channels: int


@dataclasses.dataclass(frozen=True)
class WordCost:
    """The cost of a part of a language model for one word.

    Attributes:
        name: name of the part.
        params: number of trainable parameters.
        macs: multiply-accumulates of matrix products.
    """

    name: str
    params: int
    macs: int


def word_costs(
    units: int, vocabulary: int, nodes: int, products: int | None = None
) -> list[WordCost]:
    """Returns the cost of every part of a language model, from the embedding to the cell's nodes.

    Embedding and classifier share one matrix: words are looked up in it, and the state is
    multiplied by it.

    Args:
        units: size of the hidden state and of the embedding.
        vocabulary: number of different words.
        nodes: number of nodes of the cell.
        products: number of matrix products of a state with a node's kernel; by default one per
            node. The cell of a search has one per edge.
    """
    matrix, kernel = vocabulary * units, units * 2 * units
    return [
        WordCost("embedding and classifier", matrix, matrix),
        WordCost("classifier's bias", vocabulary, 0),
        WordCost("input kernel", kernel, kernel),
        WordCost("recurrent kernel", kernel, kernel),
        WordCost("kernels of nodes", nodes * kernel, (products or nodes) * kernel),
    ]


def part_cost(part: Part) -> PartCost | None:
    """Returns the cost of a part; None if no formula is known, as for a user's primitive."""
    if part.name not in _KNOWN:
        return None
    kernels = _kernels(part)
    params = sum(inputs * outputs * size for inputs, outputs, size, _ in kernels)
    macs = sum(inputs * outputs * size * places for inputs, outputs, size, places in kernels)
    arrays = len(kernels)
    if part.name == CLASSIFIER:
        params, arrays = params + part.channels, arrays + 1  # the bias
    elif part.name in (PREPROCESS, SKIP) and part.stride == 2:
        arrays += 1  # two convolutions: one reads even positions, the other odd ones
    normalized = _normalized(part)
    params += 2 * sum(channels for channels, _ in normalized)
    elementwise = 2 * sum(channels * places for channels, places in normalized) + _rectified(part)
    return PartCost(params, macs, elementwise, arrays)


def component_costs(
    target: Target, genotype: AnyGenotype, cost_of: Callable[[Part], PartCost | None] = part_cost
) -> list[Cost] | None:
    """Returns the cost of every component of a network, from the stem to the classifier.

    Args:
        target: the network, without auxiliary head.
        genotype: cells of the network.
        cost_of: function that returns the cost of a part.

    Returns:
        One entry each for the stem, the cells and the classifier; None if the cost of a part is
        not known.
    """
    rows = []
    for component in stacked_parts(target, genotype):
        counted = [(cost_of(part), count) for part, count in component.parts.items()]
        if any(cost is None for cost, _ in counted):
            return None
        sums = (sum(cost[i] * count for cost, count in counted) for i in range(3))
        rows.append(Cost(component.name, *sums, *component.size, component.channels))
    return rows


def network_costs(target: Target, genotype: AnyGenotype) -> tuple[int, int] | None:
    """Returns the parameters of a network and its multiply-accumulates for one image.

    Args:
        target: the network, without auxiliary head.
        genotype: cells of the network.

    Returns:
        Both numbers; None if a cell has an operation without a formula.
    """
    rows = component_costs(target, genotype)
    if rows is None:
        return None
    return sum(row.params for row in rows), sum(row.macs for row in rows)


PART, KERNEL = 280, 400
"""Bytes of a TFLite file for the description of a part's operations, and of each kernel.

They include names of layers, whose numbers grow with the layers that a process has created before.
"""

METADATA = 10_000
"""Bytes of a TFLite file for the metadata: inputs, classes, preprocessing."""


def _bytes(part: Part, cost: PartCost) -> int:
    """Returns the bytes of a part in a float32 TFLite file, overestimated by a few percent."""
    once = METADATA if part.name == CLASSIFIER else 0
    return 4 * cost.params + KERNEL * cost.kernels + PART + once


METRICS: dict[str, Callable[[Part, PartCost], int]] = {
    "macs": lambda part, cost: cost.macs,
    "params": lambda part, cost: cost.params,
    "bytes": _bytes,
}
"""Metrics of a budget by name: functions of a part and its cost."""


def cost_table(
    metric: str, parts: Iterable[Part], cost_of: Callable[[Part], PartCost] = part_cost
) -> CostTable:
    """Returns the costs of parts by one metric.

    Args:
        metric: a key of `METRICS`.
        parts: parts of networks.
        cost_of: function that returns the cost of each of these parts.
    """
    costs = {part: METRICS[metric](part, cost_of(part)) for part in parts}
    return CostTable(metric, costs, f"the table of {metric}")


def _places(part: Part) -> int:
    """Returns the number of spatial positions of the output."""
    return _divided(part.height, part.stride) * _divided(part.width, part.stride)


def _kernels(part: Part) -> list[tuple[int, int, int, int]]:
    """Returns input channels, output channels, size and output positions of every kernel.

    A depthwise kernel counts as having a single input channel.
    """
    inputs, channels, places = part.inputs, part.channels, _places(part)
    if part.name == CLASSIFIER:
        return [(inputs, channels, 1, 1)]
    if _is_pointwise(part):
        return [(inputs, channels, 1, places)]
    if part.name in _SEPARABLE:
        size, rounds = _SEPARABLE[part.name]
        return [(1, channels, size**2, places), (channels, channels, 1, places)] * rounds
    if part.name in _NORMALIZED_CONVOLUTIONS:
        return [(inputs, channels, _NORMALIZED_CONVOLUTIONS[part.name] ** 2, places)]
    if part.name == REDUCTION:
        main = [(inputs, channels, 9, places), (channels, channels, 9, places)]
        return [*main, (inputs, channels, 1, places)]
    if part.name == ROW_AND_COLUMN:
        along_columns = (channels, channels, 7, part.height * _divided(part.width, part.stride))
        return [along_columns, (channels, channels, 7, places)]
    if part.name in _STEMS:
        layers = stem_layers(part)
        inputs = [part.inputs, *(outputs for outputs, _ in layers)]
        return [(inputs[i], *layer[:1], 9, layer[1]) for i, layer in enumerate(layers)]
    return []


def _is_pointwise(part: Part) -> bool:
    """Returns whether a part is a 1x1 convolution that adapts channels or size for its cell."""
    return part.name == PREPROCESS or (part.name == SKIP and part.stride == 2)


def _normalized(part: Part) -> list[tuple[int, int]]:
    """Returns channels and spatial positions of every normalization."""
    if part.name in _STEMS:
        return stem_layers(part)
    one = (part.channels, _places(part))
    if part.name in _SEPARABLE:
        return [one] * _SEPARABLE[part.name][1]
    if part.name == REDUCTION:
        return [one] * 2
    return [one] if _is_pointwise(part) or part.name in _NORMALIZED_ONCE else []


def _rectified(part: Part) -> int:
    """Returns the number of values that pass through a ReLU."""
    read = part.height * part.width * part.inputs
    if part.name in _STEMS:
        return sum(channels * places for channels, places in stem_layers(part)[:-1])
    if part.name in _SEPARABLE:
        return read + (_SEPARABLE[part.name][1] - 1) * part.channels * _places(part)
    if part.name == REDUCTION:
        return read + part.channels * _places(part)
    return read if _is_pointwise(part) or part.name in _NORMALIZED_ONCE else 0


_NORMALIZED_ONCE = (ROW_AND_COLUMN, *_NORMALIZED_CONVOLUTIONS, FINAL)
"""Parts with one ReLU of the input's size and one normalization."""


def stem_layers(part: Part) -> list[tuple[int, int]]:
    """Returns the output channels and spatial positions of every convolution of a stem."""
    if part.name == CIFAR_STEM:
        return [(part.channels, part.height * part.width)]
    layers = []
    rows, columns = part.height, part.width
    for channels in (part.channels // 2, part.channels, part.channels):
        rows, columns = _divided(rows, 2), _divided(columns, 2)
        layers.append((channels, rows * columns))
    return layers


def _divided(side: int, stride: int) -> int:
    return -(-side // stride)
