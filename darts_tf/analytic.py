"""Costs of parts that need no measurement: multiply-accumulates, parameters, bytes of a file.

They follow the rules of `counting`: each part is built as the layer that it is in a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras

from darts_tf.costs import CostTable
from darts_tf.counting import size_of
from darts_tf.layers.cells import preprocess
from darts_tf.layers.heads import ClassifierHead
from darts_tf.layers.primitives import PRIMITIVES
from darts_tf.layers.stems import Stem
from darts_tf.parts import CLASSIFIER, PREPROCESS, STEM, Part


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
