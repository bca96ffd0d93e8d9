"""Memory of a network's activations at inference, by a simple model.

The parts of a network run in order, one at a time: the stem's convolutions; in every cell the
preprocessing of both inputs, then node by node its two primitives and their sum, then the
concatenation; global average pooling and the dense layer. In NAS-Bench-201's network cells have
neither preprocessing nor concatenation, and the residual reductions and the final normalization are
parts, too. Each part reads tensors and produces one.
A tensor is alive from the part that produces it to the last part that reads it. The memory of a
part is that of all tensors alive while it runs: its inputs, its output, and tensors that later
parts still need.

The identity produces no tensor: its input is read instead. Temporary tensors inside a part, such as
the one between the two halves of a separable convolution, and weights are not counted. An actual
runtime needs more if it keeps such tensors, or less if it works in place.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

from darts_tf.costs.formulas import stem_layers
from darts_tf.costs.parts import REDUCTION, Component, EdgePlace, Place, Target, skeleton_of
from darts_tf.spaces.cell import INPUTS, NONE, SKIP
from darts_tf.spaces.genotype import AnyGenotype, DiscreteCell

BYTES = 4
"""Bytes of a float32."""


@dataclasses.dataclass(frozen=True)
class Made:
    """A tensor, and the part that produces it.

    Attributes:
        size: number of elements.
        reads: indices of the tensors that the part reads, in the order of production.
        within: index of the component (`parts.stacked_parts`) that the part belongs to.
    """

    size: int
    reads: tuple[int, ...]
    within: int = 0


def alive(tensors: Sequence[Made]) -> list[int]:
    """Returns the number of elements that are alive while each tensor is produced.

    Args:
        tensors: the tensors in the order of production.
    """
    last = list(range(len(tensors)))
    for i, tensor in enumerate(tensors):
        for source in tensor.reads:
            last[source] = i
    return [sum(tensors[j].size for j in range(i + 1) if last[j] >= i) for i in range(len(tensors))]


def peak_memory(target: Target, genotype: AnyGenotype) -> list[int]:
    """Returns the peak bytes of activations in each component, from the stem on.

    The bytes are for one image in float32 at inference; their maximum is the peak of the network.
    The docstring of this module defines which tensors are alive. The peak of a cell includes the
    outputs of the two previous cells, because it reads them.

    Args:
        target: the network.
        genotype: cells of the network.
    """
    tensors = _tensors(target, genotype)
    peaks = [0] * (tensors[-1].within + 1)
    for tensor, count in zip(tensors, alive(tensors), strict=True):
        peaks[tensor.within] = max(peaks[tensor.within], BYTES * count)
    return peaks


def _tensors(target: Target, genotype: AnyGenotype) -> list[Made]:
    """Lists the tensors of a network in the order of production, starting with the image."""
    stem, *stacked, classifier = skeleton_of(target, genotype)
    tensors = [Made(target.height * target.width * target.image_channels, ())]
    for channels, places in stem_layers(*stem.parts):
        tensors.append(Made(channels * places, (len(tensors) - 1,)))
    s1 = len(tensors) - 1
    s0 = s1 - 1 if s1 > 1 else s1  # the cifar stem makes one state, which is both inputs
    for i, each in enumerate(stacked, 1):
        if isinstance(each, Component):
            tensors += _of_layer(each, len(tensors), s1, i)
            s1 = len(tensors) - 1
        elif isinstance(each, EdgePlace):
            made, s1 = _of_edge_cell(each, genotype.cells[each.kind], len(tensors), s1, i)
            tensors += made
        else:
            tensors += _of_cell(each, genotype.cells[each.kind], len(tensors), (s0, s1), i)
            s0, s1 = s1, len(tensors) - 1
    within, (part,) = len(stacked) + 1, classifier.parts
    tensors.append(Made(part.inputs, (s1,), within))
    tensors.append(Made(part.channels, (len(tensors) - 1,), within))
    return tensors


def _of_layer(layer: Component, first: int, source: int, within: int) -> Iterator[Made]:
    """Yields the tensors that a layer between cells produces; see `_of_cell`."""
    (part,) = layer.parts
    output = math.prod(layer.size) * layer.channels
    yield Made(output, (source,), within)
    if part.name == REDUCTION:  # the first convolution has been made
        yield Made(output, (first,), within)
        yield Made(math.prod(layer.size) * part.inputs, (source,), within)
        yield Made(output, (first + 2,), within)
        yield Made(output, (first + 1, first + 3), within)


def _of_edge_cell(
    place: EdgePlace, cell: DiscreteCell, first: int, source: int, within: int
) -> tuple[list[Made], int]:
    """Returns the tensors that a cell produces, and the index of its output; see `_of_cell`.

    A node with a single operation is the output of this operation.
    """
    size = math.prod(place.size) * place.channels
    made, states = [], [source]
    for pairs in cell.nodes:
        branches = []
        for primitive, state in pairs:
            if primitive == SKIP:
                branches.append(states[state])
            elif primitive != NONE:
                made.append(Made(size, (states[state],), within))
                branches.append(first + len(made) - 1)
        if len(branches) != 1:
            made.append(Made(size, tuple(branches), within))
            branches = [first + len(made) - 1]
        states += branches
    return made, states[-1]


def _of_cell(
    place: Place, cell: DiscreteCell, first: int, inputs: tuple[int, int], within: int
) -> Iterator[Made]:
    """Yields the tensors that a cell produces.

    Args:
        place: place of the cell in the network.
        cell: the cell.
        first: index of the cell's first tensor.
        inputs: indices of the outputs of the two previous cells.
        within: see `Made`.
    """
    places = itertools.count(first)
    state = math.prod(place.sizes[1]) * place.channels
    output = math.prod(place.size) * place.channels
    states = []
    for source in inputs:
        yield Made(state, (source,), within)
        states.append(next(places))
    for pairs in cell.nodes:
        branches = []
        for primitive, source in pairs:
            if primitive == SKIP and not (place.reduction and source < INPUTS):
                branches.append(states[source])
            else:
                yield Made(output, (states[source],), within)
                branches.append(next(places))
        yield Made(output, tuple(branches), within)
        states.append(next(places))
    yield Made(len(cell.concat) * output, tuple(states[i] for i in cell.concat), within)
