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

_RUNS_HAVE = (
    *({"dataset", "workdir", "seed"}, {"dataset", "workdir", "seeds"}),
    {"over", "workdir", "seed"},
)
"""Settings of which every kind of run has one set. `configs.kind_of` tells the kinds apart."""


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
    return isinstance(stored, dict) and any(stored.keys() >= names for names in _RUNS_HAVE)


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
