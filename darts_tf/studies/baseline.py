"""Baselines of a search: cells chosen by what short trainings from scratch say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import keras_tuner

from darts_tf.configs import BaselineConfig, TrainConfig
from darts_tf.data import ImageDataset
from darts_tf.runs import files
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.mutation import choices, genotype_of, mutated, values_of
from darts_tf.spaces.search_spaces import SPACES
from darts_tf.studies.oracles import EPOCHS, Bounded
from darts_tf.studies.study import (
    Outcome,
    Study,
    allowance_of,
    finished,
    resumable,
    studied,
    trial_folder,
)
from darts_tf.training.images import train

Train = Callable[[TrainConfig, Genotype, ImageDataset], Mapping[str, float]]


def baseline(
    config: BaselineConfig,
    dataset: ImageDataset,
    report: Callable[[Bounded, object], None] = lambda *given: None,
    train: Train = train,
) -> Bounded:
    """Tries genotypes until the budget is spent; a search's equal in all but how it chooses.

    Makes the study's folder, with the genotype of the best trial so far, a table of the trials, and
    a run for each.

    Args:
        config: the settings.
        dataset: what to train on; the test split is not touched.
        report: called with the oracle and a trial whenever one has ended.
        train: trains a genotype, and gives the metrics of the last epoch.

    Returns:
        The oracle with its trials.

    Raises:
        InputError: as `images.train` and `study.studied`.
        Interrupted: Ctrl-C or SIGTERM came; the trial under way has kept what it has.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    space = keras_tuner.HyperParameters()
    genotype_class = SPACES[config.space].genotype_class
    for name, values in choices(genotype_class=genotype_class).items():
        space.Choice(name, list(values))

    def run(values, name) -> Outcome:
        folder = trial_folder(config.workdir, name)
        settings = training_of(config, folder, int(values.get(EPOCHS, config.epochs)))
        done = finished(folder, settings.epochs, files.MODEL)
        if not done:
            train(settings, genotype_of(values), dataset)
            done = finished(folder, settings.epochs, files.MODEL)
        return done

    def ended(oracle, trial):
        best = oracle.best()
        genotype_of(best.hyperparameters.values).save(config.workdir / files.GENOTYPE)
        report(oracle, trial)

    study = Study(
        config=config,
        space=space,
        allowance=allowance_of(config.budget),
        epochs_of=lambda values: config.epochs,
        run=run,
        longest=config.epochs,
        mutate=lambda values, random: values_of(mutated(genotype_of(values), random)),
        describe=lambda values: {"genotype": dataclasses.asdict(genotype_of(values))},
    )
    return studied(study, dataset, ended)


def training_of(config: BaselineConfig, folder, epochs: int) -> TrainConfig:
    """The settings of a trial's training, set to resume where it has been begun.

    Args:
        config: of the study.
        folder: of the trial.
        epochs: that it is given.
    """
    settings = config.fields_shared_with(TrainConfig)
    settings |= {"epochs": epochs, "genotype": str(folder / files.GENOTYPE), "resume": False}
    # a schedule of fewer epochs has no room for as long a warm-up
    settings["warmup_epochs"] = min(config.warmup_epochs, epochs - 1)
    return resumable(TrainConfig(**{**settings, "overwrite": False}), folder)
