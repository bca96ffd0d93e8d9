"""The metrics of a run's epochs and their times, one JSON object per line."""

from __future__ import annotations

import json
import logging
import math
import os
import pathlib
from collections.abc import Mapping, Sequence

from darts_tf.errors import LISTED, InputError, shortened, shown
from darts_tf.runs.files import METRICS, STAGES, TIMES, TRIALS, plain
from darts_tf.runtime import atomic
from darts_tf.runtime.strict_json import parse_json

LOG = logging.getLogger("darts_tf")


def append_metrics(folder: str | os.PathLike[str], metrics: Mapping[str, object]) -> None:
    """Appends a line to the run's metrics file; numbers that are not finite become null.

    The line is on the disk on return: a checkpoint that is written later counts on it.
    """
    _append(pathlib.Path(folder) / METRICS, metrics)


def _append(path: pathlib.Path, line: Mapping[str, object]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(plain(line), allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_metrics(folder: str | os.PathLike[str]) -> list[dict]:
    """Returns all complete lines of the run's metrics; an empty list if there is no file.

    Raises:
        InputError: a complete line is not a JSON object with an integer `epoch`; the message has
            the file and the line number.
    """
    return _read_lines(pathlib.Path(folder) / METRICS)


def _read_lines(path: pathlib.Path) -> list[dict]:
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]  # without a last line that is truncated
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

    All lines of the file of times are kept, except a truncated last one. A warning is logged if
    lines of earlier epochs are missing, which a full disk or a crash of the machine may have lost.
    """
    kept = [metrics for metrics in read_metrics(folder) if metrics["epoch"] < epochs]
    lost = sorted(set(range(epochs)) - {metrics["epoch"] for metrics in kept})
    if lost:
        LOG.warning(
            "metrics of %s are lost: %s has no lines for them; nothing else is affected",
            *(_epochs_in_words(lost), pathlib.Path(folder) / METRICS),
        )
    text = "".join(json.dumps(metrics) + "\n" for metrics in kept)
    atomic.write_text(pathlib.Path(folder) / METRICS, text)
    times = pathlib.Path(folder) / TIMES
    if times.exists():
        whole, end, _ = times.read_text(encoding="utf-8", errors="replace").rpartition("\n")
        atomic.write_text(times, whole + end)


def _epochs_in_words(epochs: Sequence[int]) -> str:
    """Returns ascending epochs, counted from 1, as in "epochs 3, 6 to 11"."""
    ranges = []
    for epoch in epochs:
        if ranges and ranges[-1][1] == epoch:
            ranges[-1][1] = epoch + 1
        else:
            ranges.append([epoch + 1, epoch + 1])
    words = (str(first) if first == last else f"{first} to {last}" for first, last in ranges)
    return f"{'epoch' if len(epochs) == 1 else 'epochs'} {shortened(', '.join(words), LISTED)}"


def append_time(folder: str | os.PathLike[str], epoch: int, seconds: float) -> None:
    """Appends the duration of an epoch, in seconds, to the run's file of times."""
    _append(pathlib.Path(folder) / TIMES, {"epoch": epoch, "seconds": seconds})


def seconds_of(folder: str | os.PathLike[str]) -> float:
    """Returns the total seconds of all epochs of the run, including repeated ones.

    For a search in stages and a study, the times of the runs in its folder are included.

    Raises:
        InputError: a complete line has no valid time; the message has the file and line number.
    """
    inner = (pathlib.Path(folder) / name for name in (STAGES, TRIALS))
    parts = (part for parts in inner if parts.is_dir() for part in parts.iterdir())
    return sum(times_of(folder)) + sum(sum(times_of(part)) for part in parts)


def times_of(folder: str | os.PathLike[str]) -> list[float]:
    """Returns the seconds of each of the run's own epochs, in the order in which they ended.

    Raises:
        InputError: see `seconds_of`.
    """
    path = pathlib.Path(folder) / TIMES
    times = []
    for number, line in enumerate(_read_lines(path), 1):
        seconds = line.get("seconds")
        if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            raise InputError(
                f"{path}, line {number}: Expected seconds of zero or more. Received: {shown(line)}"
            )
        times.append(float(seconds))
    return times
