"""For tests of what users register: it is taken back when they end."""

from __future__ import annotations

import contextlib
import sys

from darts_tf import plugins, registry


@contextlib.contextmanager
def registrations_taken_back():
    """Within this block things can be registered; afterwards all is as it was."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for names in registry.KINDS.values():
            names.clear()
        for file in plugins.loaded():
            sys.modules.pop(plugins.MODULE + file.stem, None)
        plugins._loaded.clear()
        plugins._unchecked.clear()
