"""Hyperparameters of a search or a training, chosen by what whole runs reach."""

from __future__ import annotations

import functools
import itertools
import logging
import shlex
from collections.abc import Callable, Iterable, Mapping

import keras_tuner

from darts_tf.configs import RunConfig, SearchConfig, TrainConfig, TuneConfig
from darts_tf.configs.descriptions import flag_words
from darts_tf.configs.ranges import Dimension, assigned, dimensions, value_of, written
from darts_tf.configs.text_datasets import is_text
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runtime.outputs import free_folder
from darts_tf.search.stages import search_as_asked
from darts_tf.spaces.zoo import load_genotype
from darts_tf.studies.oracles import EPOCHS, OBJECTIVE, Bounded
from darts_tf.studies.study import (
    Outcome,
    Study,
    allowance_of,
    finished,
    outcome,
    resumable,
    studied,
    trial_folder,
)
from darts_tf.training import tensorboard
from darts_tf.training.images import train

_LOGGER = logging.getLogger("darts_tf")

KINDS = {"search": SearchConfig, "train": TrainConfig}
"""The settings of what can be tuned."""

_LAST = {"search": files.ALPHAS, "train": files.MODEL}
"""A file that a finished run of each kind has."""

COMBINATIONS = 1000
"""Number of combinations of other settings to try for one that a value is valid with."""

VALIDATION = 0.2
"""Share of the training images that a training is judged by, where none is set."""


def tune(
    config: TuneConfig, report: Callable[[Bounded, object], None] = lambda *given: None
) -> Bounded:
    """Tries settings until the budget is spent.

    Makes the study's folder, with the best settings so far, a table of the trials, a run for each,
    and what TensorBoard's HParams tab shows. What is compared is the valid accuracy of the last
    epoch: of a search that of the supernet on the images of the alphas, of a training that on
    held-out training images. Settings that cannot go together count as nothing reached.

    Args:
        config: the settings of the study.
        report: called with the oracle and a trial whenever one has ended.

    Returns:
        The oracle with its trials.

    Raises:
        InputError: settings that there are not, values that cannot be, or as `study.studied`.
        Interrupted: Ctrl-C or SIGTERM came; the trial under way has kept what it has.
    """
    over, fixed = checked(config)
    events = config.workdir / "tensorboard"

    def settings(values, folder) -> RunConfig:
        chosen = chosen_of(config, over, values)
        epochs = {"epochs": int(values[EPOCHS])} if EPOCHS in values else {}
        return resumable(_settings(config, {**fixed, **chosen, **epochs}), folder)

    def run(values, name) -> Outcome:
        folder = trial_folder(config.workdir, name)
        try:
            wanted = settings(values, folder)
        except InputError as error:
            _LOGGER.warning("trial %s: %s", name, error)
            return Outcome(0.0, 0.0)
        last = _LAST[config.of]
        if not (done := finished(folder, wanted.epochs, last)):
            _run(wanted)
            done = outcome(folder, getattr(wanted, "last_folder", folder))
        return done

    def ended(oracle, trial):
        chosen = chosen_of(config, over, trial.hyperparameters.values)
        shown = {name: _shown(value) for name, value in chosen.items()}
        tensorboard.write_trial(events, trial.trial_id, shown, OBJECTIVE, trial.score)
        best = oracle.best()
        found = {"trial": best.trial_id, OBJECTIVE: best.score}
        values = chosen_of(config, over, best.hyperparameters.values)
        files.write_json(config.workdir / files.BEST, {**found, "settings": {**fixed, **values}})
        report(oracle, trial)

    preset = KINDS[config.of].presets[config.preset]
    most = fixed.get("epochs", preset.get("epochs", KINDS[config.of].epochs))

    def epochs_of(values) -> int:
        widest = next((max(each.values) for each in over if each.name == "epochs"), most)
        return int(values.get("epochs", widest))

    study = Study(
        config=config,
        space=_space(over),
        allowance=allowance_of(config.budget),
        epochs_of=epochs_of,
        run=run,
        longest=most,
        describe=lambda values: {"settings": chosen_of(config, over, values)},
    )
    return studied(study, None, ended)


def checked(config: TuneConfig) -> tuple[tuple[Dimension, ...], dict[str, object]]:
    """Returns the ranges and the fixed settings, after every name and value has been tried.

    Raises:
        InputError: a name or a value that cannot be.
    """
    kind = KINDS[config.of]
    over, fixed = dimensions(kind, config.over), assigned(kind, config.set)
    both = [each.name for each in over if each.name in fixed]
    if both:
        raise InputError(f"Expected {both[0]} in one of over and set. Received: it is in both")
    if config.method == "hyperband" and any(each.name == "epochs" for each in over):
        raise InputError("Expected epochs not to be chosen twice. Received: over=epochs, hyperband")
    if is_text(fixed.get("dataset", "")):
        raise InputError(
            f"Expected a dataset of images to tune on. Received: dataset={fixed['dataset']}"
        )
    if config.genotype is not None:
        load_genotype(config.genotype)
    for each in over:
        for value in each.values:
            others = {other.name: other.values for other in over if other is not each}
            _check_some(config, {**fixed, each.name: value}, others)
    return over, fixed


def _check_some(config: TuneConfig, given: Mapping[str, object], others: Mapping[str, tuple]):
    """Refuses settings that go together with none of the others' values, or the first of many."""
    refused = None
    for values in itertools.islice(itertools.product(*others.values()), COMBINATIONS):
        try:
            _settings(config, {**given, **dict(zip(others, values, strict=True))})
            return
        except InputError as error:
            refused = refused or error
    raise refused


def chosen_of(
    config: TuneConfig, over: Iterable[Dimension], values: Mapping[str, object]
) -> dict[str, object]:
    """The settings that an oracle's values stand for."""
    kind = KINDS[config.of]
    return {
        each.name: value_of(kind, each.name, value) if isinstance(value, str) else value
        for each in over
        for value in [values[each.name]]
    }


def command_of(config: TuneConfig, oracle: Bounded) -> str:
    """Returns the command line of a run with the best settings, in a free folder."""
    over, fixed = checked(config)
    best = chosen_of(config, over, oracle.best().hyperparameters.values)
    words = ["darts-tf", config.of, "--preset", config.preset]
    words += ["--genotype", config.genotype] if config.genotype else []
    dataset = {"dataset": _settings(config, fixed).dataset}  # commands do not guess it
    for name, value in {**dataset, **fixed, **best}.items():
        words += flag_words(name, value)
    free = free_folder(config.workdir.parent / f"{config.workdir.name}-best")
    return shlex.join(map(str, [*words, "--workdir", free]))


def _shown(value):
    return written(value) if value is None else value


def _settings(config: TuneConfig, settings: Mapping[str, object]) -> RunConfig:
    """The settings of a trial's run.

    Raises:
        InputError: they cannot be.
    """
    given = {"seed": config.seed, "workdir": config.workdir, **settings}
    if config.of == "train":
        given = {"genotype": config.genotype, "validation_split": VALIDATION, **given}
    return KINDS[config.of].from_preset(config.preset, **given)


def _space(over: Iterable[Dimension]) -> keras_tuner.HyperParameters:
    space = keras_tuner.HyperParameters()
    for each in over:
        kinds = {type(value) for value in each.values}
        if each.is_range:
            add = space.Int if kinds == {int} else space.Float
            add(each.name, *each.values, sampling="log" if each.log else "linear")
        elif kinds in ({int}, {float}):
            space.Choice(each.name, sorted(each.values))
        else:
            space.Choice(each.name, [written(value) for value in each.values])
    return space


def _run(config: RunConfig) -> None:
    streamed = getattr(config, "random_resized_crop", False)
    settings = (config.dataset, config.image_size, config.resize, config.limit, config.seed)
    dataset = _dataset(*settings, config.max_bad_images, streamed)
    if config.searches:
        search_as_asked(config, dataset)
    else:
        train(config, load_genotype(config.genotype), dataset)


@functools.lru_cache(maxsize=1)
def _dataset(name, image_size, resize, limit, seed, max_bad_images, streamed):
    return load_dataset(
        name,
        image_size=image_size,
        resize=resize,
        limit=limit,
        seed=seed,
        max_bad_images=max_bad_images,
        streamed=streamed,
    )
