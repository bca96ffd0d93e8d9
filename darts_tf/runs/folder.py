"""The folder of a run: checks, creates, locks and resumes it.

No file that a run did not create is ever deleted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import logging.handlers
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

import numpy as np

from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runtime import atomic
from darts_tf.runtime.outputs import check_output_folder

_LOGGER = logging.getLogger("darts_tf")

MAY_DIFFER = {
    *("workdir", "overwrite", "resume", "strategy", "devices", "max_bad_steps"),
    *("checkpoint_steps", "checkpoint_minutes", "keep_checkpoints", "profile_steps"),
}
"""Settings that a resumed run may change, because they do not change what it computes."""


def check_workdir(
    workdir: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = False,
    instead: str = "--overwrite, or --resume",
    name: str = "workdir",
) -> pathlib.Path:
    """Checks that a run can use this folder, without changing it; returns its path.

    Args:
        workdir: the folder. Must be new or empty, unless `overwrite` or `resume` is set.
        overwrite: whether an existing run in the folder will be deleted. The folder must then
            contain no other files.
        resume: whether the run in the folder will be resumed.
        instead: flags that permit a folder with a run, for the error message.
        name: name of the setting that holds the path, for the error message.

    Raises:
        InputError: the folder is not empty, has no run to resume, has other files than those of a
            run, or cannot be read.
    """
    folder = pathlib.Path(workdir)
    with _usable(folder):
        _check_usable(name, folder, overwrite, resume, instead)
    return folder


def _check_usable(
    name: str, folder: pathlib.Path, overwrite: bool, resume: bool, instead: str
) -> None:
    check_output_folder(name, folder, _is_unused, overwrite or resume, instead)
    if resume:
        _check_run(folder, "resume")
    elif folder.is_dir() and not _is_unused(folder):
        _check_only_run(folder)


@contextlib.contextmanager
def _usable(folder: pathlib.Path) -> Iterator[None]:
    """Context manager: turns errors of the file system into an `InputError` on the workdir."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "Expected a workdir that can be read and written to. "
            f"Received: {str(folder)!r} ({error.strerror})"
        ) from error


def resumed(config_class, workdir: str | os.PathLike[str]):
    """Returns the stored settings of the run in a folder, with `resume` set.

    Raises:
        InputError: the folder has no run with settings of this class.
    """
    folder = pathlib.Path(workdir)
    path = folder / files.CONFIG
    with _usable(folder):
        _check_run(folder, "resume")
        settings = files.read_json(path)
    try:
        stored = config_class.from_dict(settings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return dataclasses.replace(stored, workdir=folder, overwrite=False, resume=True)


@contextlib.contextmanager
def started_run(config, dataset, genotype=None, writes: bool = True) -> Iterator[pathlib.Path]:
    """Context manager: prepares the folder of a run and locks it for this process.

    Creates the folder, or empties it to overwrite, locks it, writes the log to it, and writes the
    files that describe the run. The settings are written last: a folder without them is not a run.
    If the block raises before the run's first checkpoint, these files are deleted again.

    Args:
        config: settings of the run, with `workdir`, `overwrite` and `resume`.
        dataset: dataset of the run, of which the name, sizes, classes and preprocessing are
            written, or the vocabulary of a text. None for a job of several runs, each of which has
            its own.
        genotype: genotype to train, written to the folder; None for a search.
        writes: whether this process does all of this; of several workers exactly one does.

    Yields:
        The folder.

    Raises:
        InputError: see `check_workdir`; or the folder is not writable, is in use, or has a run
            with other settings or another dataset.
    """
    folder = pathlib.Path(config.workdir)
    if not writes:
        yield folder
        return
    options = {"overwrite": config.overwrite, "resume": config.resume}
    check_workdir(folder, **options)
    description = {} if dataset is None else _description(dataset)
    if config.resume:
        _check_same_run(config, folder, description)
    with contextlib.ExitStack() as stack:
        with _usable(folder):
            if not folder.exists():
                stack.callback(_remove_if_unused, folder)
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder))
            check_workdir(folder, **options)  # again: it may have changed before it was locked
            if not config.resume:
                _delete_run(folder)
            stack.enter_context(_logged(folder))
            if config.resume:
                _store_growth(config, folder)
            else:
                _describe(folder, config, dataset, description, genotype)
        try:
            yield folder
        except Exception:
            if not config.resume and _has_only_begun(folder):
                _delete_run(folder)
            raise


def _description(dataset) -> dict[str, object]:
    if hasattr(dataset, "vocabulary"):
        return {"name": dataset.name, **dataset.description()}
    counts = _class_counts(dataset)
    return files.plain(
        {
            "name": dataset.name,
            "classes": dataset.classes,
            "images": {"train": dataset.train.size, "test": dataset.test.size},
            **({"class_counts": counts} if counts else {}),
            "preprocessing": dataset.preprocessing.to_dict(),
            **({} if dataset.held_out is None else {"held_out": dataset.held_out}),
            "digest": dataset.digest(),
        }
    )


def _class_counts(dataset) -> dict[str, list[int]]:
    """Returns the number of images of every class, for the splits whose labels are known."""
    splits = {"train": dataset.train, "test": dataset.test}
    labels = {name: getattr(split, "labels", None) for name, split in splits.items()}
    return {
        name: np.bincount(known, minlength=len(dataset.classes))
        for name, known in labels.items()
        if known is not None
    }


def _describe(folder, config, dataset, description, genotype) -> None:
    if description:
        files.write_json(folder / files.DATASET, description)
    if hasattr(dataset, "vocabulary"):
        atomic.write_text(folder / files.VOCABULARY, dataset.vocabulary.to_text())
    if genotype is not None:
        genotype.save(folder / files.GENOTYPE)
    files.write_json(folder / files.CONFIG, config.to_dict())


def _remove_if_unused(folder: pathlib.Path) -> None:
    """Removes a folder in which nothing was written."""
    with contextlib.suppress(OSError):
        if {entry.name for entry in folder.iterdir()} <= {files.LOCK}:
            (folder / files.LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _store_growth(config, folder: pathlib.Path) -> None:
    """Stores the settings that a resumed run has increased, for later resumptions."""
    stored = files.read_json(folder / files.CONFIG)
    grown = {name: getattr(config, name) for name in config.may_grow}
    if any(stored.get(name, value) != value for name, value in grown.items()):
        files.write_json(folder / files.CONFIG, {**stored, **grown})


def _has_only_begun(folder: pathlib.Path) -> bool:
    """Returns whether a run has only the files that it starts with, and no checkpoint."""
    kept = {entry.name for entry in folder.iterdir() if not _is_passing(entry.name)}
    checkpoints = folder / files.CHECKPOINTS
    empty = not checkpoints.is_dir() or not any(checkpoints.iterdir())
    return empty and kept <= {*_FIRST, files.CONFIG, files.EDGE_PRIMITIVES, files.CHECKPOINTS}


def _check_same_run(config, folder: pathlib.Path, description: Mapping[str, object]) -> None:
    now, before = config.to_dict(), resumed(type(config), folder).to_dict()
    options = {"may_differ": config.may_differ, "may_grow": config.may_grow}
    check_same_settings(folder / files.CONFIG, before, now, **options)
    path = folder / files.DATASET
    known = files.read_json(path) if description else {}
    known = known if isinstance(known, dict) else {}
    new = {"class_counts", "digest"} - known.keys()  # runs of earlier versions do not have them
    differing = [
        name for name, value in description.items() if known.get(name) != value and name not in new
    ]
    if differing:
        raise InputError(
            f"Expected the dataset that the run was begun with, {path}. "
            f"Received: {_words_of_change(description, differing)}"
        )


_DIGESTS = {"digest": "images", "text": "text"}
"""Entries of `files.DATASET` that change with the data, and the words for what they hash."""


def _words_of_change(description: Mapping[str, object], differing: Iterable[str]) -> str:
    """Describes a dataset that is not the one that a run was begun with."""
    changed = [_DIGESTS[name] for name in differing if name in _DIGESTS]
    others = [name for name in differing if name not in _DIGESTS]
    if changed and set(others) <= {"preprocessing", "class_counts"}:  # which change with the images
        return f"{shown(description['name'])}, but its {changed[0]} changed since then"
    return f"one with other {' and '.join(others or differing)}"


def check_same_settings(
    path,
    before: Mapping[str, object],
    now: Mapping[str, object],
    may_differ: Iterable[str] = (),
    may_grow: Iterable[str] = (),
) -> None:
    """Checks that a run is resumed with the settings it was started with.

    Args:
        path: file with the stored settings, for the error message.
        before: the stored settings.
        now: the settings now; those in `MAY_DIFFER` are not compared.
        may_differ: further settings that are not compared.
        may_grow: settings that may be larger now.

    Raises:
        InputError: a setting differs; the message names the first one.
    """
    grown = {name for name in may_grow if now[name] >= before.get(name, now[name])}
    names = {*before, *now} - MAY_DIFFER - {*may_differ} - grown
    # the preset first, since it decides others
    for name in sorted(names, key=lambda name: (name != "preset", name)):
        if before.get(name) != now.get(name):
            raise InputError(
                f"Expected {name}={shown(before.get(name))}, with which the run started ({path}). "
                f"Received: {name}={shown(now.get(name))}"
            )


def locked(folder: pathlib.Path) -> AbstractContextManager[None]:
    """Context manager: locks the folder; the lock of a process that dies is released."""
    return atomic.locked(
        folder / files.LOCK,
        "Expected a workdir that no other process is running in. "
        f"Received: workdir={str(folder)!r}, which one is",
    )


@contextlib.contextmanager
def _logged(folder: pathlib.Path) -> Iterator[None]:
    """Context manager: also writes the log to the folder, starting with the buffered messages."""
    handler = logging.FileHandler(folder / files.LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = _LOGGER.level
    _LOGGER.setLevel(logging.INFO)
    held_back = [h for h in _LOGGER.handlers if isinstance(h, logging.handlers.MemoryHandler)]
    for held in held_back:
        held.setTarget(handler)
        held.flush()
        held.setTarget(None)
    _LOGGER.addHandler(handler)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        for held in held_back:
            held.buffer.clear()  # messages of this run must not appear in the log of the next
        _LOGGER.setLevel(level)
        handler.close()


def _check_run(folder: pathlib.Path, purpose: str) -> None:
    if not files.is_run(folder):
        raise InputError(
            f"Expected workdir to hold a run to {purpose}, with its {files.CONFIG}. "
            f"Received: workdir={str(folder)!r}"
        )


def _check_only_run(folder: pathlib.Path) -> None:
    _check_run(folder, "overwrite")
    entries = set(folder.iterdir()) - _compared(folder)
    foreign = sorted(entry.name for entry in entries if not _is_ours(entry.name))
    if foreign:
        raise InputError(
            "Expected workdir to hold nothing but the run to overwrite. "
            f"Received: workdir={str(folder)!r} with {', '.join(foreign[:5])}"
        )


def _compared(folder: pathlib.Path) -> set[pathlib.Path]:
    """Returns the subfolders of a comparison or protocol that contain only its runs."""
    if not {"genotypes", "final_seeds"} & files.read_json(folder / files.CONFIG).keys():
        return set()
    folders_of_runs = set()
    for path in folder.iterdir():
        with contextlib.suppress(InputError, NotADirectoryError):
            for run in path.iterdir():
                if not _is_unused(run):
                    _check_only_run(run)
            folders_of_runs.add(path)
    return folders_of_runs


def _is_unused(folder: pathlib.Path) -> bool:
    """Returns whether a folder is empty, except for files of a run killed before its config."""
    names = {entry.name for entry in folder.iterdir()}
    kept = {name for name in names if not _is_passing(name)}
    return not kept or (files.LOCK in names and kept <= _FIRST)


_FIRST = {files.DATASET, files.VOCABULARY, files.GENOTYPE, files.LOG}
"""Files that are written before the settings."""


def _delete_run(folder: pathlib.Path) -> None:
    # delete the config last, so that after a failed deletion the folder is still known as a run
    entries = [entry for entry in folder.iterdir() if entry.name != files.LOCK]
    for entry in sorted(entries, key=lambda entry: entry.name == files.CONFIG):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _is_ours(name: str) -> bool:
    """Returns whether a name is that of a run's file, finished or temporary."""
    return name in files.NAMES or _is_passing(name)


def _is_passing(name: str) -> bool:
    """Returns whether a name is that of the lock, or of a temporary file of a killed run."""
    return name == files.LOCK or any(name.startswith(f".{known}.") for known in files.NAMES)
