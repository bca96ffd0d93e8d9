"""The contents of a run's folder, read and checked for reports. No TensorFlow, no HTML."""

from __future__ import annotations

import dataclasses
import pathlib
import re

from darts_tf import configs
from darts_tf.configs import kind_of
from darts_tf.configs.base import JobConfig
from darts_tf.configs.images import training_recipe
from darts_tf.costs.formulas import network_costs, word_costs
from darts_tf.costs.parts import Target
from darts_tf.errors import InputError, listed, shown
from darts_tf.report.alpha_maps import Moves, moves_of
from darts_tf.report.job_tables import Table, table_of
from darts_tf.runs import files
from darts_tf.runs.confidence import Confidence, load_confidence
from darts_tf.runs.evaluations import Evaluation, evaluations_of
from darts_tf.runs.log import Log, log_of, reading
from darts_tf.runs.metrics import read_metrics, times_of
from darts_tf.runs.soundness import doubts_of, doubts_of_accuracy
from darts_tf.runtime.inputs import not_there
from darts_tf.search import early_stopping
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.zoo import load_genotype

LAST_EPOCH = 2**31
"""Exclusive upper bound on epochs, and on sizes; larger numbers are errors."""


@dataclasses.dataclass(frozen=True)
class Run:
    """The contents of a run's folder.

    Attributes:
        folder: the folder of the run.
        config: the settings.
        dataset: the contents of `dataset.json`; empty if there is none.
        metrics: the metrics of every epoch.
        times: the seconds of every epoch that was run, repeated epochs included.
        seconds: the seconds of all epochs, those of the runs in the folder included.
        genotype: the genotype that was searched or trained; None if there is none yet.
        compared: the genotypes of a comparison, by name.
        confidence: how sure the choices of a search are; None if that is not known.
        moves: the mixture weights of a search by epoch; None if there are none.
        stop: the early stop of a search; None if it did not stop early.
        costs: parameters, and multiply-accumulates per image or word, of the trained network. For
            a search, of the network that its preset trains. None if not known.
        inside: the runs in the folder: (name, metrics) pairs by the title of their group.
        table: the results of a job of many runs so far; None for a single run.
        best: the settings of the best trial of a study of settings; None for other jobs.
        log: the contents of the log.
        doubts: the doubts about the result of a finished search or training, as sentences.
        evaluations: the results of a trained network by class, those on its own test images first.
    """

    folder: pathlib.Path
    config: JobConfig
    dataset: dict
    metrics: tuple[dict, ...]
    times: tuple[float, ...]
    seconds: float
    genotype: AnyGenotype | None
    compared: dict[str, AnyGenotype]
    confidence: Confidence | None
    moves: Moves | None
    stop: early_stopping.Stop | None
    costs: tuple[int, int] | None
    inside: dict[str, list[tuple[str, tuple[dict, ...]]]]
    table: Table | None
    best: object
    log: Log
    doubts: tuple[str, ...]
    evaluations: tuple[Evaluation, ...]


def run_of(folder: pathlib.Path) -> Run:
    """Reads the folder of a run.

    Raises:
        InputError: The folder holds no run, or a file does not have the expected contents.
    """
    config = config_of(folder)
    last = folder if config.inner_runs else config.last_folder
    genotype = None
    if (folder / files.GENOTYPE).is_file():
        with reading(folder / files.GENOTYPE):
            genotype = load_genotype(folder / files.GENOTYPE, recurrent=None)
    dataset = _dataset_of(folder)
    metrics, searches = metrics_of(last), config.searches
    stop = None
    if searches and early_stopping.stops_early(config):
        with reading(last / files.METRICS):
            stop = early_stopping.decide(config, metrics)
    evaluations = tuple(evaluations_of(folder)) if config.trains else ()
    weighed = (getattr(config, "relaxation", "softmax"), getattr(config, "max_skips", None))
    return Run(
        folder=folder,
        config=config,
        dataset=dataset,
        metrics=metrics,
        times=tuple(times_of(folder)),
        seconds=_seconds_of(folder),
        genotype=genotype,
        compared=_compared(folder) if isinstance(config, configs.CompareConfig) else {},
        confidence=_confidence(last, genotype) if searches else None,
        moves=moves_of(last, *weighed) if searches else None,
        stop=stop,
        costs=_costs(config, genotype, folder, dataset),
        inside=_inside(folder, config),
        table=table_of(config, folder),
        best=_best(folder),
        log=log_of(folder),
        doubts=_doubts(config, metrics, stop, evaluations),
        evaluations=evaluations,
    )


def _confidence(folder: pathlib.Path, genotype) -> Confidence | None:
    with reading(folder / files.CONFIDENCE):
        return load_confidence(folder, genotype)


def _doubts(config, metrics: tuple[dict, ...], stop, evaluations) -> tuple[str, ...]:
    """Returns `Run.doubts`."""
    if not (config.searches or config.trains):
        return ()
    if not metrics and evaluations:  # imported weights
        return tuple(doubts_of_accuracy(evaluations[0].accuracy, evaluations[0].counts))
    if not stop and len(metrics) < config.epochs:
        return ()
    folder = config.last_folder
    with reading(folder):
        return tuple(doubts_of(config))


def config_of(folder: pathlib.Path):
    """Returns the settings of a run, with the folder where it lies now.

    Raises:
        InputError: The folder holds no run, or its settings are damaged.
    """
    path = folder / files.CONFIG
    if not path.is_file():
        raise InputError(
            f"Expected a run's folder, with its {files.CONFIG}. "
            f"Received: {str(folder)!r}{_runs_in(folder)}"
        )
    with reading(path):
        settings = files.read_json(path)
        config = kind_of(settings).from_dict(settings)
        # the folder may have been moved
        return dataclasses.replace(config, workdir=folder, overwrite=False, resume=False)


def _runs_in(folder: pathlib.Path) -> str:
    if not folder.is_dir():
        return f", {not_there(folder)}"
    names = sorted(path.parent.name for path in folder.glob(f"*/{files.CONFIG}"))
    return f", which contains the runs {listed(names)}" if names else ""


def _best(folder: pathlib.Path):
    """Returns `Run.best`."""
    path = folder / files.BEST
    if not path.is_file():
        return None
    with reading(path):
        name = files.read_json(path)["trial"]
        if not isinstance(name, str) or not re.fullmatch(r"\w{1,80}", name):
            raise InputError(f"Expected the name of a trial. Received: {shown(name)}")
        settings = files.read_json(folder / files.TRIALS / name / files.CONFIG)
        config = kind_of(settings).from_dict(settings)
        return dataclasses.replace(config, workdir=pathlib.Path("DIR"), resume=False)


def _compared(folder: pathlib.Path) -> dict[str, AnyGenotype]:
    """Returns the different genotypes in a comparison's folder, trained or searched, by name."""
    genotypes = {}
    for path in sorted(folder.glob(f"*/s*-*/{files.GENOTYPE}")):
        with reading(path):
            genotype = load_genotype(path, recurrent=None)
        if genotype not in genotypes.values():
            name = path.parent.parent.name
            seed = path.parent.name.rpartition("-")[2]
            genotypes[f"{name}, seed {seed}" if name in genotypes else name] = genotype
    return genotypes


def _dataset_of(folder: pathlib.Path) -> dict:
    path = folder / files.DATASET
    if not path.is_file():
        return {}
    with reading(path):
        dataset = files.read_json(path)
        if not isinstance(dataset, dict):
            raise InputError(f"Expected a JSON object. Received: {shown(dataset)}")
        return dataset


def metrics_of(folder: pathlib.Path) -> tuple[dict, ...]:
    """Returns the metrics of a run's epochs.

    Raises:
        InputError: The file is damaged (see `metrics.read_metrics`), or an epoch is out of range.
    """
    with reading(folder / files.METRICS):
        lines = read_metrics(folder)
        for line in lines:
            if not 0 <= line["epoch"] < LAST_EPOCH:
                raise InputError(f"Expected epochs from 0. Received: {shown(line['epoch'])}")
        return tuple(lines)


def _seconds_of(folder: pathlib.Path) -> float:
    """Returns the seconds of all epochs in the folder, those of inner runs included."""
    inner = (path.parent for path in folder.rglob(files.TIMES))
    return sum(sum(times_of(each)) for each in inner)


def _costs(config, genotype, folder: pathlib.Path, dataset: dict) -> tuple[int, int] | None:
    """Returns `Run.costs`."""
    if genotype is None or not dataset:
        return None
    with reading(folder / files.DATASET):
        if genotype.on_text:
            vocabulary = _size(dataset, "vocabulary")
            parts = word_costs(config.units, vocabulary, len(genotype.recurrent))
            return sum(part.params for part in parts), sum(part.macs for part in parts)
        classes, images = files.read_dataset(folder / files.DATASET)
        sizes = (_size(images, "height"), _size(images, "width"))
        channels = _size(images, "channels")
        return network_costs(_target(config, type(genotype), sizes, classes, channels), genotype)


def _size(values: dict, name: str) -> int:
    if type(values.get(name)) is not int or not 0 < values[name] < LAST_EPOCH:
        raise InputError(f"Expected {name} to be a positive number. Received: {shown(values)}")
    return values[name]


def _target(
    config, kind: type[AnyGenotype], sizes: tuple[int, int], classes, image_channels: int
) -> Target:
    """Returns the network of a training; for a search, the one of its budget or its preset."""
    if not config.searches:
        chosen = {name: getattr(config, name) for name in ("channels", "cells", "stem")}
    else:
        recipe = training_recipe(config.preset, kind)
        names = ("channels", "cells", "stem")
        chosen = {name: getattr(config, f"budget_{name}") or recipe[name] for name in names}
        sizes = (config.budget_image_size,) * 2 if config.budget_image_size else sizes
    chosen |= {"classes": len(classes), "image_channels": image_channels, "stages": kind.stages}
    return Target(height=sizes[0], width=sizes[1], **chosen)


TITLES = {
    "stages": "Stages",
    "brief": "Brief trainings",
    "final": "Full trainings",
    "search": "Searches",
    "train": "Trainings",
    "trials": "Trials",
}
"""Titles of groups of inner runs, by their command or the folder that they are in."""


def _inside(folder: pathlib.Path, config) -> dict[str, list[tuple[str, tuple[dict, ...]]]]:
    """Returns `Run.inside`: the runs one or two folders below that have metrics."""
    by_folder = not isinstance(config, configs.CompareConfig)  # there, users choose the names
    groups: dict[str, list] = {}
    paths = (*folder.glob(f"*/{files.CONFIG}"), *folder.glob(f"*/*/{files.CONFIG}"))
    for place in sorted(path.parent for path in paths):
        parts = place.relative_to(folder).parts
        metrics = metrics_of(place)
        if metrics and parts[-1] != "probe":
            with reading(place / files.CONFIG):
                kind = kind_of(files.read_json(place / files.CONFIG)).command
            named = by_folder and parts[0] in TITLES
            group, name = (parts[0], parts[-1]) if named else (kind, " ".join(parts))
            groups.setdefault(TITLES.get(group, group), []).append((name, metrics))
    return groups
