"""Model and features of the processor, found without TensorFlow."""

from __future__ import annotations

import pathlib
import platform

CPUINFO = pathlib.Path("/proc/cpuinfo")


def processor() -> str:
    """Returns the processor's model."""
    return cpuinfo("model name") or platform.processor() or platform.machine()


def cpuinfo(field: str) -> str:
    """Returns a field of /proc/cpuinfo for the first core; an empty string on other systems."""
    if not CPUINFO.exists():
        return ""
    lines = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == field), "")
