"""Genotypes side by side: what their networks cost and, trained by one recipe, how they err."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from darts_tf.configs import CompareConfig, TrainConfig
from darts_tf.costs.parts import Target
from darts_tf.data import ImageDataset
from darts_tf.errors import InputError, shown
from darts_tf.layers.stems import USUAL_CLASSES, USUAL_SIZE, check_image_size
from darts_tf.models.counting import checked_target, genotype_costs
from darts_tf.models.network import check_stack
from darts_tf.models.scaling import scaled
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime import atomic
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import GENOTYPES, ZOO, load_genotype, short_name
from darts_tf.studies.tables import GENOTYPE_WRITERS, Row


def compare(
    config: CompareConfig,
    dataset: ImageDataset | None = None,
    train: Callable[[TrainConfig], object] | None = None,
    report: Callable[[str], None] = print,
) -> list[Row]:
    """Measures the network of every genotype, and trains them all where that is asked.

    The comparison's folder gets the tables, anew after every training, and a folder for each
    genotype with a run for each seed: `DARTS_V2/seed-0`. Seeds go first, so that all genotypes
    have an error early. A run that has been finished is not repeated, one that has been begun is
    resumed.

    Args:
        config: the settings.
        dataset: what is trained on; its images and classes are what is measured by. Without one
            the networks are measured by `config` alone.
        train: trains one run, new or resumed by its settings; only called with `config.train`.
        report: called with a line of text before every training.

    Raises:
        InputError: unknown genotypes, or two of one name; a folder that is in use or holds another
            comparison; or what `train` raises.
    """
    genotypes = named_genotypes(config.genotypes)
    sizes = sizes_of(config, dataset)
    fitting = {
        name: scaled(config, genotype, *sizes).channels for name, genotype in genotypes.items()
    }
    with run_folder.started_run(config, None) as folder:
        files.write_json(folder / files.CONFIG, config.to_dict())  # it may go further than it did
        rows = [measured(config, name, genotypes[name], fitting[name], sizes) for name in genotypes]
        wanted = dict(zip(genotypes, config.genotypes, strict=True))
        jobs = [
            (name, run_of(config, folder, name, wanted[name], fitting[name], seed))
            for seed in config.seeds
            for name in genotypes
            if config.train
        ]
        for number, (name, run) in enumerate(jobs, 1):
            if is_finished(run, genotypes[name]):
                state = "finished"
            else:
                state = "resumed" if run.resume else "begun"
            report(f"{name}, seed {run.seed} ({number} of {len(jobs)}): {run.workdir}, {state}")
            if state != "finished":
                train(run)
            error = 100 * (1 - read_metrics(run.workdir)[-1]["test_accuracy"])
            rows = [
                dataclasses.replace(row, errors=(*row.errors, error)) if row.name == name else row
                for row in rows
            ]
            _write(rows, config, folder)
        _write(rows, config, folder)
    return rows


def named_genotypes(texts: Sequence[str]) -> dict[str, Genotype]:
    """Genotypes by their names: those of the zoo, and the names of files.

    The folder of a run has its own name, and its file `genotype.json` that of the folder.

    Args:
        texts: each as `load_genotype` takes it.

    Raises:
        InputError: unknown, broken, or two of one name.
    """
    found = {}
    for text in texts:
        genotype = load_genotype(text)
        name = text if text in GENOTYPES else _name_of(text)
        if name in found or name in files.NAMES:
            raise InputError(
                "Expected genotypes with names of their own, which their runs' folders get. "
                f"Received: {shown(name)} of {shown(text)}"
            )
        found[name] = genotype
    return found


def _name_of(text: str) -> str:
    path = pathlib.Path(text).resolve()
    if path.is_dir():
        return path.name
    return path.parent.name if path.name == files.GENOTYPE else short_name(text)


def sizes_of(
    config: CompareConfig, dataset: ImageDataset | None
) -> tuple[int, tuple[int, int], int]:
    """Classes, rows and columns, and channels of the images.

    Raises:
        InputError: images too small for the stem.
    """
    if dataset is not None:
        images = dataset.preprocessing
        size = (images.height, images.width)
        found = len(dataset.classes), size, images.channels
    else:
        size = (config.image_size or USUAL_SIZE[config.stem],) * 2
        found = config.classes or USUAL_CLASSES[config.stem], size, config.image_channels
    check_image_size(*size, config.stem)
    return found


def network_in_words(
    config: CompareConfig, rows: Sequence[Row], sizes: tuple[int, tuple[int, int], int]
) -> str:
    """Describes the networks whose costs the table has.

    Args:
        config: of the comparison.
        rows: of the genotypes.
        sizes: see `sizes_of`.
    """
    classes, image_size, image_channels = sizes
    widths = sorted({row.channels for row in rows})
    channels = widths[0] if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
    target = Target(channels, config.cells, *image_size, config.stem, classes, image_channels)
    papers = {**CIFAR10, "stem": "cifar"}
    is_papers = all(getattr(target, name) == value for name, value in papers.items())
    if is_papers or config.train or not any(row.published for row in rows):
        return f"networks of {target}"
    return (
        f"networks of {target}; --preset cifar10 makes them those of the papers, whose published "
        "figures are beside"
    )


CIFAR10 = {name: CompareConfig.presets["cifar10"][name] for name in ("channels", "cells")}
"""Size of the papers' networks for CIFAR-10."""


def measured(
    config: CompareConfig,
    name: str,
    genotype: Genotype,
    channels: int,
    sizes: tuple[int, tuple[int, int], int],
) -> Row:
    """Returns the costs of a genotype's network.

    Args:
        config: of the comparison.
        name: of the genotype.
        genotype: the cells.
        channels: of the network's first cell.
        sizes: see `sizes_of`.

    Raises:
        InputError: the genotype has no network of these settings.
    """
    check_stack(type(genotype), config.cells, config.stem, config.train and config.auxiliary)
    classes, image_size, image_channels = sizes
    target = Target(channels, config.cells, *image_size, config.stem, classes, image_channels)
    costs = genotype_costs(checked_target(target), genotype)
    sums = (sum(getattr(each, key) for each in costs) for key in ("params", "macs", "elementwise"))
    return Row(name, channels, *sums, published=ZOO.get(name))


def run_of(
    config: CompareConfig,
    folder: pathlib.Path,
    name: str,
    genotype: str,
    channels: int,
    seed: int,
) -> TrainConfig:
    """The settings of one training, set to resume where it has been begun.

    Args:
        config: of the comparison.
        folder: of the comparison.
        name: of the genotype, or of the method that has found it.
        genotype: its name or file.
        channels: of the network's first cell.
        seed: of the run.
    """
    settings = config.fields_shared_with(TrainConfig)
    workdir = folder / name / f"seed-{seed}"
    settings |= {"overwrite": False, "resume": files.is_run(workdir), "workdir": workdir}
    return TrainConfig(**{**settings, "genotype": genotype, "channels": channels, "seed": seed})


def is_finished(run: TrainConfig, genotype: Genotype) -> bool:
    """Returns True for a finished run, and checks that a started one has the requested settings.

    Raises:
        InputError: it is another.
    """
    if not run.resume:
        return False
    begun = run_folder.resumed(TrainConfig, run.workdir)
    # one dataset has several names: it is compared when it has been loaded
    then, now = ({**each.to_dict(), "dataset": None} for each in (begun, run))
    run_folder.check_same_settings(run.workdir / files.CONFIG, then, now)
    if load_genotype(run.workdir / files.GENOTYPE) != genotype:
        raise InputError(
            f"Expected {run.genotype} to be what {run.workdir} was begun with. "
            "Received: another genotype"
        )
    return (run.workdir / files.MODEL).is_file()


def _write(rows: Sequence[Row], config: CompareConfig, folder: pathlib.Path) -> None:
    for name, write in GENOTYPE_WRITERS.items():
        atomic.write_text(folder / name, write(rows, config.stem))
