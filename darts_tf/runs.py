"""The folder of a run: its files' names, and how they are made, replaced and read.

Files are replaced whole, so that an interrupted run leaves nothing half written, and no file that
a run did not make is ever deleted.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
import shutil
import zipfile
from collections.abc import Mapping

import numpy as np

from darts_tf import files

CONFIG = "config.json"
"""All settings; the first file of a run."""
DATASET = "dataset.json"
"""The dataset's name, classes and preprocessing."""
GENOTYPE = "genotype.json"
ALPHAS = "alphas.npz"
"""Arrays `normal` and `reduce`, (edges, primitives)."""
METRICS = "metrics.jsonl"
"""One JSON object a line, one line an epoch."""
MODEL = "model.keras"
CHECKPOINTS = "checkpoints"

NAMES = (CONFIG, DATASET, GENOTYPE, ALPHAS, METRICS, MODEL, CHECKPOINTS, "tensorboard")
"""Everything that a run puts into its folder."""

_CONFIG_HAS = {"dataset", "workdir", "seed"}


def create(
    workdir: str | os.PathLike[str], *, overwrite: bool = False, resume: bool = False
) -> pathlib.Path:
    """Makes the folder of a run, or checks the one to resume; returns its path.

    Args:
        workdir: Where to. With neither of the other arguments it must be new or empty.
        overwrite: Delete the run that is in the folder. A folder with anything else in it is left
            as it is.
        resume: Keep the run that is in the folder.

    Raises:
        ValueError: The folder is not empty, holds no run to resume, or something else than a run.
    """
    folder = check(workdir, overwrite=overwrite, resume=resume)
    if overwrite and folder.is_dir():
        _delete_run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check(
    workdir: str | os.PathLike[str], *, overwrite: bool = False, resume: bool = False
) -> pathlib.Path:
    """Checks what `create` checks, and changes nothing; returns the folder's path.

    Raises:
        ValueError: as `create`.
    """
    folder = pathlib.Path(workdir)
    blocked = [path for path in (folder, *folder.parents) if path.is_file()]
    if blocked:
        raise ValueError(f"Expected workdir to be a folder. Received: the file {blocked[0]}")
    if resume:
        _check_run(folder, "resume")
    elif folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise ValueError(
                "Expected workdir to be a new or empty folder (or --overwrite, or --resume). "
                f"Received: workdir={str(folder)!r}, which is not empty"
            )
        _check_only_run(folder)
    return folder


def settings(config):
    """The config to run with: a resumed run keeps the settings that it was begun with.

    Raises:
        ValueError: `config.resume`, and the folder holds no run of this kind.
    """
    if not config.resume:
        return config
    _check_run(config.workdir, "resume")
    path = config.workdir / CONFIG
    try:
        begun = type(config).from_dict(read_json(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return dataclasses.replace(begun, workdir=config.workdir, overwrite=False, resume=True)


def begin(config, dataset) -> pathlib.Path:
    """Makes the run's folder, as `create` does, with the files that describe the run.

    Args:
        config: The run's settings; its `workdir`, `overwrite` and `resume` say where and how.
        dataset: What it runs on. Only the name, classes and preprocessing are written.

    Raises:
        ValueError: as `create`, or the dataset is not the one of the run to resume.
    """
    described = {
        "name": dataset.name,
        "classes": dataset.classes,
        "preprocessing": dataset.preprocessing.to_dict(),
    }
    if config.resume:
        _check_same_dataset(pathlib.Path(config.workdir) / DATASET, described)
    folder = create(config.workdir, overwrite=config.overwrite, resume=config.resume)
    if not config.resume:
        write_json(folder / DATASET, described)
        write_json(folder / CONFIG, {**config.to_dict(), "dataset": dataset.name})
    return folder


def _check_same_dataset(path: pathlib.Path, described: Mapping[str, object]) -> None:
    begun = read_json(path)
    differing = [name for name, value in _plain(described).items() if begun.get(name) != value]
    if differing:
        raise ValueError(
            f"Expected the dataset that the run was begun with, {path}. "
            f"Received: one with other {' and '.join(differing)}"
        )


def existing(workdir: str | os.PathLike[str], name: str) -> pathlib.Path:
    """The path of a file that a finished run has, such as `MODEL`.

    Raises:
        ValueError: The run or the file is not there.
    """
    path = pathlib.Path(workdir) / name
    if not path.is_file():
        raise ValueError(
            f"Expected a run's folder with the file {name}. Received: {str(workdir)!r}"
        )
    return path


def is_run(folder: str | os.PathLike[str]) -> bool:
    """Whether a run has been started in this folder."""
    path = pathlib.Path(folder) / CONFIG
    try:
        return path.is_file() and set(read_json(path)) >= _CONFIG_HAS
    except (TypeError, ValueError):
        return False


def write_json(path: str | os.PathLike[str], value: object) -> None:
    """Writes JSON text in place of `path`, atomically; NumPy's numbers are taken."""
    files.write_text(path, json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]):
    """What a JSON file holds.

    Raises:
        ValueError: No such file, or it is not JSON; with the file's name and the position.
    """
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        place = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise ValueError(f"{path}: expected JSON. Received: {place}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected JSON. Received: {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"Expected a file. Received: {str(path)!r}, which is not there") from error


def append_metrics(folder: str | os.PathLike[str], metrics: Mapping[str, object]) -> None:
    """Adds a line to the run's metrics at once; a number that is not finite becomes null."""
    line = json.dumps(_plain(metrics), allow_nan=False) + "\n"
    with open(pathlib.Path(folder) / METRICS, "a", encoding="utf-8") as file:
        file.write(line)


def read_metrics(folder: str | os.PathLike[str]) -> list[dict]:
    """All whole lines of the run's metrics; none where there is no file yet."""
    path = pathlib.Path(folder) / METRICS
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def keep_metrics(folder: str | os.PathLike[str], epochs: int) -> None:
    """Drops the lines whose `epoch` is `epochs` or later, before a run resumes at that epoch."""
    kept = [metrics for metrics in read_metrics(folder) if metrics["epoch"] < epochs]
    text = "".join(json.dumps(metrics) + "\n" for metrics in kept)
    files.write_text(pathlib.Path(folder) / METRICS, text)


ALPHAS_NAMES = ("normal", "reduce", "edges_normal", "edges_reduce")
"""The arrays in the file of architecture parameters, in the order of a supernet's `alphas`."""


def save_alphas(folder: str | os.PathLike[str], *alphas) -> None:
    """Replaces the run's architecture parameters: the arrays of a supernet's `alphas`."""
    arrays = dict(zip(ALPHAS_NAMES, map(np.asarray, alphas), strict=False))
    with files.replacing(pathlib.Path(folder) / ALPHAS) as path:
        np.savez(path, **arrays)


def load_alphas(folder: str | os.PathLike[str]) -> tuple[np.ndarray, ...]:
    """The run's architecture parameters, as `derive` takes them.

    Two arrays (edges, primitives), normal and reduction; after a search with partial channels two
    more, (edges,).

    Raises:
        ValueError: No such file, or it holds something else.
    """
    path = pathlib.Path(folder) / ALPHAS
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            needed = ALPHAS_NAMES if len(arrays.files) > 2 else ALPHAS_NAMES[:2]
            return tuple(arrays[name] for name in needed)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"Expected a file with the arrays normal and reduce. Received: {str(path)!r} ({error})"
        ) from error


def _check_run(folder: pathlib.Path, purpose: str) -> None:
    if not is_run(folder):
        raise ValueError(
            f"Expected workdir to hold a run to {purpose}, with its {CONFIG}. "
            f"Received: workdir={str(folder)!r}"
        )


def _check_only_run(folder: pathlib.Path) -> None:
    _check_run(folder, "overwrite")
    foreign = sorted(entry.name for entry in folder.iterdir() if not _is_ours(entry.name))
    if foreign:
        raise ValueError(
            "Expected workdir to hold nothing but the run to overwrite. "
            f"Received: workdir={str(folder)!r} with {', '.join(foreign[:5])}"
        )


def _delete_run(folder: pathlib.Path) -> None:
    # the config goes last: what is left of a deletion that fails is a run still
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == CONFIG):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _is_ours(name: str) -> bool:
    """A run's own file, or one that was being written when a run was killed."""
    return name in NAMES or any(name.startswith(f".{known}.") for known in NAMES)


def _plain(value):
    """The same with Python's own types, for JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value
