"""Memory that a network's activations need at inference, by one plain rule.

The parts of a network run in order, one at a time: the stem's convolutions; in every cell the
preprocessing of both inputs, then node by node its two primitives and their sum, then the
concatenation; the mean over all places and the dense layer. Each part reads tensors and makes one.
A tensor is alive from the part that makes it to the last part that reads it, and what has to be
alive at once is what is alive while one part runs: what it reads, what it makes, and what later
parts still need.

An identity makes nothing: its state is read instead. What a part makes and drops inside itself,
such as the tensor between the two rounds of a separable convolution, is not counted, nor are
weights. An actual runtime needs more where it keeps such tensors, or less where it works in place.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

from darts_tf.costs.formulas import stem_layers
from darts_tf.costs.parts import Place, Target, ends, places_of
from darts_tf.spaces.cell import INPUTS, SKIP, Pairs
from darts_tf.spaces.genotype import Genotype

BYTES = 4
"""Of a float32."""


@dataclasses.dataclass(frozen=True)
class Made:
    """A tensor, and the part that makes it.

    Attributes:
        size: numbers in it.
        reads: the tensors that the part reads, by their places in the order of making.
        within: index of the component (`parts.stacked_parts`) that the part belongs to.
    """

    size: int
    reads: tuple[int, ...]
    within: int = 0


def alive(tensors: Sequence[Made]) -> list[int]:
    """How many numbers are alive while each tensor is made.

    Args:
        tensors: in the order in which they are made.
    """
    last = list(range(len(tensors)))
    for i, tensor in enumerate(tensors):
        for source in tensor.reads:
            last[source] = i
    return [sum(tensors[j].size for j in range(i + 1) if last[j] >= i) for i in range(len(tensors))]


def peak_memory(target: Target, genotype: Genotype) -> list[int]:
    """Returns the most bytes of activations alive at once in each component, from the stem on.

    For one image in float32, at inference; the largest of them is the whole network's. What is
    alive is defined at the top of this module; what a part reads and what later ones need counts
    too, so that a cell's number includes the outputs of the two cells before.

    Args:
        target: the network.
        genotype: its cells.
    """
    tensors = _tensors(target, genotype)
    peaks = [0] * (tensors[-1].within + 1)
    for tensor, count in zip(tensors, alive(tensors), strict=True):
        peaks[tensor.within] = max(peaks[tensor.within], BYTES * count)
    return peaks


def _tensors(target: Target, genotype: Genotype) -> list[Made]:
    """Lists the tensors that a network makes of an image, in order, the image first."""
    stacked = places_of(target, genotype)
    stem, classifier = ends(target, stacked[-1])
    tensors = [Made(target.height * target.width * target.image_channels, ())]
    for channels, places in stem_layers(stem):
        tensors.append(Made(channels * places, (len(tensors) - 1,)))
    s1 = len(tensors) - 1
    s0 = s1 - 1 if s1 > 1 else s1  # the cifar stem makes one state, which is both inputs
    for i, place in enumerate(stacked, 1):
        normal = genotype.normal, genotype.normal_concat
        pairs, concat = (genotype.reduce, genotype.reduce_concat) if place.reduction else normal
        tensors += _of_cell(place, pairs, concat, len(tensors), (s0, s1), i)
        s0, s1 = s1, len(tensors) - 1
    within = len(stacked) + 1
    tensors.append(Made(classifier.inputs, (s1,), within))
    tensors.append(Made(classifier.channels, (len(tensors) - 1,), within))
    return tensors


def _of_cell(
    place: Place, pairs: Pairs, concat, first: int, inputs: tuple[int, int], within: int
) -> Iterator[Made]:
    """Yields the tensors that a cell makes.

    Args:
        place: of the cell in the network.
        pairs: its operations, two for each node.
        concat: states that make its output.
        first: place of the first tensor.
        inputs: places of the outputs of the two cells before.
        within: see `Made`.
    """
    places = itertools.count(first)
    state = math.prod(place.sizes[1]) * place.channels
    output = math.prod(place.output) * place.channels
    states = []
    for source in inputs:
        yield Made(state, (source,), within)
        states.append(next(places))
    for node in range(0, len(pairs), 2):
        branches = []
        for primitive, source in pairs[node : node + 2]:
            if primitive == SKIP and not (place.reduction and source < INPUTS):
                branches.append(states[source])
            else:
                yield Made(output, (states[source],), within)
                branches.append(next(places))
        yield Made(output, tuple(branches), within)
        states.append(next(places))
    yield Made(len(concat) * output, tuple(states[i] for i in concat), within)
