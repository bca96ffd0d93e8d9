"""What jobs are given: data, genotypes, a folder; and the settings that follow from them."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from darts_tf.configs import ON_TEXT, RunConfig, SearchConfig, kind_of, text_datasets
from darts_tf.data import (
    ImageDataset,
    TextDataset,
    lasting_name,
    load_text,
    make_dataset,
)
from darts_tf.data.defaults import of_folder
from darts_tf.data.user_dataset import ARRAYS
from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.zoo import load_genotype
from darts_tf.training.images import dataset_of

DATA = (
    "a name or a folder, arrays (x, y), a tf.data.Dataset, a pair (train, test) of these, or a "
    "data set of make_dataset, load_dataset or load_text"
)
"""Forms of `data` in error messages."""

PHOTOS = "photos"
"""Preset of all images but the embedded digits."""

RUNS = pathlib.Path("runs")
"""Folder for the runs that are given none."""


def name_of(data) -> str:
    """Returns the name that a run stores for its data.

    Raises:
        InputError: data in none of the forms.
    """
    if isinstance(data, ImageDataset | TextDataset):
        return data.name
    if isinstance(data, str | os.PathLike):
        return lasting_name(data)
    if isinstance(data, tf.data.Dataset | list | tuple):
        return ARRAYS
    raise InputError(f"Expected data to be {DATA}. Received: {shown(data)}")


def is_text(data) -> bool:
    """Returns whether data is a text, by its name or folder."""
    if isinstance(data, str | os.PathLike):
        return text_datasets.is_text(data)
    return isinstance(data, TextDataset)


def loaded(config, data) -> ImageDataset | TextDataset:
    """Returns the data set of a run.

    Args:
        config: settings of the run: the size of the images, the limit, the seed.
        data: in one of the forms `DATA`. A data set is returned as it is.

    Raises:
        InputError: unknown or bad data.
    """
    if isinstance(data, ImageDataset | TextDataset):
        return data
    if config.on_text:
        return load_text(data, limit=config.limit)
    if isinstance(data, str | os.PathLike):
        return dataset_of(dataclasses.replace(config, dataset=lasting_name(data)))
    pair = data if _is_train_and_test(data) else (data, None)
    options = {"image_size": config.image_size, "resize": config.resize}
    return make_dataset(*pair, limit=config.limit, seed=config.seed, **options)


def _is_train_and_test(data) -> bool:
    """Returns whether data is a pair of data sets, and not one of images and labels."""
    if not isinstance(data, list | tuple) or len(data) != 2:
        return False
    return all(isinstance(part, tf.data.Dataset | tuple) and _has_two(part) for part in data)


def _has_two(part) -> bool:
    return isinstance(part, tf.data.Dataset) or len(part) == 2


class Cells(NamedTuple):
    """Cells to train, and where they are from.

    Attributes:
        genotype: the cells.
        text: name or file of the genotype for the settings of a run; None if it has neither.
        data: the data of the search that found them; None if unknown.
    """

    genotype: AnyGenotype
    text: str | None
    data: Any


def cells_of(source, on_text: bool = False) -> Cells:
    """Returns the cells of a result, a run's folder, a genotype, its name or its file.

    Args:
        source: one of these.
        on_text: whether a name is that of a recurrent cell.

    Raises:
        InputError: something else, or a folder without a genotype.
    """
    if isinstance(source, AnyGenotype):
        return Cells(source, None, None)
    if hasattr(source, "genotype") and hasattr(source, "workdir"):
        text = str(pathlib.Path(source.workdir) / files.GENOTYPE)
        return Cells(source.genotype, text, getattr(source, "data", None))
    if not isinstance(source, str | os.PathLike):
        raise InputError(
            "Expected the result of a search, a genotype, its name or file, or the folder of a "
            f"run. Received: {shown(source)}"
        )
    if os.path.isdir(source):
        path = files.existing(source, files.GENOTYPE)
        return Cells(load_genotype(path, recurrent=None), str(path), stored_data(source))
    genotype = load_genotype(source, recurrent=True if on_text else None)
    data = files.searched_on(os.fspath(source))
    return Cells(genotype, os.fspath(source), None if data == ARRAYS else data)


def data_of(run, config):
    """Returns the data of a run that is given as its result or its folder.

    Args:
        run: a result, or a folder.
        config: settings of the run. If only another program has its data, their name is returned,
            which `loaded` refuses.
    """
    data = getattr(run, "data", None)
    return config.dataset if data is None else data


def stored_data(workdir) -> str | None:
    """Returns the name of the data of the run in a folder; None for arrays, and without a run."""
    if not files.is_run(workdir):
        return None
    name = files.read_json(pathlib.Path(workdir) / files.CONFIG).get("dataset")
    return name if name != ARRAYS else None


def settings_of(kind: type[RunConfig], data, preset, workdir, settings, **own) -> RunConfig:
    """Returns the settings of a run.

    Args:
        kind: a config class of `configs`, for images; its counterpart is taken for a text.
        data: in one of the forms `DATA`; None for a job that loads none.
        preset: name of the preset; None for `usual_preset`.
        workdir: folder of the run; None for a free one below `RUNS`.
        settings: further fields of the config class. With `resume` they must be those of the run.
        **own: fields that the job itself sets.

    Raises:
        InputError: an unknown preset or setting, an invalid value, or no run to resume.
    """
    on_text = ON_TEXT.get(kind)
    if on_text and is_text(data):
        kind = on_text
    if settings.get("resume"):
        if workdir is None:
            raise InputError("Expected workdir, the folder of the run to resume. Received: None")
        stored = run_folder.resumed(kind, workdir)
        known = {} if preset is None else {"preset": preset}
        return kind.from_dict({**stored.to_dict(), **known, **settings})
    workdir = free_folder(kind.command) if workdir is None else workdir
    given = {**own, **settings, "workdir": os.fspath(workdir)}
    if data is not None:  # else the preset's
        given.setdefault("dataset", name_of(data))
    return kind.from_preset(preset or usual_preset(kind, data), **given)


def usual_preset(kind: type, data) -> str:
    """Returns the preset for data when none is given: that of the config class, or `photos`.

    Args:
        kind: a config class.
        data: in one of the forms `DATA`; None for a job that loads none.
    """
    own = data is None or is_text(data) or name_of(data) == SearchConfig.dataset
    return kind.preset if own else PHOTOS


def suited(config: RunConfig, dataset, settings: Mapping[str, Any]) -> RunConfig:
    """Returns settings of a new run that follow the number and the size of its images.

    Small data sets get small batches and, by the preset `photos`, many epochs.

    Args:
        config: settings that do not follow the images yet; those of a resumed run do.
        dataset: the data set of the run.
        settings: the settings that were given, which stay.
    """
    if config.on_text or config.resume:
        return config
    held_out = getattr(config, "validation_split", 0.0)
    count = dataset.train.size - round(dataset.train.size * held_out)
    count //= 2 if config.searches else 1
    size = dataset.preprocessing
    changed = {"batch_size": max(1, min(count, config.batch_size))}
    if config.preset == PHOTOS:
        side = min(size.height, size.width)
        changed = of_folder(config.dataset, count, searches=config.searches, image_size=side)
    changed = {name: value for name, value in changed.items() if name not in settings}
    return dataclasses.replace(config, **changed)


def free_folder(job: str) -> pathlib.Path:
    """Returns the first of `runs/JOB-1`, `runs/JOB-2`, ... that does not exist."""
    number = 1
    while (RUNS / f"{job}-{number}").exists():
        number += 1
    return RUNS / f"{job}-{number}"


def workdir_of(run) -> pathlib.Path:
    """Returns the folder of a result, or of a run that is given by its folder.

    Raises:
        InputError: neither.
    """
    folder = getattr(run, "workdir", run)
    if not isinstance(folder, str | os.PathLike):
        raise InputError(f"Expected a result or the folder of a run. Received: {shown(run)}")
    return pathlib.Path(folder)


def config_of(workdir: pathlib.Path):
    """Returns the settings of the run in a folder.

    Raises:
        InputError: no run in the folder.
    """
    stored = files.read_json(files.existing(workdir, files.CONFIG))
    return kind_of(stored).from_dict(stored)
