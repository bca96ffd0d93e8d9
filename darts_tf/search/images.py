"""A whole search: from a dataset and its settings to a genotype."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import keras
import numpy as np

from darts_tf import registry
from darts_tf.configs import ArchConfig, SearchConfig
from darts_tf.data import (
    Augmentation,
    ImageDataset,
    Preprocessing,
    Split,
    evaluation_batches,
    search_batches,
    split_halves,
    steps_per_epoch,
)
from darts_tf.errors import InputError, listed
from darts_tf.layers.stems import check_image_size
from darts_tf.models.mixture import measuring
from darts_tf.models.supernet import Supernet
from darts_tf.runs import files
from darts_tf.runs.alphas import save_alphas, save_space
from darts_tf.runs.metrics import append_time
from darts_tf.runtime.distribution import is_chief, make_strategy
from darts_tf.runtime.execution import compiles
from darts_tf.search import indicators
from darts_tf.search.callbacks import restore_best_alphas, search_callbacks, warn_of_collapse
from darts_tf.search.cost_penalty import cost_penalty
from darts_tf.search.darts import DARTS
from darts_tf.search.eigenvalues import hessian_products
from darts_tf.search.memory_estimate import check_memory
from darts_tf.search.perturbation_selection import SelectionSettings, check_alone, select
from darts_tf.search.selection_rules import by_rule
from darts_tf.search.target import costs_of, target_of, within_budget
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype, abbreviated
from darts_tf.spaces.search_spaces import SPACES, Space
from darts_tf.training.callbacks import Ramp, Record
from darts_tf.training.feeds import HELD_OUT_BATCH, image_feed
from darts_tf.training.loop import fit, run_with_trainer
from darts_tf.training.optimizers import SGD
from darts_tf.training.schedules import (
    op_dropout_at,
    perturb_radius_at,
    regularizer_weight_at,
    temperature_at,
)


def search(
    config: SearchConfig,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    space: Space | None = None,
    report_selection: Callable[[dict], None] | None = None,
) -> Genotype:
    """Searches for cells on half of the training images for the weights and half for the alphas.

    Makes the run's folder, and writes metrics, alphas, the current genotype and checkpoints into
    it, at least after every epoch. `valid_accuracy` is the supernet's on the alphas' half, without
    augmentation and with the running statistics.

    Args:
        config: the settings.
        dataset: what to search on; the test split is not touched.
        report: called with every epoch's metrics.
        callbacks: further Keras callbacks.
        space: the search space of a stage, in place of that of the settings.
        report_selection: called with every round of a selection by perturbation; see `select`.

    Returns:
        The genotype of the alphas after the last epoch, or after the one that a search which is
        stopped early goes back to, within the limits if there are some; or the one that is
        selected in the end.

    Raises:
        InputError: images too small, a batch larger than half of the training images, more memory
            needed than is free, a budget that no cells meet, a table of latencies that cannot be
            used, a rule of selection that chooses no cells, or a folder that is in use; nothing has
            been written then. Or what is to be resumed was begun with other settings.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint has been written.
        Diverged: losses or gradients were not finite, again after going back once.
        OSError: a file could not be written; earlier checkpoints are as they were.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    if config.stages:
        raise InputError(
            "Expected the settings of one search, or stages.search_as_asked. "
            f"Received: stages={listed(config.stages)}"
        )
    if config.selection == "perturbation":
        check_alone()
    strategy = make_strategy(config.strategy, config.devices)
    replicas = strategy.num_replicas_in_sync
    preprocessing = dataset.preprocessing
    check_image_size(preprocessing.height, preprocessing.width, "cifar")
    halves = split_halves(dataset.train, config.seed)
    steps, _ = (steps_per_epoch(half, config.batch_size, replicas) for half in halves)
    operations = space.columns[0] if space else None
    space = space or SPACES[config.space]
    space.check_darts_cells()
    check_memory(config, preprocessing.height, preprocessing.width, operations)
    sizes = (preprocessing.height, preprocessing.width), preprocessing.channels
    target = target_of(config, config.preset, len(dataset.classes), *sizes)
    limits = {"relaxation": config.relaxation, "max_skips": config.max_skips}
    if config.selection in registry.SELECTIONS:
        within = by_rule(config.selection, space, config.partial_channels > 1)
    else:
        within = within_budget(config, target, space, **limits)
    penalty = None
    if config.cost is not None:
        costs = costs_of(config, config.cost, target, space)
        penalty = cost_penalty(costs, config.cost_weight)
    build = functools.partial(
        build_trainer,
        config,
        len(dataset.classes),
        preprocessing.channels,
        space,
        penalty,
    )
    batches = functools.partial(
        search_batches,
        *halves,
        preprocessing,
        Augmentation(config.crop_padding, config.flip, config.cutout),
        config.batch_size,
        seed=config.seed,
        epochs=config.epochs,
    )
    with run_with_trainer(config, dataset, strategy, build) as (folder, trainer):
        if is_chief():
            save_space(folder, space)
        described = functools.partial(describe, trainer, folder, config.max_skips, within)
        record = Record(folder, described, report, writes=is_chief())
        probes = probes_of(trainer, config, halves[1], preprocessing)
        measure = indicators.Measure(indicators.asked_of_cells(config), probes)
        fit(
            trainer,
            config,
            folder,
            image_feed(batches, steps, halves[1], preprocessing),
            callbacks=[
                *search_callbacks(config, record, measure),
                *ramps(config, trainer),
                *callbacks,
            ],
        )
        restore_best_alphas(config, trainer, folder, described)
        genotype = genotype_of(trainer, config.max_skips, within)
        if config.selection == "perturbation":
            settings = SelectionSettings(
                config.selection_epochs, config.seed, config.selection_images
            )

            def told(done):
                epoch = config.epochs + done["round"] - 1  # for the times alone
                append_time(folder, epoch, done["seconds"])
                if report_selection:
                    report_selection(done)

            genotype = select(trainer, config, dataset, folder, settings, told)
            genotype.save(folder / files.GENOTYPE)
        warn_of_collapse(genotype, config.budget)
    return genotype


def probes_of(
    trainer: DARTS, config: SearchConfig, half: Split, preprocessing: Preprocessing
) -> indicators.Probes:
    """Probes of an image supernet: the alphas' images, as they are and in their order.

    The eigenvalue is measured on the first batch of them.
    """
    batches = functools.partial(evaluation_batches, half, preprocessing)
    batch = next(iter(batches(config.batch_size))) if config.measures_eigenvalue else None

    def loss(alphas):
        return trainer.loss_at(trainer.read(trainer.weights_to_train), alphas, batch)

    product = hessian_products(loss, trainer.network.alphas)
    measured = functools.partial(batches, HELD_OUT_BATCH)
    return indicators.Probes(product, measuring(trainer.network, measured))


def build_trainer(
    config: SearchConfig,
    classes: int,
    image_channels: int,
    space: Space | None = None,
    penalty: Callable | None = None,
) -> DARTS:
    """The compiled trainer of a new supernet, with the reference's optimizers.

    Args:
        config: the settings of the search.
        classes: number of labels.
        image_channels: 3 for color, 1 for grayscale.
        space: the search space; by default that of the settings.
        penalty: of the alphas, added to the loss that they descend.
    """
    space = space or SPACES[config.space]
    supernet = Supernet(
        config.channels,
        config.cells,
        classes,
        image_channels,
        partial_channels=config.partial_channels,
        relaxation=config.relaxation,
        perturb=config.perturb,
        op_dropout=config.op_dropout,
        **space.of_supernet(),
    )
    trainer = DARTS(
        supernet,
        arch_gradient=config.arch_gradient,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        arch_weight_decay=config.arch_weight_decay,
        sync_batch_norm=config.sync_batch_norm,
        arch_penalty=penalty,
        regularizer=config.chosen_regularizer,
    )
    trainer.compile(
        optimizer=SGD(config.learning_rate, config.momentum, l2=0.0, clip_norm=None),
        arch_optimizer=arch_optimizer(config),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=compiles(config.jit_compile),
    )
    return trainer


def ramps(config: SearchConfig, trainer: DARTS) -> list[Ramp]:
    """What changes with the epoch beside the learning rate, in this search."""
    network = trainer.network
    changing = (
        (network.temperature, temperature_at),
        (network.perturb_radius, perturb_radius_at),
        (network.op_dropout_rate, op_dropout_at),
        (trainer.regularizer_weight, regularizer_weight_at),
    )
    return [
        Ramp(variable, functools.partial(value_at, config))
        for variable, value_at in changing
        if variable is not None
    ]


def arch_optimizer(config: ArchConfig) -> keras.optimizers.Optimizer:
    """Adam, as the reference has it."""
    rates = (config.arch_learning_rate, config.arch_beta_1, config.arch_beta_2)
    return keras.optimizers.Adam(*rates, epsilon=1e-8)


def describe(trainer: DARTS, folder: pathlib.Path, *limits) -> dict:
    """Writes alphas and genotype, and gives the genotype as text for the metrics.

    Args:
        trainer: of the search.
        folder: of the run.
        *limits: as `genotype_of` takes them.
    """
    genotype = genotype_of(trainer, *limits)
    if is_chief():
        save_alphas(folder, *map(np.asarray, trainer.network.alphas))
        genotype.save(folder / files.GENOTYPE)
    trainer.derived = genotype
    return {"genotype": abbreviated(genotype)}


def genotype_of(
    trainer: DARTS, max_skips: int | None = None, within: Callable[..., Genotype] | None = None
) -> Genotype | RecurrentGenotype:
    """What the alphas stand for now.

    Args:
        trainer: of a search.
        max_skips: of a convolutional cell, as in `derive`.
        within: makes the genotype of the alphas where it has a budget.
    """
    if within:
        return within(*map(np.asarray, trainer.network.alphas))
    limit = {} if max_skips is None else {"max_skips": max_skips}
    return trainer.network.genotype(**limit)
