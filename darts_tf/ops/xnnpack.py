"""Switch to write operations in the form that XNNPACK supports, which runs TFLite files on phones.

Other operations split a graph into parts with slow kernels between them. Both forms have the same
results, but a graph for XNNPACK may not run in TensorFlow itself.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from darts_tf.runtime import switches


def written_for_xnnpack() -> AbstractContextManager[None]:
    """Context manager: layers are traced in XNNPACK's operations, only for inference."""
    return switches.FOR_XNNPACK.hold(True)


def for_xnnpack() -> bool:
    """Returns True if layers are traced in XNNPACK's operations."""
    return switches.FOR_XNNPACK.value
