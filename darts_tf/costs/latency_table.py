"""Files of measured latencies of parts, with how they were measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata

from darts_tf.costs.parts import Part
from darts_tf.costs.tables import CostTable
from darts_tf.errors import InputError, listed, shown
from darts_tf.runs import files
from darts_tf.runtime.processor import processor

FORMAT = 1
"""Version number of the file format."""

UNIT = "ns"
METRIC = "latency"
_KEYS = ("format", "metric", "unit", "measured", "parts")
_INTEGERS = Part._fields[1:]


def measured_here(threads: int) -> dict[str, object]:
    """Returns the runtime, machine, threads and precision of a table measured on this machine.

    Args:
        threads: number of threads of the runtime.
    """
    return {
        "runtime": f"ai-edge-litert {metadata.version('ai-edge-litert')}",
        "machine": f"{processor()} ({platform.machine()})",
        "threads": threads,
        "precision": "float32",
    }


def save(
    path: str | os.PathLike[str], costs: Mapping[Part, int], threads: int, factor: float = 1.0
) -> None:
    """Writes a table that was measured on this machine.

    Args:
        path: path of the file.
        costs: nanoseconds of each part within a network.
        threads: number of threads of the runtime.
        factor: ratio of these latencies to those of the parts measured alone; only recorded.
    """
    parts = [{**part._asdict(), METRIC: cost} for part, cost in costs.items()]
    values = (FORMAT, METRIC, UNIT, {**measured_here(threads), "factor": factor}, parts)
    files.write_json(path, dict(zip(_KEYS, values, strict=True)))


def load(path: str | os.PathLike[str], threads: int | None = 1) -> CostTable:
    """Reads a table.

    Args:
        path: path of the file.
        threads: number of threads the table must have been measured with, on this machine and
            runtime; None to accept a table of any machine, runtime and number of threads.

    Raises:
        InputError: the file does not exist, has another content, or was measured on another
            machine or with another runtime or number of threads.
    """
    stored = files.read_json(path)
    if not isinstance(stored, dict) or sorted(stored) != sorted(_KEYS):
        received = listed(sorted(stored)) if isinstance(stored, dict) else type(stored).__name__
        raise InputError(
            f"{path}: Expected a table of darts-tf profile, with the keys {', '.join(_KEYS)}. "
            f"Received: {received}"
        )
    for key, value in zip(_KEYS, (FORMAT, METRIC, UNIT), strict=False):
        if stored[key] != value:
            raise InputError(f"{path}: Expected {key}={value!r}. Received: {shown(stored[key])}")
    if threads is not None:
        _check_measured(path, stored["measured"], measured_here(threads))
    if not isinstance(stored["parts"], list):
        raise InputError(f"{path}: Expected a list of parts. Received: {shown(stored['parts'])}")
    costs = {}
    for i, entry in enumerate(stored["parts"]):
        part, cost = _entry(path, i, entry)
        if part in costs:
            raise InputError(f"{path}: Expected every part once. Received: {part}, twice")
        costs[part] = cost
    return CostTable(METRIC, costs, str(path))


def _check_measured(path, measured, here: Mapping[str, object]) -> None:
    measured = measured if isinstance(measured, dict) else {}
    for name, value in here.items():
        if measured.get(name) != value:
            raise InputError(
                f"{path}: Expected latencies of {name}={value!r}, which this machine has and is "
                f"asked for. Received: {name}={shown(measured.get(name))}"
            )


def _entry(path, index: int, entry) -> tuple[Part, int]:
    """Returns a part and its cost from a JSON object, after checking it."""
    fields = {*Part._fields, METRIC}
    is_entry = isinstance(entry, dict) and set(entry) == fields and isinstance(entry["name"], str)
    if not is_entry or not all(type(entry[name]) is int for name in fields - {"name"}):
        raise InputError(
            f"{path}: Expected part {index} to have {', '.join(_INTEGERS)} and {METRIC}, whole "
            f"numbers, and a name. Received: {shown(entry)}"
        )
    if entry[METRIC] < 0 or min(entry[name] for name in _INTEGERS) < 1:
        raise InputError(f"{path}: Expected no negative numbers. Received: {shown(entry)}")
    return Part(**{name: entry[name] for name in Part._fields}), entry[METRIC]
