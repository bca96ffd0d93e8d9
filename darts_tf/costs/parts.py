"""Parts of networks, as far as their costs depend on them: plain data, no TensorFlow.

The cost of a network is the sum of the costs of its parts. Only the parts on the edges of the cells
depend on the genotype; all networks of one target share the others.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from darts_tf.spaces.cell import INPUTS, NODES, NONE, PRIMITIVES, edges, reductions
from darts_tf.spaces.genotype import Genotype

STEM, PREPROCESS, RELU = "stem", "preprocess", "relu"
ADD, CONCAT, CLASSIFIER = "add", "concat", "classifier"

_STRIDES = {"cifar": (1, 1), "imagenet": (4, 8)}
"""Strides of the stem's two outputs. The `cifar` stem has one output, used for both inputs of the
first cell."""


class Part(NamedTuple):
    """A part of a network. Equal parts have equal costs.

    Attributes:
        name: name of a primitive, or one of the constants above.
        inputs: channels of the input.
        channels: channels of the output.
        height: rows of the input.
        width: columns of the input.
        stride: factor by which height and width are divided; 8 for the ImageNet stem.
    """

    name: str
    inputs: int
    channels: int
    height: int
    width: int
    stride: int = 1

    def __str__(self) -> str:
        size = f"{self.inputs}->{self.channels} {self.height}x{self.width}"
        return f"{self.name} {size} stride {self.stride}"


@dataclasses.dataclass(frozen=True)
class Target:
    """The network that costs are counted for: everything that determines them but the genotype.

    Attributes:
        channels: channels of the first cell.
        cells: number of stacked cells.
        height: rows of the images.
        width: columns of the images.
        stem: `"cifar"` or `"imagenet"`.
        classes: number of classes.
        image_channels: 3 for color images, 1 for grayscale images.
    """

    channels: int
    cells: int
    height: int
    width: int
    stem: str = "cifar"
    classes: int = 10
    image_channels: int = 3

    def __str__(self) -> str:
        return (
            f"{self.channels} channels, {self.cells} cells, {self.stem} stem, "
            f"{self.height}x{self.width}x{self.image_channels} images, {self.classes} classes"
        )


class Place(NamedTuple):
    """A cell in a network.

    Attributes:
        reduction: whether it is a reduction cell.
        channels: channels of its states.
        inputs: channels of the outputs of the two previous cells.
        sizes: rows and columns of the outputs of the two previous cells.
        nodes: number of intermediate states.
        concat: number of nodes that are concatenated to the output.
        last: whether it is the last cell.
    """

    reduction: bool
    channels: int
    inputs: tuple[int, int]
    sizes: tuple[tuple[int, int], tuple[int, int]]
    nodes: int
    concat: int
    last: bool

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        return _divided(self.sizes[1], 2 if self.reduction else 1)

    def edge(self, primitive: str, source: int) -> Part | None:
        """Returns the part on an edge; None for `none` and the identity, which cost nothing.

        Args:
            primitive: name of the primitive.
            source: state that the edge reads.
        """
        stride = 2 if self.reduction and source < INPUTS else 1
        if primitive == NONE or (primitive == "skip_connect" and stride == 1):
            return None
        size = self.sizes[1] if source < INPUTS else self.output
        return Part(primitive, self.channels, self.channels, *size, stride)

    def fixed(self) -> Iterator[Part]:
        """Yields the parts that are not on edges: preprocessing, sums, ReLUs, concatenation."""
        strides = (2 if self.sizes[0] != self.sizes[1] else 1, 1)
        for inputs, size, stride in zip(self.inputs, self.sizes, strides, strict=True):
            yield Part(PREPROCESS, inputs, self.channels, *size, stride)
        outputs = self.concat * self.channels
        for _ in range(self.nodes):
            yield Part(ADD, self.channels, self.channels, *self.output)
        for _ in range(self.nodes - 1):
            yield Part(RELU, self.channels, self.channels, *self.output)
        yield Part(CONCAT, self.channels, outputs, *self.output)
        if not self.last:
            yield Part(RELU, outputs, outputs, *self.output)


def places(target: Target, nodes=(NODES, NODES), concats=(NODES, NODES)) -> list[Place]:
    """Returns the places of the cells of a network.

    Args:
        target: the network.
        nodes: number of nodes of the normal and of the reduction cell.
        concats: number of nodes in the output of the normal and of the reduction cell.
    """
    channels = target.channels
    inputs = (_stem_channels(target),) * 2
    image = (target.height, target.width)
    sizes = tuple(_divided(image, stride) for stride in _STRIDES[target.stem])
    stacked = []
    for reduction in reductions(target.cells):
        channels *= 2 if reduction else 1
        last = len(stacked) + 1 == target.cells
        place = Place(
            *(reduction, channels, inputs, sizes), nodes[reduction], concats[reduction], last
        )
        inputs = (inputs[1], place.concat * channels)
        sizes = (sizes[1], place.output)
        stacked.append(place)
    return stacked


def ends(target: Target, last: Place) -> list[Part]:
    """Returns the parts of the stem and of the classifier.

    Args:
        target: the network.
        last: place of the last cell.
    """
    channels = _stem_channels(target)
    image = (target.height, target.width)
    stem, stride = f"{STEM}_{target.stem}", _STRIDES[target.stem][-1]
    return [
        Part(stem, target.image_channels, channels, *image, stride),
        Part(CLASSIFIER, last.concat * last.channels, target.classes, *last.output),
    ]


class Component(NamedTuple):
    """The stem, a cell or the classifier of a network.

    Attributes:
        name: name of the component, as in `cell 3 (normal)`.
        parts: number of occurrences of each part.
        size: rows and columns of the output.
        channels: channels of the output.
    """

    name: str
    parts: collections.Counter[Part]
    size: tuple[int, int]
    channels: int


def places_of(target: Target, genotype: Genotype) -> list[Place]:
    """Returns the places of the cells of a genotype's network."""
    nodes = tuple(len(pairs) // 2 for pairs in (genotype.normal, genotype.reduce))
    concats = (len(genotype.normal_concat), len(genotype.reduce_concat))
    return places(target, nodes, concats)


def stacked_parts(target: Target, genotype: Genotype) -> list[Component]:
    """Returns the components of a genotype's network, from the stem to the classifier."""
    stacked = places_of(target, genotype)
    stem, classifier = ends(target, stacked[-1])
    size = _divided((stem.height, stem.width), stem.stride)
    components = [Component("stem", collections.Counter([stem]), size, stem.channels)]
    for i, place in enumerate(stacked):
        counts = collections.Counter(place.fixed())
        pairs = genotype.reduce if place.reduction else genotype.normal
        counts.update(part for part in (place.edge(*pair) for pair in pairs) if part)
        name = f"cell {i} ({'reduction' if place.reduction else 'normal'})"
        components.append(Component(name, counts, place.output, place.concat * place.channels))
    last = Component(CLASSIFIER, collections.Counter([classifier]), (1, 1), target.classes)
    return [*components, last]


def parts_of(target: Target, genotype: Genotype) -> collections.Counter[Part]:
    """Returns the number of occurrences of each part in the network of a genotype."""
    return sum((each.parts for each in stacked_parts(target, genotype)), collections.Counter())


def all_parts(target: Target, nodes: int = NODES, primitives=PRIMITIVES) -> list[Part]:
    """Returns every part that networks of genotypes with these nodes and primitives can have."""
    stacked = places(target, (nodes, nodes), (nodes, nodes))
    parts = dict.fromkeys(ends(target, stacked[-1]))
    for place in stacked:
        parts.update(dict.fromkeys(place.fixed()))
        sources = {source for source, _ in edges(nodes)}
        chosen = (place.edge(name, source) for name in primitives for source in sorted(sources))
        parts.update(dict.fromkeys(part for part in chosen if part))
    return list(parts)


def _stem_channels(target: Target) -> int:
    return (3 if target.stem == "cifar" else 1) * target.channels


def _divided(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Returns rows and columns divided by a stride, rounded up."""
    return tuple(-(-side // stride) for side in size)
