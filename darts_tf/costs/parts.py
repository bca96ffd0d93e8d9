"""Parts of networks, as far as their costs depend on them: plain data, no TensorFlow.

The cost of a network is the sum of the costs of its parts. Only the parts on the edges of the cells
depend on the genotype; all networks of one target share the others.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from darts_tf.spaces.cell import INPUTS, NONE, SKIP, STAGES, reductions
from darts_tf.spaces.genotype import AnyGenotype, DiscreteCell, EdgeGenotype, Genotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space

STEM, PREPROCESS, RELU = "stem", "preprocess", "relu"
ADD, CONCAT, CLASSIFIER = "add", "concat", "classifier"
REDUCTION, FINAL = "residual_reduction", "final_normalization"

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
        cells: number of stacked cells; of those in each stage if there are several.
        height: rows of the images.
        width: columns of the images.
        stem: `"cifar"` or `"imagenet"`.
        classes: number of classes.
        image_channels: 3 for color images, 1 for grayscale images.
        stages: number of stages of equal cells, see the genotype's class; for texts.
    """

    channels: int
    cells: int
    height: int
    width: int
    stem: str = "cifar"
    classes: int = 10
    image_channels: int = 3
    stages: int = 1

    def __str__(self) -> str:
        stages = f" in each of {self.stages} stages" if self.stages > 1 else ""
        return (
            f"{self.channels} channels, {self.cells} cell{'s' * (self.cells != 1)}{stages}, "
            f"{self.stem} stem, "
            f"{self.height}x{self.width}x{self.image_channels} images, {self.classes} classes"
        )


class Component(NamedTuple):
    """A layer of a network, or a cell with all its parts.

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


class Place(NamedTuple):
    """A cell of DARTS in a network.

    Attributes:
        number: number of the cell, from 0.
        reduction: whether it is a reduction cell.
        channels: channels of its states.
        inputs: channels of the outputs of the two previous cells.
        sizes: rows and columns of the outputs of the two previous cells.
        nodes: number of intermediate states.
        concat: number of nodes that are concatenated to the output.
        last: whether it is the last cell.
    """

    number: int
    reduction: bool
    channels: int
    inputs: tuple[int, int]
    sizes: tuple[tuple[int, int], tuple[int, int]]
    nodes: int
    concat: int
    last: bool

    @property
    def kind(self) -> int:
        """Index of the kind of cell in genotypes and spaces."""
        return int(self.reduction)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        return _divided(self.sizes[1], 2 if self.reduction else 1)

    def edge(self, primitive: str, source: int) -> Part | None:
        """Returns the part on an edge; None for `none` and the identity, which cost nothing.

        Args:
            primitive: name of the primitive.
            source: state that the edge reads.
        """
        stride = 2 if self.reduction and source < INPUTS else 1
        if primitive == NONE or (primitive == SKIP and stride == 1):
            return None
        size = self.sizes[1] if source < INPUTS else self.size
        return Part(primitive, self.channels, self.channels, *size, stride)

    def fixed(self) -> Iterator[Part]:
        """Yields the parts that are not on edges: preprocessing, sums, ReLUs, concatenation."""
        strides = (2 if self.sizes[0] != self.sizes[1] else 1, 1)
        for inputs, size, stride in zip(self.inputs, self.sizes, strides, strict=True):
            yield Part(PREPROCESS, inputs, self.channels, *size, stride)
        outputs = self.concat * self.channels
        for _ in range(self.nodes):
            yield Part(ADD, self.channels, self.channels, *self.size)
        for _ in range(self.nodes - 1):
            yield Part(RELU, self.channels, self.channels, *self.size)
        yield Part(CONCAT, self.channels, outputs, *self.size)
        if not self.last:
            yield Part(RELU, outputs, outputs, *self.size)

    def component(self, cell: DiscreteCell) -> Component:
        """Returns the component of a discrete cell at this place."""
        name = f"cell {self.number} ({'reduction' if self.reduction else 'normal'})"
        return _component(name, self, cell, self.concat * self.channels)


class EdgePlace(NamedTuple):
    """A cell with an operation on every edge in a network.

    Attributes:
        number: number of the cell, from 0.
        channels: channels of its states.
        size: rows and columns of its states.
        nodes: number of nodes.
    """

    number: int
    channels: int
    size: tuple[int, int]
    nodes: int

    @property
    def kind(self) -> int:
        """Index of the kind of cell in genotypes and spaces."""
        return 0

    def edge(self, primitive: str, source: int) -> Part | None:
        """Returns the part on an edge; None for `none` and the identity, which cost nothing."""
        if primitive in (NONE, SKIP):
            return None
        return Part(primitive, self.channels, self.channels, *self.size)

    def fixed(self) -> Iterator[Part]:
        """Yields the parts that are not on edges: sums and ReLUs.

        Sums are those of a cell without `none`: a cell with `none` has fewer.
        """
        for _ in range(self.nodes * (self.nodes - 1) // 2):
            yield Part(ADD, self.channels, self.channels, *self.size)
        for _ in range(self.nodes):
            yield Part(RELU, self.channels, self.channels, *self.size)

    def component(self, cell: DiscreteCell) -> Component:
        """Returns the component of a discrete cell at this place."""
        return _component(f"cell {self.number}", self, cell, self.channels)


AnyPlace = Place | EdgePlace


def _component(name: str, place: AnyPlace, cell: DiscreteCell, channels: int) -> Component:
    counts = collections.Counter(place.fixed())
    counts.update(part for part in (place.edge(*pair) for pair in cell.pairs) if part)
    return Component(name, counts, place.size, channels)


def _layer(name: str, part: Part, channels: int, size: tuple[int, int] | None = None) -> Component:
    """Returns the component of a layer outside of cells."""
    size = size or _divided((part.height, part.width), part.stride)
    return Component(name, collections.Counter([part]), size, channels)


Skeleton = list[Component | AnyPlace]
"""A network without its cells: layers and the places of cells, from the stem to the classifier."""


def _stacked_skeleton(target: Target, nodes: Sequence[int], concats: Sequence[int]) -> Skeleton:
    """Returns the skeleton of a network of DARTS' cells."""
    channels = target.channels
    stem_channels = (3 if target.stem == "cifar" else 1) * channels
    inputs = (stem_channels,) * 2
    image = (target.height, target.width)
    strides = _STRIDES[target.stem]
    sizes = tuple(_divided(image, stride) for stride in strides)
    stem = Part(f"{STEM}_{target.stem}", target.image_channels, stem_channels, *image, strides[-1])
    stacked = [_layer(STEM, stem, stem_channels)]
    for number, reduction in enumerate(reductions(target.cells)):
        channels *= 2 if reduction else 1
        last = number + 1 == target.cells
        place = Place(
            *(number, reduction, channels, inputs, sizes),
            *(nodes[reduction], concats[reduction], last),
        )
        inputs = (inputs[1], place.concat * channels)
        sizes = (sizes[1], place.size)
        stacked.append(place)
    return [*stacked, _classifier(target, inputs[1], sizes[1])]


def _staged_skeleton(target: Target, nodes: Sequence[int], concats: Sequence[int]) -> Skeleton:
    """Returns the skeleton of NAS-Bench-201's network."""
    del concats  # the last node is the output
    size = (target.height, target.width)
    stem = Part(f"{STEM}_cifar", target.image_channels, target.channels, *size)
    stacked: Skeleton = [_layer(STEM, stem, target.channels)]
    before, number = target.channels, 0
    for times in STAGES:
        channels = times * target.channels
        if channels != before:
            part = Part(REDUCTION, before, channels, *size, 2)
            stacked.append(_layer(f"reduction to {channels} channels", part, channels))
            size = _divided(size, 2)
        for _ in range(target.cells):
            stacked.append(EdgePlace(number, channels, size, *nodes))
            number += 1
        before = channels
    final = Part(FINAL, channels, channels, *size)
    stacked.append(_layer("normalization", final, channels))
    return [*stacked, _classifier(target, channels, size)]


def _classifier(target: Target, inputs: int, size: tuple[int, int]) -> Component:
    part = Part(CLASSIFIER, inputs, target.classes, *size)
    return _layer(CLASSIFIER, part, target.classes, (1, 1))


_SKELETONS = {Genotype: _stacked_skeleton, EdgeGenotype: _staged_skeleton}


def skeleton_of(target: Target, genotype: AnyGenotype) -> Skeleton:
    """Returns the skeleton of a genotype's network."""
    nodes = [len(cell.nodes) for cell in genotype.cells]
    concats = [len(cell.concat) for cell in genotype.cells]
    return _SKELETONS[type(genotype)](target, nodes, concats)


def skeleton_in(target: Target, space: Space) -> Skeleton:
    """Returns the skeleton of the networks of all genotypes of a space.

    Raises:
        InputError: the space has cells that no networks on images have.
    """
    space.check_genotypes(*_SKELETONS)
    nodes = [space.nodes] * len(space.kinds)
    return _SKELETONS[space.genotype_class](target, nodes, nodes)


def stacked_parts(target: Target, genotype: AnyGenotype) -> list[Component]:
    """Returns the components of a genotype's network, from the stem to the classifier."""
    return [
        each if isinstance(each, Component) else each.component(genotype.cells[each.kind])
        for each in skeleton_of(target, genotype)
    ]


def parts_of(target: Target, genotype: AnyGenotype) -> collections.Counter[Part]:
    """Returns the number of occurrences of each part in the network of a genotype."""
    return sum((each.parts for each in stacked_parts(target, genotype)), collections.Counter())


def all_parts(target: Target, space: Space = SPACES[DARTS]) -> list[Part]:
    """Returns every part that networks of the genotypes of a space can have.

    Raises:
        InputError: see `skeleton_in`.
    """
    parts: dict[Part, None] = {}
    for each in skeleton_in(target, space):
        if isinstance(each, Component):
            parts.update(dict.fromkeys(each.parts))
            continue
        parts.update(dict.fromkeys(each.fixed()))
        rows = zip(space.edges, space.candidates[each.kind], strict=True)
        chosen = (each.edge(name, source) for (source, _), names in rows for name in names)
        parts.update(dict.fromkeys(part for part in chosen if part))
    return list(parts)


def _divided(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Returns rows and columns divided by a stride, rounded up."""
    return tuple(-(-side // stride) for side in size)
