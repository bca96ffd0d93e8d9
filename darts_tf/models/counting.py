"""Costs of networks, users' primitives among them, and of models that exist.

The numbers come from the closed forms of `costs.formulas`; only the layers of users' primitives are
built to be measured. Language models have matrix products only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import keras

from darts_tf.costs import formulas
from darts_tf.costs.formulas import Cost, PartCost, component_costs, word_costs
from darts_tf.costs.parts import CLASSIFIER, FINAL, PREPROCESS, REDUCTION, STEM, Part, Target
from darts_tf.costs.tables import CostTable
from darts_tf.errors import InputError
from darts_tf.layers.cells import ResidualReduction, preprocess
from darts_tf.layers.heads import ClassifierHead, FinalNormalization
from darts_tf.layers.primitives import PRIMITIVES
from darts_tf.layers.stems import MINIMUM_CHANNELS, Stem, check_image_size
from darts_tf.models.language_model import RecurrentModel
from darts_tf.spaces.genotype import AnyGenotype


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
    """Returns the cost of the stem, of every cell and of the classifier of a network."""
    height, width = (image_size,) * 2 if isinstance(image_size, int) else image_size
    names = ("channels", "cells", "stem", "classes", "image_channels")
    sizes = {name: network.sizes[name] for name in names}
    return genotype_costs(Target(height=height, width=width, **sizes), network.genotype)


def genotype_costs(target: Target, genotype: AnyGenotype) -> list[Cost]:
    """Returns the cost of every component of a genotype's network, without building it.

    Args:
        target: the network, without auxiliary head.
        genotype: its cells.
    """
    return component_costs(target, genotype, part_cost)


def checked_target(target: Target) -> Target:
    """Returns the target, if there is such a network.

    Raises:
        InputError: too few channels, or images that are too small.
    """
    check_image_size(target.height, target.width, target.stem)
    least = MINIMUM_CHANNELS[target.stem]
    if target.channels < least:
        raise InputError(
            f"Expected at least {least} channels for the {target.stem} stem. "
            f"Received: {target.channels}"
        )
    return target


def size_of(variables: Iterable[keras.Variable]) -> int:
    """Returns the number of elements of some variables."""
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
    if part.name in _LAYERS:
        return _LAYERS[part.name](part.channels)
    kind, _, stem = part.name.partition("_")
    return Stem(stem, part.channels) if kind == STEM else None


_LAYERS = {
    CLASSIFIER: ClassifierHead,
    REDUCTION: ResidualReduction,
    FINAL: FinalNormalization,
}
"""Layers with the number of output channels as their only argument."""


def part_cost(part: Part) -> PartCost:
    """Returns the cost of a part: by a formula, or measured on the layer of a user's primitive."""
    return formulas.part_cost(part) or _measured(part, layer_of(part))


def _measured(part: Part, layer: keras.layers.Layer) -> PartCost:
    """Counts the weights of a layer; its methods say how much it computes."""
    size = (part.height, part.width)
    weights = layer.trainable_variables
    kernels = [variable for variable in weights if variable.name not in ("gamma", "beta")]
    return PartCost(size_of(weights), layer.macs(*size), layer.elementwise(*size), len(kernels))


def cost_table(metric: str, parts: Iterable[Part]) -> CostTable:
    """Returns the costs of parts by one metric, users' primitives among them.

    Args:
        metric: a key of `formulas.METRICS`.
        parts: of networks.
    """
    return formulas.cost_table(metric, parts, part_cost)
