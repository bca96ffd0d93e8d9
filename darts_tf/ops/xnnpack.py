"""Whether operations are written as XNNPACK knows them, which runs TFLite files on phones.

What it does not know breaks a graph into parts, with slow kernels between them. The results are the
same; what is written so may not run in TensorFlow itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_state = threading.local()


@contextlib.contextmanager
def written_for_xnnpack() -> Iterator[None]:
    """Within this block layers are traced in XNNPACK's operations, for inference alone."""
    previous = for_xnnpack()
    _state.written = True
    try:
        yield
    finally:
        _state.written = previous


def for_xnnpack() -> bool:
    """Whether that is so now."""
    return getattr(_state, "written", False)
