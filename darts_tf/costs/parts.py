"""The parts that networks are made of, as far as their costs go: plain data, no TensorFlow.

What a network costs is the sum of what its parts cost. Which parts those are depends on the
genotype only in the edges of the cells; all others every network of one target has.
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
"""Of a stem's two outputs; that of `cifar` has one, which is both inputs of the first cell."""


class Part(NamedTuple):
    """A part of a network. Parts that are equal cost the same.

    Attributes:
        name: of a primitive, or one of the names above.
        inputs: channels of what it reads.
        channels: of what it gives.
        height: rows of what it reads.
        width: columns of what it reads.
        stride: by which it divides both; 8 is the ImageNet stem's.
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
    """The network that costs are counted for: all that decides them beside the genotype.

    Attributes:
        channels: of the first cell.
        cells: stacked cells.
        height: rows of the images.
        width: columns of the images.
        stem: `"cifar"` or `"imagenet"`.
        classes: number of labels.
        image_channels: 3 for colour, 1 for gray.
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
        channels: of its states.
        inputs: channels of the two cells before.
        sizes: rows and columns of their outputs.
        nodes: intermediate states.
        concat: how many of them make the output.
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
        """The part on an edge from a state; None where it costs nothing: no edge, or the identity.

        Args:
            primitive: its name.
            source: the state that it reads.
        """
        stride = 2 if self.reduction and source < INPUTS else 1
        if primitive == NONE or (primitive == "skip_connect" and stride == 1):
            return None
        size = self.sizes[1] if source < INPUTS else self.output
        return Part(primitive, self.channels, self.channels, *size, stride)

    def fixed(self) -> Iterator[Part]:
        """All other parts: what brings inputs to the cell's channels, sums, rectified states."""
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
    """Where the cells of a network are.

    Args:
        target: the network.
        nodes: of a normal and of a reduction cell.
        concats: how many of them make its output.
    """
    channels = target.channels
    inputs = (_stem_channels(target),) * 2
    image = (target.height, target.width)
    sizes = tuple(_divided(image, stride) for stride in _STRIDES[target.stem])
    found = []
    for reduction in reductions(target.cells):
        channels *= 2 if reduction else 1
        last = len(found) + 1 == target.cells
        place = Place(
            *(reduction, channels, inputs, sizes), nodes[reduction], concats[reduction], last
        )
        inputs = (inputs[1], place.concat * channels)
        sizes = (sizes[1], place.output)
        found.append(place)
    return found


def ends(target: Target, last: Place) -> list[Part]:
    """Stem and classifier.

    Args:
        target: the network.
        last: its last cell.
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
        name: as in `cell 3 (normal)`.
        parts: how often it has each part.
        size: rows and columns of its output.
        channels: of its output.
    """

    name: str
    parts: collections.Counter[Part]
    size: tuple[int, int]
    channels: int


def places_of(target: Target, genotype: Genotype) -> list[Place]:
    """Where the cells of a genotype's network are."""
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
    """How often each part is in the network of a genotype."""
    return sum((each.parts for each in stacked_parts(target, genotype)), collections.Counter())


def all_parts(target: Target, nodes: int = NODES, primitives=PRIMITIVES) -> list[Part]:
    """Every part that the network of any genotype of these nodes and primitives can have, once."""
    stacked = places(target, (nodes, nodes), (nodes, nodes))
    found = dict.fromkeys(ends(target, stacked[-1]))
    for place in stacked:
        found.update(dict.fromkeys(place.fixed()))
        sources = {source for source, _ in edges(nodes)}
        chosen = (place.edge(name, source) for name in primitives for source in sorted(sources))
        found.update(dict.fromkeys(part for part in chosen if part))
    return list(found)


def _stem_channels(target: Target) -> int:
    return (3 if target.stem == "cifar" else 1) * target.channels


def _divided(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns after strides of 2, which round up."""
    return tuple(-(-side // stride) for side in size)
