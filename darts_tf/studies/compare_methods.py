"""Ways to find cells side by side: what each finds in the same time, trained by one recipe."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence

from darts_tf.configs import BaselineConfig, CompareConfig, SearchConfig, TrainConfig
from darts_tf.configs.budgets import parsed_allowance
from darts_tf.configs.methods import GRADIENTS
from darts_tf.configs.ranges import assigned
from darts_tf.data import ImageDataset
from darts_tf.errors import InputError, listed
from darts_tf.models.scaling import scaled
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.metrics import read_metrics, seconds_of, times_of
from darts_tf.runtime import atomic
from darts_tf.runtime.signals import Diverged
from darts_tf.spaces.collapse import describe_collapse
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space
from darts_tf.spaces.zoo import load_genotype
from darts_tf.studies.compare_genotypes import is_finished, measured, run_of, sizes_of
from darts_tf.studies.tables import METHOD_WRITERS, MethodRow

PROBED = 2
"""Epochs of the run that says how long a search's epochs take: the first is longer than others."""


def search_of(
    config: CompareConfig, method: str, folder: pathlib.Path, seed: int, epochs: int
) -> SearchConfig:
    """The settings of a search by a method.

    Args:
        config: of the comparison.
        method: a name in `methods.GRADIENTS`. Its settings override those of the comparison.
        folder: of the run.
        seed: of the run.
        epochs: of the run. Before the alphas move pass as many of them in proportion as by the
            preset.

    Raises:
        InputError: settings that cannot be.
    """
    searched = assigned(SearchConfig, config.search)
    if elsewhere := [name for name in searched if name in OWN]:
        raise InputError(
            f"Expected {listed(OWN)} as settings of the comparison, which are those of all runs. "
            f"Received: {listed(elsewhere)} in search"
        )
    common = config.fields_shared_with(SearchConfig)
    shared = {name: common[name] for name in SHARED if name in common}
    given = {**shared, **searched, **GRADIENTS[method].settings, "method": method}
    plain = SearchConfig.from_preset(config.preset, **given, workdir=folder, seed=seed)
    waits = plain.arch_from_epoch * epochs // plain.epochs
    return dataclasses.replace(plain, epochs=epochs, arch_from_epoch=waits)


OF_IMAGES = ("dataset", "limit", "image_size", "max_bad_images")
OWN = (*OF_IMAGES, "seed", "method")
"""Settings of runs which a comparison has settings of its own for."""

SHARED = (*OF_IMAGES, "precision", "jit_compile", "strategy", "devices", "deterministic")
"""Settings that searches have from the comparison: of the images and of the machine."""


def baseline_of(
    config: CompareConfig, method: str, folder: pathlib.Path, seed: int
) -> BaselineConfig:
    """The settings of a baseline: its cells are trained as those of all methods are, for less long.

    Args:
        config: of the comparison.
        method: a name in `methods.BASELINES`.
        folder: of the study.
        seed: of the study.
    """
    recipe = config.fields_shared_with(BaselineConfig)
    epochs = config.trial_epochs or max(1, config.epochs // 6)
    own = {"method": method, "budget": config.budget, "seed": seed, "workdir": folder}
    # a schedule of fewer epochs has no room for as long a warm-up
    own |= {"epochs": epochs, "warmup_epochs": min(config.warmup_epochs, epochs - 1)}
    return BaselineConfig(**{**recipe, **own, "overwrite": False, "resume": False})


def epochs_within(seconds: float, times: Sequence[float]) -> int:
    """Returns the number of epochs of a search that fit into a time, at least `PROBED`.

    Args:
        seconds: that may pass.
        times: of the epochs of its probe, and of whatever else it did in the end.
    """
    first, *each = times[:PROBED]
    rest = seconds - first - sum(times[PROBED:])
    return max(PROBED, 1 + int(rest // max(each)))


def epoch_times(config: SearchConfig) -> list[float]:
    """Returns the seconds of the epochs of a search that has ended.

    Every stage of a search in stages has all epochs; their times are added, epoch by epoch.
    """
    stages = [config.stage(number).workdir for number in range(len(config.stages))]
    return [sum(times) for times in zip(*map(times_of, stages or [config.workdir]), strict=False)]


PROBE, SEARCH = "probe", "search"

Find = Callable[[SearchConfig | BaselineConfig], Genotype]


def compare_methods(
    config: CompareConfig,
    dataset: ImageDataset,
    find: Find,
    train: Callable[[TrainConfig], object],
    report: Callable[[str], None] = print,
) -> list[MethodRow]:
    """Has every method find cells with every seed, and trains the networks of all of them.

    The comparison's folder gets the tables, anew after every training, and a folder for each
    method: with `probe`, two epochs by which a search's epochs are counted out, `search-0` and so
    on for each seed, and `seed-0`, the training of what that has found. Seeds go first, so that all
    methods have an error early. What has been finished is not repeated, what has been begun is gone
    on with.

    Args:
        config: the settings, `methods` and `budget` among them.
        dataset: what is searched and trained on.
        find: makes one search or baseline, new or resumed by its settings.
        train: trains one run, new or resumed by its settings.
        report: called with a line of text before every job.

    Raises:
        InputError: a folder that is in use or holds another comparison; or what `find` and `train`
            raise.
    """
    sizes, seconds = sizes_of(config, dataset), parsed_allowance(config.budget).most
    with run_folder.started_run(config, None) as folder:
        files.write_json(folder / files.CONFIG, config.to_dict())  # it may go further than it did
        spaces = {method: _space_of(config, method) for method in config.methods}
        rows = {method: MethodRow(method, space=space) for method, space in spaces.items()}
        jobs = [(seed, method) for seed in config.seeds for method in config.methods]
        for number, (seed, method) in enumerate(jobs, 1):
            about = f"{method}, seed {seed} ({number} of {len(jobs)})"
            place = folder / method / f"{SEARCH}-{seed}"
            if not (place / files.RESULT).exists():
                report(f"{about}: {place}")
                _found(config, method, place, seed, seconds, find, report)
            genotype = load_genotype(place / files.GENOTYPE)
            channels = scaled(config, genotype, *sizes).channels
            cells = str(place / files.GENOTYPE)
            run = run_of(config, folder, method, cells, channels, seed)
            error = 100.0
            if not is_finished(run, genotype):
                report(f"{about}: {run.workdir}")
            with _diverging(report, about):
                if not is_finished(run, genotype):
                    train(run)
                error = 100 * (1 - read_metrics(run.workdir)[-1]["test_accuracy"])
            size = measured(config, method, genotype, channels, sizes)
            rows[method] = rows[method].with_seed(
                error=error,
                seconds=files.read_json(place / files.RESULT)["seconds"],
                params=size.params,
                macs=size.macs,
                collapsed=bool(describe_collapse(genotype)),
                genotype=genotype,
            )
            for name, write in METHOD_WRITERS.items():
                atomic.write_text(folder / name, write(list(rows.values()), config.against))
    return list(rows.values())


def _space_of(config: CompareConfig, method: str) -> Space:
    """Returns the space of a method: baselines search that of the paper."""
    chosen = assigned(SearchConfig, config.search) if method in GRADIENTS else {}
    return SPACES[chosen.get("space", DARTS)]


@contextlib.contextmanager
def _diverging(report: Callable[[str], None], about: str) -> Iterator[None]:
    """Lets the other jobs go on where one within this block diverges; that has reached nothing."""
    try:
        yield
    except Diverged as error:
        report(f"{about}: {error}; it is taken as it is, an error of a training as 100 %")


def _found(config, method, place: pathlib.Path, seed, seconds: float, find: Find, report) -> None:
    """Finds cells, and writes down what that has cost."""
    if method in GRADIENTS:
        probe = search_of(config, method, place.parent / PROBE, config.seeds[0], PROBED)
        if not (probe.workdir / files.RESULT).exists():
            _finish(probe, find, report)
        epochs = epochs_within(seconds, epoch_times(probe))
        _finish(search_of(config, method, place, seed, epochs), find, report)
    else:
        _finish(baseline_of(config, method, place, seed), find, report)


def _finish(settings: SearchConfig | BaselineConfig, find: Find, report) -> None:
    folder = settings.workdir
    if files.is_run(folder):
        settings = dataclasses.replace(settings, resume=True)
    with _diverging(report, str(folder)):
        find(settings)
    genotype = load_genotype(folder / files.GENOTYPE)
    cost = {"seconds": seconds_of(folder)}
    files.write_json(folder / files.RESULT, {"genotype": dataclasses.asdict(genotype), **cost})


def check_methods(config: CompareConfig) -> None:
    """Tries out the settings of all methods before anything takes its time.

    Raises:
        InputError: settings that cannot be, with the name of the method.
    """
    for method in config.methods:
        place = config.workdir / method / f"{SEARCH}-{config.seeds[0]}"
        try:
            if method in GRADIENTS:
                search_of(config, method, place, config.seeds[0], PROBED)
            else:
                baseline_of(config, method, place, config.seeds[0])
        except InputError as error:
            raise InputError(f"method {method}: {error}") from error
