"""A whole search: from a dataset and its settings to a genotype."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import keras

from darts_tf.configs import SearchConfig
from darts_tf.configs.selections import SELECTIONS
from darts_tf.data import (
    AnySplit,
    Augmentation,
    ImageDataset,
    Preprocessing,
    evaluation_batches,
    evaluation_steps,
    search_batches,
    split_halves,
    steps_per_epoch,
)
from darts_tf.errors import InputError, listed
from darts_tf.layers.relaxations import ADVERSARIAL, UNCOMPILED
from darts_tf.layers.stems import check_image_size
from darts_tf.models.mixture import measuring
from darts_tf.models.supernet import build_supernet
from darts_tf.runs.alphas import save_space
from darts_tf.runs.metrics import append_time
from darts_tf.runtime.distribution import make_strategy
from darts_tf.runtime.execution import compiles
from darts_tf.search import indicators
from darts_tf.search.arch_optimizers import arch_optimizer
from darts_tf.search.cost_penalty import cost_penalty
from darts_tf.search.darts import DARTS
from darts_tf.search.eigenvalues import hessian_products
from darts_tf.search.memory_estimate import check_memory
from darts_tf.search.perturbation_selection import SelectionSettings, check_alone, select
from darts_tf.search.plan import Plan, run_plan
from darts_tf.search.restarts import check_warmup
from darts_tf.search.selection import Context, check_rule, choose, rule_of_epochs
from darts_tf.search.target import costs_of, target_of, within_budget
from darts_tf.spaces.genotype import AnyGenotype, EdgeGenotype, Genotype
from darts_tf.spaces.search_spaces import SPACES, Space
from darts_tf.training.callbacks import Ramp
from darts_tf.training.feeds import HELD_OUT_BATCH, Feed
from darts_tf.training.optimizers import SGD
from darts_tf.training.schedules import (
    alignment_weight_at,
    op_dropout_at,
    perturb_radius_at,
    regularizer_weight_at,
    temperature_at,
)


def search_images(
    config: SearchConfig,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    space: Space | None = None,
    report_selection: Callable[[dict], None] | None = None,
) -> AnyGenotype:
    """Searches for cells on half of the training images for the weights and half for the alphas.

    Makes the run's folder, and writes metrics, alphas, the current genotype and checkpoints into
    it, at least after every epoch. `valid_accuracy` is the accuracy of the supernet on the alphas'
    half, without augmentation and with the running statistics.

    Args:
        config: the settings.
        dataset: what to search on; the test split is not touched.
        report: called with the metrics of every epoch.
        callbacks: further Keras callbacks.
        space: the search space of a stage, in place of that of the settings.
        report_selection: called after every round of a selection by perturbation; see
            `perturbation_selection.select`.

    Returns:
        The genotype of the alphas after the last epoch, or after the epoch to which an early stop
        rolls back, within the limits if there are some; or the genotype that the selection rule
        chooses in the end.

    Raises:
        InputError: images too small, a batch larger than half of the training images, more memory
            needed than is free, a budget that no cells meet, a table of latencies that cannot be
            used, a selection rule that chooses no cells, or a folder that is in use; nothing has
            been written then. Or the run to resume was started with other settings.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint has been written.
        Diverged: losses or gradients were not finite again after a rollback.
        OSError: a file could not be written; earlier checkpoints are unchanged.
    """
    if SELECTIONS[config.selection].needs_supernet:
        check_alone()
    strategy = make_strategy(config.strategy, config.devices)
    plan = plan_images(config, dataset, strategy.num_replicas_in_sync, space, report_selection)
    return run_plan(plan, strategy, report, callbacks)


def plan_images(
    config: SearchConfig,
    dataset: ImageDataset,
    replicas: int = 1,
    space: Space | None = None,
    report_selection: Callable[[dict], None] | None = None,
) -> Plan:
    """Plans a search on images: checks the settings, and writes nothing.

    Args:
        config: as in `search_images`.
        dataset: as in `search_images`.
        replicas: number of replicas that share a batch.
        space: as in `search_images`.
        report_selection: as in `search_images`.

    Raises:
        InputError: as `search_images`, but for the folder.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    if config.stages:
        raise InputError(
            "Expected the settings of one search, or stages.search_as_asked. "
            f"Received: stages={listed(config.stages)}"
        )
    preprocessing = dataset.preprocessing
    check_image_size(preprocessing.height, preprocessing.width, "cifar")
    halves = functools.lru_cache(1)(functools.partial(split_halves, dataset.train, config.seed))
    steps, _ = (steps_per_epoch(half, config.batch_size, replicas) for half in halves(0))
    check_warmup(config, steps)
    operations = space.columns[0] if space else None
    space = space or SPACES[config.space]
    space.check_genotypes(Genotype, EdgeGenotype)
    check_memory(config, preprocessing.height, preprocessing.width, operations)
    sizes = (preprocessing.height, preprocessing.width), preprocessing.channels
    target = target_of(config, config.preset, space, len(dataset.classes), *sizes)
    limits = {"relaxation": config.relaxation, "max_skips": config.max_skips}
    context = Context(space, **limits, within_budget=within_budget(config, target, space, **limits))
    rule = rule_of_epochs(config.selection)
    check_rule(rule, context, config.partial_channels > 1)
    penalty = None
    if config.cost is not None:
        costs = costs_of(config, config.cost, target, space)
        penalty = cost_penalty(costs, config.cost_weight)
    classes, channels = len(dataset.classes), preprocessing.channels
    finish = None
    if SELECTIONS[config.selection].needs_supernet:
        finish = functools.partial(_select_on_supernet, config, dataset, context, report_selection)
    return Plan(
        config,
        dataset,
        build=functools.partial(build_trainer, config, classes, channels, space, penalty),
        feed=_feed(config, halves, steps, preprocessing),
        derive=functools.partial(choose, rule, context),
        probes=lambda trainer: probes_of(trainer, config, halves, preprocessing),
        indicators=indicators.asked_of_cells(config),
        ramps=functools.partial(ramps, config),
        save=lambda folder: save_space(folder, space),
        finish=finish,
    )


def _feed(config: SearchConfig, halves: Callable, steps: int, preprocessing: Preprocessing) -> Feed:
    """Returns the batches of a search; those of the weights' next start have other halves.

    Args:
        config: the settings.
        halves: `halves(number)` returns the images for weights and alphas after so many restarts.
        steps: number of batches in an epoch.
        preprocessing: normalises the images.
    """
    augmentation = Augmentation(config.crop_padding, config.flip, config.cutout)
    recipe = (preprocessing, augmentation, config.batch_size)

    def train(start, **part):
        (epoch, step), number = start, config.restarts_before(start[0])
        end = (number + 1) * (config.restart_every or config.epochs)
        options = {"seed": config.seed, "epochs": end, "start_step": epoch * steps + step}
        return search_batches(*halves(number), *recipe, **options, **part)

    def test(epoch, **part):
        held_out = halves(config.restarts_before(epoch))[1]
        return evaluation_batches(held_out, preprocessing, HELD_OUT_BATCH, **part)

    tests = evaluation_steps(halves(0)[1], HELD_OUT_BATCH)
    return Feed(train, lambda epoch: steps, steps, test, tests, config.starts_weights)


def _select_on_supernet(
    config: SearchConfig,
    dataset: ImageDataset,
    context: Context,
    report: Callable[[dict], None] | None,
    trainer: DARTS,
    folder: pathlib.Path,
) -> AnyGenotype:
    """Chooses the final cells by a rule that measures the supernet, and adds its times."""

    def report_round(done: dict) -> None:
        epoch = config.epochs + done["round"] - 1  # for the times only
        append_time(folder, epoch, done["seconds"])
        if report:
            report(done)

    settings = SelectionSettings(config.selection_epochs, config.seed, config.selection_images)
    measure = functools.partial(select, trainer, config, dataset, folder, settings, report_round)
    context = dataclasses.replace(context, measure_supernet=measure)
    return choose(config.selection, context, trainer.network.alphas)


def probes_of(
    trainer: DARTS,
    config: SearchConfig,
    halves: Callable[[int], tuple[AnySplit, AnySplit]],
    preprocessing: Preprocessing,
) -> indicators.Probes:
    """Probes of an image supernet: the alphas' images, as they are and in their order.

    The eigenvalue is measured on the first batch of them.

    Args:
        trainer: trainer of the supernet.
        config: the settings.
        halves: `halves(number)` returns the images for weights and alphas after so many restarts.
        preprocessing: normalises the images.
    """

    def batches(number, size):
        return evaluation_batches(halves(number)[1], preprocessing, size)

    @functools.lru_cache(1)
    def first_batch(number):
        return next(iter(batches(number, config.batch_size)))

    def loss(alphas, *batch):
        return trainer.loss_at(trainer.read(trainer.weights_to_train), alphas, batch)

    product = hessian_products(loss, trainer.network.alphas, lambda: first_batch(trainer.restarts))
    measure = measuring(trainer.network, lambda: batches(trainer.restarts, HELD_OUT_BATCH))
    return indicators.Probes(product, measure)


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
    supernet = build_supernet(
        space,
        *(config.channels, config.cells, classes, image_channels),
        partial_channels=config.partial_channels,
        relaxation=config.relaxation,
        perturb=config.perturb,
        op_dropout=config.op_dropout,
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
        stop_operations=config.stop_operations,
        stop_operations_steps=config.stop_operations_steps,
        aligns_cells=config.alignment_weight > 0,
        attacks_mixture=config.perturb == ADVERSARIAL,
    )
    trainer.compile(
        optimizer=SGD(config.learning_rate, config.momentum),
        arch_optimizer=arch_optimizer(config),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=compiles(config.jit_compile) and config.relaxation not in UNCOMPILED,
    )
    return trainer


def ramps(config: SearchConfig, trainer: DARTS) -> list[Ramp]:
    """Returns callbacks for what changes with the epoch, beside the learning rate."""
    network = trainer.network
    changing = (
        (network.temperature, temperature_at),
        (network.perturb_radius, perturb_radius_at),
        (network.op_dropout_rate, op_dropout_at),
        (trainer.regularizer_weight, regularizer_weight_at),
        (trainer.alignment_weight, alignment_weight_at),
    )
    return [
        Ramp(variable, functools.partial(value_at, config))
        for variable, value_at in changing
        if variable is not None
    ]
