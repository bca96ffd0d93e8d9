"""What a search will need, told before it begins."""

from __future__ import annotations

from darts_tf.configs import SearchConfig
from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.errors import InputError, gigabytes
from darts_tf.ops.images import halved
from darts_tf.runtime import memory
from darts_tf.runtime.execution import has_gpu
from darts_tf.spaces.cell import NONE, PRIMITIVES, SKIP, edges, reductions
from darts_tf.spaces.search_spaces import SPACES, Space

FRAGMENTS = 1.1
"""What the allocator holds for what is in use."""

PROGRAM = 1.0e9
"""Bytes of Python, TensorFlow and Keras."""

_KEPT, _OWN, _FLOAT = 6, 30, 4  # tensors an edge, tensors of a backward pass, bytes

_KEPT_BY = {"dil_conv_3x3": 1, "dil_conv_5x5": 1, "conv_7x1_1x7": 1}
_KEPT_BY |= dict.fromkeys((NONE, SKIP, "max_pool_3x3", "avg_pool_3x3"), 0)
_KEPT_USUALLY = 2
"""Of those tensors, how many belong to a primitive; of one of a user's it is a guess."""


def estimated_bytes(
    config: SearchConfig, height: int, width: int, operations: int | None = None
) -> int:
    """Peak memory of a search on a CPU, about: of fourteen that were measured all within 18 %.

    What fills it are the results that a forward pass keeps for the backward pass: six tensors for
    every edge (the outputs of its 1x1 convolutions), of the size of a node.

    Args:
        config: the settings.
        height: rows of an image.
        width: columns of an image.
        operations: of an edge, in a stage that has fewer than all: about as many convolutions are
            left. By default those of the settings' space.
    """
    space = SPACES[config.space]
    share = operations / len(PRIMITIVES) if operations else _share(space)
    rows = len(edges(space.nodes))
    kept, largest = 0, 0
    channels = config.channels
    for reduction in reductions(config.cells):
        if reduction:
            channels, height, width = 2 * channels, halved(height, 2), halved(width, 2)
        node = channels * height * width * config.batch_size * _FLOAT
        mixed = node // config.partial_channels
        kept += rows * (share * _KEPT * mixed + (node - mixed))
        largest = max(largest, share * space.nodes * mixed)
    estimator = ESTIMATORS[config.arch_gradient]
    tensors = FRAGMENTS * (estimator.passes * kept + estimator.working_memory * _OWN * largest)
    if config.precision != "float32":
        tensors *= 0.6  # the results are half as large, what works on them in part
    return int(tensors + PROGRAM + estimator.graph_bytes * config.cells)


def _share(space: Space) -> float:
    """What an edge keeps on average, as a share of what one of the paper's does."""
    kept = [
        sum(_KEPT_BY.get(name, _KEPT_USUALLY) for name in row)
        for cell in space.candidates
        for row in cell
    ]
    return sum(kept) / len(kept) / _KEPT


def check_memory(
    config: SearchConfig, height: int, width: int, operations: int | None = None
) -> str:
    """A line on what the search will need, as `estimated_bytes`.

    A GPU does not tell what it has free: there the need is told and not checked.

    Raises:
        InputError: More than is free: it says what to change.
    """
    needed, available = estimated_bytes(config, height, width, operations), memory.available_bytes()
    if has_gpu():
        return f"about {gigabytes(needed)} of memory, most of it on the GPU"
    if needed > available:
        leanest = min(ESTIMATORS.maps[-1], key=lambda name: ESTIMATORS[name].passes)
        raise InputError(
            f"Expected a search that fits into the {gigabytes(available)} of memory that are "
            f"free. Received: one that needs about {gigabytes(needed)}, with "
            f"batch_size={config.batch_size}, channels={config.channels}, "
            f"arch_gradient={config.arch_gradient!r}; lower the first two, take {leanest}, or "
            f"mix fewer channels, --partial-channels 4"
        )
    return f"about {gigabytes(needed)} of memory, of {gigabytes(available)} that are free"
