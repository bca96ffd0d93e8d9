"""What a search will need, told before it begins."""

from __future__ import annotations

import pathlib

import psutil

from darts_tf.configs import SearchConfig
from darts_tf.errors import InputError
from darts_tf.execution import has_gpu
from darts_tf.names import gigabytes
from darts_tf.ops import halved
from darts_tf.spaces import INPUTS, NODES, PRIMITIVES, reductions

PASSES = {"first_order": 1, "finite_difference": 2, "second_order": 3}
"""Passes whose results wait in memory at a time; of second order a backward pass too."""

WORKING = {"first_order": 1, "finite_difference": 2, "second_order": 2}
"""Backward passes' own memory at its peak, in multiples of `_OWN` tensors of the largest state."""

GRAPH = {"first_order": 90e6, "finite_difference": 120e6, "second_order": 150e6}
"""Bytes of graph for each cell, about."""

FRAGMENTS = 1.1
"""What the allocator holds for what is in use."""

PROGRAM = 1.0e9
"""Bytes of Python, TensorFlow and Keras."""

_KEPT, _OWN, _FLOAT = 6, 30, 4  # tensors an edge, tensors of the largest operation, bytes

CGROUP = pathlib.Path("/sys/fs/cgroup")


def estimated_bytes(
    config: SearchConfig, height: int, width: int, operations: int = len(PRIMITIVES)
) -> int:
    """Peak memory of a search on a CPU, about: of fourteen that were measured all within 18 %.

    What fills it are the results that a forward pass keeps for the backward pass: six tensors for
    every edge (the outputs of its 1x1 convolutions), of the size of a node.

    Args:
        config: the settings.
        height: rows of an image.
        width: columns of an image.
        operations: of an edge; with fewer than all, about as many convolutions are left.
    """
    share = operations / len(PRIMITIVES)
    kept, largest = 0, 0
    channels = config.channels
    for reduction in reductions(config.cells):
        if reduction:
            channels, height, width = 2 * channels, halved(height, 2), halved(width, 2)
        node = channels * height * width * config.batch_size * _FLOAT
        edges = sum(INPUTS + node for node in range(NODES))
        mixed = node // config.partial_channels
        kept += edges * (share * _KEPT * mixed + (node - mixed))
        largest = max(largest, share * NODES * mixed)
    name = config.arch_gradient
    tensors = FRAGMENTS * (PASSES[name] * kept + WORKING[name] * _OWN * largest)
    if config.precision != "float32":
        tensors *= 0.6  # the results are half as large, what works on them in part
    return int(tensors + PROGRAM + GRAPH[name] * config.cells)


def available_bytes() -> int:
    """Memory that this process may still take: of the machine, or of its control group."""
    available = psutil.virtual_memory().available
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or no limit
        return available
    return min(available, limit - used)


def check_memory(
    config: SearchConfig, height: int, width: int, operations: int = len(PRIMITIVES)
) -> str:
    """A line on what the search will need, as `estimated_bytes`.

    A GPU does not tell what it has free: there the need is told and not checked.

    Raises:
        InputError: More than is free: it says what to change.
    """
    needed, available = estimated_bytes(config, height, width, operations), available_bytes()
    if has_gpu():
        return f"about {gigabytes(needed)} of memory, most of it on the GPU"
    if needed > available:
        raise InputError(
            f"Expected a search that fits into the {gigabytes(available)} of memory that are "
            f"free. Received: one that needs about {gigabytes(needed)}, with "
            f"batch_size={config.batch_size}, channels={config.channels}, "
            f"arch_gradient={config.arch_gradient!r}; lower the first two, take first_order, or "
            f"mix fewer channels, --partial-channels 4"
        )
    return f"about {gigabytes(needed)} of memory, of {gigabytes(available)} that are free"
