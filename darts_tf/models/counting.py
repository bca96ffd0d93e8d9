"""Parameters and multiply-accumulates of networks, by the papers' two conventions.

Language models have the first of them alone: matrix products.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

import keras

from darts_tf.costs.formulas import word_costs
from darts_tf.costs.parts import CLASSIFIER, PREPROCESS, STEM, Part
from darts_tf.costs.tables import CostTable
from darts_tf.layers.cells import preprocess
from darts_tf.layers.heads import ClassifierHead
from darts_tf.layers.primitives import PRIMITIVES
from darts_tf.layers.stems import Stem
from darts_tf.models.language_model import RecurrentModel
from darts_tf.spaces.cell import INPUTS


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a part of a network costs for one image.

    Attributes:
        name: of the part.
        params: trainable numbers.
        macs: multiply-accumulates of convolutions and dense layers.
        elementwise: two for every normalised value and one for every rectified one.
        height: rows of the output.
        width: columns of the output.
        channels: of the output.
    """

    name: str
    params: int
    macs: int
    elementwise: int
    height: int
    width: int
    channels: int


def count_params(model: keras.Model) -> int:
    """Trainable parameters; the auxiliary head and a supernet's alphas are left out.

    Args:
        model: from `build_network` or `build_language_model`, or a supernet.
    """
    weights = getattr(model, "network_weights", None) or model.trainable_variables
    head = getattr(model, "auxiliary_head", None)
    return size_of(weights) - (size_of(head.trainable_variables) if head else 0)


def count_macs(network: keras.Model, image_size: int | tuple[int, int] = 32) -> int:
    """Multiply-accumulates of convolutions and dense layers for one image, or one word.

    The auxiliary head is left out. Published figures often add `count_elementwise`, or part of it.

    Args:
        network: from `build_network`, or a language model, a `RecurrentSupernet` among them.
        image_size: rows and columns of the image; one number for both.
    """
    if isinstance(network, RecurrentModel):
        cell = network.cell
        products = cell.alphas.shape[0] if hasattr(cell, "alphas") else cell.nodes
        parts = word_costs(cell.units, network.vocabulary, cell.nodes, products)
        return sum(part.macs for part in parts)
    return sum(part.macs for part in costs(network, image_size))


def count_elementwise(network: keras.Model, image_size: int | tuple[int, int] = 32) -> int:
    """Two for every normalised value and one for every rectified one, for one image.

    Some counters, and so some papers, add these to the multiply-accumulates.

    Args:
        network: from `build_network`.
        image_size: rows and columns of the image; one number for both.
    """
    return sum(part.elementwise for part in costs(network, image_size))


def costs(network: keras.Model, image_size: int | tuple[int, int] = 32) -> list[Cost]:
    """What every part costs and gives, from stem to classifier."""
    stem = network.stem
    image = (image_size, image_size) if isinstance(image_size, int) else image_size
    sizes = stem.output_sizes(*image)
    previous, size = sizes[-2:] if len(sizes) > 1 else sizes * 2
    parts = [_cost("stem", stem, stem.macs(*image), stem.elementwise(*image), size, stem.channels)]
    for i, cell in enumerate(network.cells):
        kind = "reduction" if cell.reduction else "normal"
        counts = [_cell_total(cell, previous, size, what) for what in ("macs", "elementwise")]
        previous, size = size, cell.output_size(*size)
        channels = len(cell.concat) * cell.channels
        parts.append(_cost(f"cell {i} ({kind})", cell, *counts, size, channels))
    head = network.head
    return [*parts, _cost("classifier", head, head.macs(), 0, (1, 1), head.classes)]


def _cost(name, layer, macs, elementwise, size, channels):
    return Cost(name, size_of(layer.trainable_variables), macs, elementwise, *size, channels)


def _cell_total(cell, previous, size, what):
    """The sum of one count, a method's name, over the parts of a cell."""
    placed = [(cell.preprocess0, previous), (cell.preprocess1, size)]
    for op, (_, source) in zip(cell.ops, cell.pairs, strict=True):
        placed.append((op, size if source < INPUTS else cell.output_size(*size)))
    return sum(getattr(layer, what)(*at) for layer, at in placed)


def size_of(variables: Iterable[keras.Variable]) -> int:
    """How many numbers some variables hold."""
    return sum(math.prod(v.shape) for v in variables)


def layer_of(part: Part) -> keras.layers.Layer | None:
    """A built layer of an evaluation network; None for a part without weights."""
    layer = _new_layer(part)
    if layer:
        layer.build((None, None, None, part.inputs))
    return layer


def _new_layer(part: Part):
    if part.name in PRIMITIVES:
        return PRIMITIVES[part.name](part.channels, part.stride, True)
    if part.name == PREPROCESS:
        return preprocess(part.channels, part.stride == 2, affine=True)
    if part.name == CLASSIFIER:
        return ClassifierHead(part.channels)
    kind, _, stem = part.name.partition("_")
    return Stem(stem, part.channels) if kind == STEM else None


def cost_table(metric: str, parts: Iterable[Part]) -> CostTable:
    """What parts cost by a metric.

    Args:
        metric: a key of `METRICS`.
        parts: of networks.
    """
    costs = {part: METRICS[metric](part, layer_of(part)) for part in parts}
    return CostTable(metric, costs, f"the table of {metric}")


def _macs(part: Part, layer: keras.layers.Layer | None) -> int:
    if layer is None:
        return 0
    return layer.macs() if part.name == CLASSIFIER else layer.macs(part.height, part.width)


def _params(part: Part, layer: keras.layers.Layer | None) -> int:
    return 0 if layer is None else size_of(layer.trainable_variables)


PART, KERNEL = 280, 400
"""Bytes of a TFLite file that describe the operations of a part, and those for a kernel of it.

Names are among them, which have numbers that grow with the layers that a process has made before.
"""

METADATA = 10_000
"""Bytes of a TFLite file that are for those who read it: inputs, classes, preprocessing."""


def _bytes(part: Part, layer: keras.layers.Layer | None) -> int:
    """Of a TFLite file in float32, a few percent more than it has."""
    once = METADATA if part.name == CLASSIFIER else 0
    variables = layer.trainable_variables if layer else []
    kernels = [variable for variable in variables if variable.name not in ("gamma", "beta")]
    return 4 * size_of(variables) + KERNEL * len(kernels) + PART + once


METRICS: dict[str, Callable[[Part, keras.layers.Layer | None], int]] = {
    "macs": _macs,
    "params": _params,
    "bytes": _bytes,
}
"""Costs by their names: functions of a part and its layer."""
