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

from darts_tf.layers.primitives import Identity
from darts_tf.models.network import Network

BYTES = 4
"""Of a float32."""


@dataclasses.dataclass(frozen=True)
class Made:
    """A tensor, and the part that makes it.

    Attributes:
        size: numbers in it.
        reads: the tensors that the part reads, by their places in the order of making.
        within: which of the network's costs the part belongs to, by its place in `costs`.
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


def peak_memory(network: Network, image_size: int | tuple[int, int] = 32) -> list[int]:
    """Most bytes of activations alive at once in each part that `costs` lists, from stem on.

    For one image in float32, at inference; the largest of them is the whole network's. What is
    alive is defined at the top of this module; what a part reads and what later ones need counts
    too, so that a cell's number includes the outputs of the two cells before.

    Args:
        network: from `build_network`.
        image_size: rows and columns of the image; one number for both.
    """
    image = (image_size, image_size) if isinstance(image_size, int) else image_size
    tensors = _tensors(network, image)
    peaks = [0] * (tensors[-1].within + 1)
    for tensor, count in zip(tensors, alive(tensors), strict=True):
        peaks[tensor.within] = max(peaks[tensor.within], BYTES * count)
    return peaks


def _tensors(network, image) -> list[Made]:
    """Those that a network makes of an image, in order, the image first."""
    stem = network.stem
    tensors = [Made(math.prod(image) * network.image_channels, ())]
    sizes = stem.output_sizes(*image)
    for size, channels in zip(sizes, stem.outputs, strict=True):
        tensors.append(Made(math.prod(size) * channels, (len(tensors) - 1,)))
    size = sizes[-1]
    s1 = len(tensors) - 1
    s0 = s1 - 1 if len(sizes) > 1 else s1
    for i, cell in enumerate(network.cells, 1):
        tensors += _of_cell(cell, size, len(tensors), (s0, s1), i)
        s0, s1, size = s1, len(tensors) - 1, cell.output_size(*size)
    within = len(network.cells) + 1
    features = network.head.kernel.shape[0]
    tensors.append(Made(features, (s1,), within))
    tensors.append(Made(network.head.classes, (len(tensors) - 1,), within))
    return tensors


def _of_cell(cell, size, first: int, inputs: tuple[int, int], within: int) -> Iterator[Made]:
    """Those that a cell makes.

    Args:
        cell: discrete.
        size: rows and columns of the previous cell's output.
        first: place of the first tensor.
        inputs: places of the outputs of the two cells before.
        within: see `Made`.
    """
    places = itertools.count(first)
    state = math.prod(size) * cell.channels
    output = math.prod(cell.output_size(*size)) * cell.channels
    states = []
    for source in inputs:
        yield Made(state, (source,), within)
        states.append(next(places))
    for node in range(0, len(cell.pairs), 2):
        branches = []
        for op, (_, source) in zip(
            cell.ops[node : node + 2], cell.pairs[node : node + 2], strict=True
        ):
            if isinstance(op, Identity):
                branches.append(states[source])
            else:
                yield Made(output, (states[source],), within)
                branches.append(next(places))
        yield Made(output, tuple(branches), within)
        states.append(next(places))
    yield Made(len(cell.concat) * output, tuple(states[i] for i in cell.concat), within)
