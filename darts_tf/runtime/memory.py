"""Memory that this process may still take."""

from __future__ import annotations

import pathlib

import psutil

CGROUP = pathlib.Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Memory that this process may still take: of the machine, or of its control group."""
    available = psutil.virtual_memory().available
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or no limit
        return available
    return min(available, limit - used)
