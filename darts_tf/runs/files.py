"""Names of the files of a run, and functions that read and write them.

Files are replaced atomically, so that an interrupted run leaves no partial files.
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
from darts_tf.runtime.inputs import not_there
from darts_tf.runtime.strict_json import parse_json
from darts_tf.spaces import genotype

CONFIG = "config.json"
"""All settings of the run; a folder without this file is not a run."""
DATASET = "dataset.json"
"""The dataset's name, classes, preprocessing, and the test images that were held out of a folder
without any; for a text its name, sizes and digest."""
VOCABULARY = "vocabulary.txt"
"""The words of a text, one per line, in the order of the model's logits."""
GENOTYPE = genotype.FILE
ALPHAS = "alphas.npz"
"""Arrays `normal` and `reduce`, or `recurrent`, each of shape (edges, primitives)."""
HISTORY = "alphas_history.npz"
"""Arrays of `ALPHAS` stacked over epochs, and the array `epochs` with their indices."""
CONFIDENCE = "confidence.json"
"""Shares of resampled searches that make the choices of the genotype, see `confidence`."""
SELECTION = "selection"
"""Checkpoints of an unfinished selection by perturbation."""
METRICS = "metrics.jsonl"
"""Metrics: one JSON object per line, one line per epoch."""
TIMES = "times.jsonl"
"""Seconds of each epoch, one JSON object per line; repeated epochs have a line each time."""
MODEL = "model.keras"
EVALUATION = "evaluation.json"
"""Result of the network on the run's own test images, by class; see `evaluations`."""
EVALUATIONS = "evaluations"
"""Folder with results on other images, in files of the same format."""
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
"""Event files, for `darts-tf board`."""
STAGES = "stages"
"""Folder with a subfolder `1`, `2`, ... for the run of each stage of a search in stages."""
EDGE_PRIMITIVES = "edge_primitives.json"
"""Primitives of the alphas' columns, per cell and edge, if the space is not the paper's."""
STAGED = STAGES, EDGE_PRIMITIVES
"""Additional files of searches in stages, or in another space than the paper's."""

LOG = "run.log"
"""Log messages with their times."""
LOCK = ".lock"
"""Lock file, held by the process that executes the run."""

TABLES = ("compare.csv", "compare.md")
"""Results of a comparison, for programs and for people."""
PAGE = "report.html"
"""Report written by `darts-tf report`."""
RESULT = "result.json"
"""Result and cost of a finished job that is part of a larger one."""
REPORTS = ("select.json", "select.md")
"""Results of a protocol so far, for programs and for people."""
CLAIMS = "claims"
"""Folder with a lock for each run of a protocol, held by the process that executes it."""

TRIALS, TRIALS_TABLE, ORACLE, BEST = "trials", "trials.jsonl", "oracle", "best.json"
"""Files of a study: its runs, their results, the state of the oracle, the best settings."""

OF_MANY = (*TABLES, RESULT, *REPORTS, CLAIMS, TRIALS, TRIALS_TABLE, ORACLE, BEST)
"""Files of jobs that consist of several runs."""

NAMES = (
    *(CONFIG, DATASET, VOCABULARY, GENOTYPE, ALPHAS, HISTORY, CONFIDENCE, SELECTION),
    *(METRICS, TIMES, MODEL),
    *(EVALUATION, EVALUATIONS, CHECKPOINTS, TENSORBOARD, LOG, LOCK, PAGE),
    *(*STAGED, *OF_MANY),
)
"""Names of all files and subfolders that a run can create in its folder."""

_RUNS_HAVE = (
    *({"dataset", "workdir", "seed"}, {"dataset", "workdir", "seeds"}),
    {"over", "workdir", "seed"},
)
"""Sets of settings; every run has at least one of them. `configs.kind_of` returns its kind."""


def existing(workdir: str | os.PathLike[str], name: str) -> pathlib.Path:
    """Returns the path of a file of a finished run, such as `MODEL`.

    Raises:
        InputError: the run or the file does not exist.
    """
    path = pathlib.Path(workdir) / name
    if not path.is_file():
        raise InputError(
            f"Expected a run's folder with the file {name}. Received: {str(workdir)!r}"
        )
    return path


def is_run(folder: str | os.PathLike[str]) -> bool:
    """Returns whether the folder holds a run, finished or not."""
    path = pathlib.Path(folder) / CONFIG
    try:
        stored = read_json(path) if path.is_file() else None
    except InputError:
        return False
    return isinstance(stored, dict) and any(stored.keys() >= names for names in _RUNS_HAVE)


def is_text_run(folder: str | os.PathLike[str]) -> bool:
    """Returns whether the run in a folder is a run on text."""
    return (pathlib.Path(folder) / VOCABULARY).is_file()


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Writes a value as JSON, replacing the file atomically; accepts NumPy arrays and numbers."""
    atomic.write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]):
    """Returns the content of a JSON file.

    Raises:
        InputError: the file does not exist or is not JSON; the message names file and position.
    """
    try:
        return parse_json(pathlib.Path(path).read_bytes())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"Expected a file. Received: {str(path)!r}, {not_there(path)}") from error


def read_dataset(path: str | os.PathLike[str]) -> tuple[tuple[str, ...], dict]:
    """Returns the class names and the preprocessing, as a JSON object, of a run's dataset.

    Args:
        path: path of the run's `DATASET` file.

    Raises:
        InputError: the file does not exist, or has another content.
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


def searched_on(genotype: str | os.PathLike[str]) -> str | None:
    """Returns the dataset of the run that wrote a genotype; None if that is not known.

    Args:
        genotype: file in a run's folder, or the folder.
    """
    path = pathlib.Path(genotype)
    folder = path if path.is_dir() else path.parent
    if not path.exists() or not is_run(folder):
        return None
    stored = read_json(folder / CONFIG)
    dataset = stored.get("dataset") if isinstance(stored, dict) else None
    return dataset if isinstance(dataset, str) else None


def read_held_out(workdir: str | os.PathLike[str]) -> tuple[str, ...] | None:
    """Returns the names of a run's test images if they were held out of its folder; else None."""
    path = pathlib.Path(workdir) / DATASET
    stored = read_json(path) if path.is_file() else {}
    names = stored.get("held_out") if isinstance(stored, dict) else None
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"Expected a list of file names as held_out. Received: {str(path)!r}")
    return tuple(names)


def plain(value):
    """Converts a value to types that JSON has: numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value
