"""The metrics of a run's epochs and their times, one JSON object per line."""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Mapping

from darts_tf.errors import InputError, shown
from darts_tf.runs.files import METRICS, STAGES, TIMES, TRIALS, plain
from darts_tf.runtime import atomic
from darts_tf.runtime.strict_json import parse_json


def append_metrics(folder: str | os.PathLike[str], metrics: Mapping[str, object]) -> None:
    """Adds a line to the run's metrics at once; a number that is not finite becomes null."""
    _append(pathlib.Path(folder) / METRICS, metrics)


def _append(path: pathlib.Path, line: Mapping[str, object]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(plain(line), allow_nan=False) + "\n")


def read_metrics(folder: str | os.PathLike[str]) -> list[dict]:
    """All whole lines of the run's metrics; none where there is no file yet.

    Raises:
        InputError: A whole line is no JSON object with an integer `epoch`; with file and line.
    """
    return _read_lines(pathlib.Path(folder) / METRICS)


def _read_lines(path: pathlib.Path) -> list[dict]:
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last line end is not whole
    return [_parsed_metrics(line, f"{path}, line {i}") for i, line in enumerate(lines, 1)]


def _parsed_metrics(line: bytes, place: str) -> dict:
    try:
        metrics = parse_json(line)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    if not isinstance(metrics, dict) or type(metrics.get("epoch")) is not int:
        expected = "Expected a JSON object with an integer epoch"
        raise InputError(f"{place}: {expected}. Received: {shown(metrics)}")
    return metrics


def keep_metrics(folder: str | os.PathLike[str], epochs: int) -> None:
    """Drops the lines whose `epoch` is `epochs` or later, before a run resumes at that epoch.

    All times are kept, but for a line that was being written when the run ended.
    """
    kept = [metrics for metrics in read_metrics(folder) if metrics["epoch"] < epochs]
    text = "".join(json.dumps(metrics) + "\n" for metrics in kept)
    atomic.write_text(pathlib.Path(folder) / METRICS, text)
    times = pathlib.Path(folder) / TIMES
    if times.exists():
        whole, end, _ = times.read_text(encoding="utf-8", errors="replace").rpartition("\n")
        atomic.write_text(times, whole + end)


def append_time(folder: str | os.PathLike[str], epoch: int, seconds: float) -> None:
    """Adds the time that an epoch of the run took."""
    _append(pathlib.Path(folder) / TIMES, {"epoch": epoch, "seconds": seconds})


def seconds_of(folder: str | os.PathLike[str]) -> float:
    """The time that all epochs of the run took, those that were done again after a crash too.

    Of a search in stages and of a study, the time of all the runs that it has in its folder.

    Raises:
        InputError: A whole line says no time; with file and line.
    """
    inner = (pathlib.Path(folder) / name for name in (STAGES, TRIALS))
    parts = (part for parts in inner if parts.is_dir() for part in parts.iterdir())
    return sum(times_of(folder)) + sum(sum(times_of(part)) for part in parts)


def times_of(folder: str | os.PathLike[str]) -> list[float]:
    """The times of a run's own epochs in the order in which they ended; see `seconds_of`."""
    path = pathlib.Path(folder) / TIMES
    found = []
    for number, line in enumerate(_read_lines(path), 1):
        seconds = line.get("seconds")
        if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            raise InputError(
                f"{path}, line {number}: Expected seconds of zero or more. Received: {shown(line)}"
            )
        found.append(float(seconds))
    return found
