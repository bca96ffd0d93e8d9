"""The processor's model and features. Without TensorFlow, which `diagnosis` asks for the rest."""

from __future__ import annotations

import pathlib
import platform

CPUINFO = pathlib.Path("/proc/cpuinfo")


def processor() -> str:
    """The processor's model."""
    return cpuinfo("model name") or platform.processor() or platform.machine()


def cpuinfo(field: str) -> str:
    """What Linux says about the first core; nothing on other systems."""
    if not CPUINFO.exists():
        return ""
    lines = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == field), "")
