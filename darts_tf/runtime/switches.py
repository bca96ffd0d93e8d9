"""Ambient switches: values that hold within a `with` block, in the thread that entered it.

They reach code that a framework calls in between, such as layers that Keras calls. Every thread
starts with the defaults: replicas are traced by a thread each. All switches are listed here; the
functions that set and read them, next to the code that they switch, say what they mean.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Switch(threading.local):
    """A value for each thread.

    Args:
        value: the value outside of all blocks.
    """

    def __init__(self, value: object):  # Python repeats it in every thread
        self.value = value

    @contextlib.contextmanager
    def hold(self, value: object) -> Iterator[None]:
        """Context manager: sets the value in this thread, and restores the one before."""
        before, self.value = self.value, value
        try:
            yield
        finally:
            self.value = before


WEIGHTS_FIXED_FROM = Switch(3)
"""Lowest order whose derivatives along weights are not needed: `ops.autodiff.weights_fixed`."""

RECORDED = Switch(None)
"""List that collects the results of `ops.autodiff.keep`: `ops.autodiff.recording`."""

REPLAYED = Switch(None)
"""Iterator of recorded results that `ops.autodiff.keep` returns: `ops.autodiff.replaying`."""

FOR_XNNPACK = Switch(False)
"""True while layers are traced in XNNPACK's operations: `ops.xnnpack.written_for_xnnpack`."""

TRACKING = Switch(True)
"""True if running statistics are updated: `layers.normalization.tracked_statistics`."""

SYNCHRONIZED = Switch(False)
"""True while replicas share statistics: `layers.normalization.synchronized_statistics`."""

CELL_OFFSETS = Switch(None)
"""Arrays to add to the mixture weights of single cells: `layers.cells.offset_cells`."""

MIXTURE = Switch(None)
"""Mixture weights in place of the alphas': `models.mixture.mixed_by`."""
