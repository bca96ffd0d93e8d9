"""Removal of users' registrations at the end of a test."""

from __future__ import annotations

import contextlib
import sys

from darts_tf import plugins, registry


@contextlib.contextmanager
def registrations_taken_back():
    """Context manager: removes what the block has registered."""
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
