"""How a run begins, or begins again: its folder is checked, made, locked and described."""

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

from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runtime import atomic
from darts_tf.runtime.outputs import check_output_folder

_LOGGER = logging.getLogger("darts_tf")

MAY_DIFFER = {
    *("workdir", "overwrite", "resume", "strategy", "devices", "max_bad_steps"),
    *("checkpoint_steps", "checkpoint_minutes", "keep_checkpoints", "profile_steps"),
}
"""Settings that a resumed run may change: how it runs, not what it computes."""


def check_workdir(
    workdir: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = False,
    instead: str = "--overwrite, or --resume",
    name: str = "workdir",
) -> pathlib.Path:
    """Checks that a run can have this folder, and changes nothing; returns its path.

    Args:
        workdir: Where to. With neither of the other arguments it must be new or empty.
        overwrite: The run that is in the folder is to be deleted. A folder with anything else in it
            is left as it is.
        resume: The run that is in the folder is to be gone on with.
        instead: The flags that permit a folder with a run, for an error.
        name: The setting that holds the path, for an error.

    Raises:
        InputError: The folder is not empty, holds no run to resume, or something else than a run,
            or cannot be looked into.
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
    """Within this block an error of the file system is one of the workdir that was given."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "Expected a workdir that can be read and written to. "
            f"Received: {str(folder)!r} ({error.strerror})"
        ) from error


def resumed(config_class, workdir: str | os.PathLike[str]):
    """The settings that the run in a folder was begun with, set to resume it.

    Raises:
        InputError: The folder holds no run of this kind.
    """
    folder = pathlib.Path(workdir)
    path = folder / files.CONFIG
    with _usable(folder):
        _check_run(folder, "resume")
        settings = files.read_json(path)
    try:
        begun = config_class.from_dict(settings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return dataclasses.replace(begun, workdir=folder, overwrite=False, resume=True)


@contextlib.contextmanager
def started_run(config, dataset, genotype=None, writes: bool = True) -> Iterator[pathlib.Path]:
    """Within this block a run has its folder for itself.

    Makes the folder as `config` asks, locks it, has the log written into it, and writes the files
    that describe the run, the settings last: what has none is not yet a run.

    Args:
        config: The run's settings; its `workdir`, `overwrite` and `resume` say where and how.
        dataset: What it runs on. Only the name, classes and preprocessing are written, or a text's
            vocabulary. None for a comparison or a protocol, whose runs each have theirs.
        genotype: What it trains, kept with it; a search has none yet.
        writes: Whether this process does all of this; of several workers one does.

    Yields:
        The folder.

    Raises:
        InputError: As `check_workdir`; the folder cannot be written to, is in use, or holds a run
            with other settings or another dataset.
    """
    folder = pathlib.Path(config.workdir)
    if not writes:
        yield folder
        return
    options = {"overwrite": config.overwrite, "resume": config.resume}
    check_workdir(folder, **options)
    described = {} if dataset is None else _description(dataset)
    if config.resume:
        _check_same_run(config, folder, described)
    with contextlib.ExitStack() as stack:
        with _usable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder))
            check_workdir(folder, **options)  # nobody else can change it now
            if not config.resume:
                _delete_run(folder)
            stack.enter_context(_logged(folder))
            if not config.resume:
                _describe(folder, config, dataset, described, genotype)
        yield folder


def _description(dataset) -> dict[str, object]:
    if hasattr(dataset, "vocabulary"):
        return {"name": dataset.name, **dataset.description()}
    return files.plain(
        {
            "name": dataset.name,
            "classes": dataset.classes,
            "images": {"train": dataset.train.size, "test": dataset.test.size},
            "preprocessing": dataset.preprocessing.to_dict(),
        }
    )


def _describe(folder, config, dataset, described, genotype) -> None:
    if described:
        files.write_json(folder / files.DATASET, described)
    if hasattr(dataset, "vocabulary"):
        atomic.write_text(folder / files.VOCABULARY, dataset.vocabulary.to_text())
    if genotype is not None:
        genotype.save(folder / files.GENOTYPE)
    files.write_json(folder / files.CONFIG, config.to_dict())


def _check_same_run(config, folder: pathlib.Path, described: Mapping[str, object]) -> None:
    now, before = config.to_dict(), resumed(type(config), folder).to_dict()
    check_same_settings(folder / files.CONFIG, before, now, config.may_differ)
    path = folder / files.DATASET
    known = files.read_json(path) if described else {}
    known = known if isinstance(known, dict) else {}
    differing = [name for name, value in described.items() if known.get(name) != value]
    if differing:
        raise InputError(
            f"Expected the dataset that the run was begun with, {path}. "
            f"Received: one with other {' and '.join(differing)}"
        )


def check_same_settings(
    path,
    begun: Mapping[str, object],
    now: Mapping[str, object],
    may_differ: Iterable[str] = (),
) -> None:
    """Refuses to go on with settings that a run was not begun with.

    Args:
        path: the file that has those, for the error.
        begun: the settings then.
        now: the settings now; those of `MAY_DIFFER` are not compared.
        may_differ: further ones that are not.

    Raises:
        InputError: names the first field that differs.
    """
    for name in sorted({*begun, *now} - MAY_DIFFER - {*may_differ}):
        if begun.get(name) != now.get(name):
            raise InputError(
                f"Expected {name}={shown(begun.get(name))}, with which the run was begun ({path}). "
                f"Received: {name}={shown(now.get(name))}"
            )


def locked(folder: pathlib.Path) -> AbstractContextManager[None]:
    """Within this block no other process gets the folder; a process that dies gives it back."""
    return atomic.locked(
        folder / files.LOCK,
        "Expected a workdir that no other process is running in. "
        f"Received: workdir={str(folder)!r}, which one is",
    )


@contextlib.contextmanager
def _logged(folder: pathlib.Path) -> Iterator[None]:
    """Within this block the log goes to the folder too, with what has been held back for it."""
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
            held.buffer.clear()  # what this run has logged is not for the next
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
    """The folders in that of a comparison or a protocol which hold nothing but its runs."""
    if not {"genotypes", "final_seeds"} & files.read_json(folder / files.CONFIG).keys():
        return set()
    found = set()
    for path in folder.iterdir():
        with contextlib.suppress(InputError, NotADirectoryError):
            for run in path.iterdir():
                if not _is_unused(run):
                    _check_only_run(run)
            found.add(path)
    return found


def _is_unused(folder: pathlib.Path) -> bool:
    """Empty, but for what is left of a beginning that was stopped before the settings stood."""
    names = {entry.name for entry in folder.iterdir()}
    kept = {name for name in names if not _is_passing(name)}
    first = {files.DATASET, files.VOCABULARY, files.GENOTYPE, files.LOG}
    return not kept or (files.LOCK in names and kept <= first)


def _delete_run(folder: pathlib.Path) -> None:
    # the config goes last: what is left of a deletion that fails is a run still
    entries = [entry for entry in folder.iterdir() if entry.name != files.LOCK]
    for entry in sorted(entries, key=lambda entry: entry.name == files.CONFIG):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _is_ours(name: str) -> bool:
    """A run's own file, or one that was being written when a run was killed."""
    return name in files.NAMES or _is_passing(name)


def _is_passing(name: str) -> bool:
    """The lock, or what is left of a file that was being written when a run was killed."""
    return name == files.LOCK or any(name.startswith(f".{known}.") for known in files.NAMES)
