"""Memory that this process can still allocate."""

from __future__ import annotations

import pathlib

import psutil

CGROUP = pathlib.Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Returns the bytes still available to the machine, or to its control group if fewer."""
    available = psutil.virtual_memory().available
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or no limit
        return available
    return min(available, limit - used)
