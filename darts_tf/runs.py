"""The files of a run: their names, and how they are made, replaced and read.

Files are replaced whole, so that an interrupted run leaves nothing half written, and no file that
a run did not make is ever deleted.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from darts_tf.errors import InputError
from darts_tf.names import SHOWN, first_line, shortened, shown
from darts_tf.runtime import atomic
from darts_tf.runtime.strict_json import parse_json

CONFIG = "config.json"
"""All settings; a folder without them is no run."""
DATASET = "dataset.json"
"""The dataset's name, classes and preprocessing; of a text its name, sizes and digest."""
VOCABULARY = "vocabulary.txt"
"""The words of a text, one a line in the order of a model's logits."""
GENOTYPE = "genotype.json"
ALPHAS = "alphas.npz"
"""Arrays `normal` and `reduce`, or `recurrent`, (edges, primitives)."""
HISTORY = "alphas_history.npz"
"""The same of every epoch, stacked, and the array `epochs`."""
SELECTION = "selection"
"""Checkpoints of a selection by perturbation that is under way."""
METRICS = "metrics.jsonl"
"""One JSON object a line, one line an epoch."""
TIMES = "times.jsonl"
"""The same of the seconds that each epoch took; those that were done again count again."""
MODEL = "model.keras"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
"""Event files, for `darts-tf board`."""
STAGES = "stages"
"""Folders `1`, `2` and so on, each a search's run: the stages of a search that has some."""
EDGE_PRIMITIVES = "edge_primitives.json"
"""What the columns of the alphas stand for, where that is not the paper's space."""
STAGED = STAGES, EDGE_PRIMITIVES
"""What searches in stages, or in another space than the paper's, have beside all others."""

LOG = "run.log"
"""What happened and when, for people."""
LOCK = ".lock"
"""Held by the process that runs."""

TABLES = ("compare.csv", "compare.md")
"""What a comparison found, for programs and for people."""
PAGE = "report.html"
"""What `darts-tf report` makes of all this, for people."""
RESULT = "result.json"
"""What a job among others has found and cost, once it has ended."""
REPORTS = ("select.json", "select.md")
"""What a protocol has found so far, for programs and for people."""
CLAIMS = "claims"
"""A lock for each run of a protocol, held by the process that does it."""

TRIALS, TRIALS_TABLE, ORACLE, BEST = "trials", "trials.jsonl", "oracle", "best.json"
"""Of a study: its runs, what they said, the state of what chooses them, and the best settings."""

OF_MANY = (*TABLES, RESULT, *REPORTS, CLAIMS, TRIALS, TRIALS_TABLE, ORACLE, BEST)
"""What jobs of many runs have, and no search or training of its own."""

NAMES = (
    *(CONFIG, DATASET, VOCABULARY, GENOTYPE, ALPHAS, HISTORY, SELECTION, METRICS, TIMES, MODEL),
    *(CHECKPOINTS, TENSORBOARD, LOG, LOCK, PAGE),
    *(*STAGED, *OF_MANY),
)
"""Everything that a run puts into its folder."""

_CONFIG_HAS = (
    *({"dataset", "workdir", "seed"}, {"dataset", "workdir", "seeds"}),
    {"over", "workdir", "seed"},
)


def existing(workdir: str | os.PathLike[str], name: str) -> pathlib.Path:
    """The path of a file that a finished run has, such as `MODEL`.

    Raises:
        InputError: The run or the file is not there.
    """
    path = pathlib.Path(workdir) / name
    if not path.is_file():
        raise InputError(
            f"Expected a run's folder with the file {name}. Received: {str(workdir)!r}"
        )
    return path


def is_run(folder: str | os.PathLike[str]) -> bool:
    """Whether a run has been started in this folder."""
    path = pathlib.Path(folder) / CONFIG
    try:
        stored = read_json(path) if path.is_file() else None
    except InputError:
        return False
    return isinstance(stored, dict) and any(stored.keys() >= names for names in _CONFIG_HAS)


def is_text_run(folder: str | os.PathLike[str]) -> bool:
    """Whether the run in a folder is one on text."""
    return (pathlib.Path(folder) / VOCABULARY).is_file()


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Writes JSON text in place of `path`, atomically; NumPy's numbers are taken."""
    atomic.write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]):
    """What a JSON file holds.

    Raises:
        InputError: No such file, or it is not JSON; with the file's name and the position.
    """
    try:
        return parse_json(pathlib.Path(path).read_bytes())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"Expected a file. Received: {str(path)!r}, which is not there") from error


def read_dataset(path: str | os.PathLike[str]) -> tuple[tuple[str, ...], dict]:
    """Classes and preprocessing, as a JSON object, of the dataset that a run is on.

    Args:
        path: of its `DATASET`.

    Raises:
        InputError: No such file, or it holds something else.
    """
    stored = read_json(path)
    parts = stored if isinstance(stored, dict) else {}
    classes, preprocessing = parts.get("classes"), parts.get("preprocessing")
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not named or not isinstance(preprocessing, dict):
        raise InputError(
            f"Expected a file with classes and preprocessing. Received: {str(path)!r} without them"
        )
    return tuple(classes), preprocessing


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


ALPHAS_NAMES = ("normal", "reduce", "edges_normal", "edges_reduce")
"""The arrays in the file of architecture parameters, in the order of a supernet's `alphas`."""
RECURRENT_ALPHAS = ("recurrent",)
"""The same of a recurrent supernet."""


def save_alphas(folder: str | os.PathLike[str], *alphas) -> None:
    """Replaces the run's architecture parameters: the arrays of a supernet's `alphas`."""
    save_arrays(pathlib.Path(folder) / ALPHAS, named_alphas(alphas))


def named_alphas(alphas) -> dict[str, np.ndarray]:
    """The arrays of a supernet's `alphas` by the names that files give them."""
    names = RECURRENT_ALPHAS if len(alphas) == 1 else ALPHAS_NAMES
    return dict(zip(names, map(np.asarray, alphas), strict=False))


def save_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Replaces a file of arrays by their names."""
    with atomic.replacing(path) as written:
        np.savez(written, **arrays)


def load_alphas(folder: str | os.PathLike[str]) -> tuple[np.ndarray, ...]:
    """The run's architecture parameters, as `derive` or `derive_recurrent` takes them.

    Two arrays (edges, primitives), normal and reduction; after a search with partial channels two
    more, (edges,). After a search on text one, (edges, primitives).

    Raises:
        InputError: No such file, or it holds something else.
    """
    path = pathlib.Path(folder) / ALPHAS
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            needed = ALPHAS_NAMES if len(arrays.files) > 2 else ALPHAS_NAMES[:2]
            if set(RECURRENT_ALPHAS) <= set(arrays.files):
                needed = RECURRENT_ALPHAS
            return tuple(_checked_alphas(name, arrays[name]) for name in needed)
    except Exception as error:  # a damaged archive fails in a dozen ways, of zipfile and NumPy
        reason = shortened(first_line(error), SHOWN)
        raise InputError(
            "Expected a file with the arrays normal and reduce, or recurrent. "
            f"Received: {str(path)!r} ({reason})"
        ) from error


def _checked_alphas(name: str, array) -> np.ndarray:
    dimensions = 1 if name.startswith("edges") else 2
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim != dimensions:
        raise ValueError(f"{name} is no array of floating-point numbers in {dimensions} dimensions")
    return array


def plain(value):
    """The same with Python's own types, for JSON."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value
