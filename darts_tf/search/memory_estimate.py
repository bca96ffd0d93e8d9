"""Estimate of a search's peak memory, checked before the search starts."""

from __future__ import annotations

import itertools

from darts_tf.configs import SearchConfig
from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.errors import InputError, gigabytes
from darts_tf.ops.images import halved
from darts_tf.runtime import memory
from darts_tf.runtime.execution import has_gpu
from darts_tf.spaces.cell import NOISE, NONE, PRIMITIVES, SKIP, STAGES, reductions
from darts_tf.spaces.genotype import EdgeGenotype
from darts_tf.spaces.search_spaces import SPACES, Space

FRAGMENTS = 1.1
"""Memory that the allocator holds, relative to the memory in use."""

PROGRAM = 1.0e9
"""Memory of Python, TensorFlow and Keras, in bytes."""

_KEPT, _OWN, _FLOAT = 6, 30, 4  # tensors per edge, tensors of a backward pass, bytes per number

_KEPT_BY = {"dil_conv_3x3": 1, "dil_conv_5x5": 1, "conv_7x1_1x7": 1, NOISE: 1}
_KEPT_BY |= dict.fromkeys((NONE, SKIP, "max_pool_3x3", "avg_pool_3x3"), 0)
_KEPT_USUALLY = 2
"""Tensors that a primitive keeps for the backward pass; a guess for users' primitives."""


def estimated_bytes(
    config: SearchConfig, height: int, width: int, operations: int | None = None
) -> int:
    """Estimates the peak memory of a search on a CPU, in bytes.

    The estimate was within 18 % of all fourteen measured searches, which were for DARTS' cells.
    Most of the memory is taken by the results that a forward pass keeps for the backward pass: six
    tensors per edge (the outputs of its 1x1 convolutions), each as large as a node.

    Args:
        config: settings of the search.
        height: rows of an image.
        width: columns of an image.
        operations: operations per edge in a stage that does not have all; the convolutions among
            them are assumed to decrease in proportion. None for the operations of the settings'
            space.
    """
    space = SPACES[config.space]
    share = operations / len(PRIMITIVES) if operations else _share(space)
    rows = len(space.edges)
    kept, largest, cells = 0, 0, _channels_of_cells(space, config.cells)
    for i, times in enumerate(cells):
        if i and times > cells[i - 1]:
            height, width = halved(height, 2), halved(width, 2)
        node = times * config.channels * height * width * config.batch_size * _FLOAT
        mixed = node // config.partial_channels
        kept += rows * (share * _KEPT * mixed + (node - mixed))
        largest = max(largest, share * space.nodes * mixed)
    estimator = ESTIMATORS[config.arch_gradient]
    tensors = FRAGMENTS * (estimator.passes * kept + estimator.working_memory * _OWN * largest)
    if config.precision != "float32":
        tensors *= 0.6  # results take half the memory, but some intermediate tensors are float32
    return int(tensors + PROGRAM + estimator.graph_bytes * len(cells))


def _channels_of_cells(space: Space, cells: int) -> list[int]:
    """Returns the channels of all cells of a supernet, as multiples of those of the first."""
    if space.genotype_class is EdgeGenotype:
        return [times for times in STAGES for _ in range(cells)]
    return [2**before for before in itertools.accumulate(reductions(cells))]


def _share(space: Space) -> float:
    """Returns the mean number of kept tensors per edge, relative to the paper's space."""
    kept = [
        sum(_KEPT_BY.get(name, _KEPT_USUALLY) for name in row)
        for cell in space.candidates
        for row in cell
    ]
    return sum(kept) / len(kept) / _KEPT


def check_memory(
    config: SearchConfig, height: int, width: int, operations: int | None = None
) -> str:
    """Checks that the estimated memory of a search is available.

    On a GPU, whose free memory is unknown, the estimate is reported but not checked.

    Args:
        config: as in `estimated_bytes`.
        height: as in `estimated_bytes`.
        width: as in `estimated_bytes`.
        operations: as in `estimated_bytes`.

    Returns:
        A line about the estimated and the free memory.

    Raises:
        InputError: the estimate exceeds the free memory; the message suggests what to change.
    """
    needed, available = estimated_bytes(config, height, width, operations), memory.available_bytes()
    if has_gpu():
        return f"about {gigabytes(needed)} of memory, most of it on the GPU"
    if needed > available:
        leanest = min(ESTIMATORS.maps[-1], key=lambda name: ESTIMATORS[name].passes)
        raise InputError(
            f"Expected a search that fits into the {gigabytes(available)} of free memory. "
            f"Received: one that needs about {gigabytes(needed)}, with "
            f"batch_size={config.batch_size}, channels={config.channels}, "
            f"arch_gradient={config.arch_gradient!r}. Lower batch_size or channels, use "
            f"arch_gradient={leanest!r}, or mix fewer channels (--partial-channels 4)"
        )
    return f"about {gigabytes(needed)} of memory, {gigabytes(available)} are free"
