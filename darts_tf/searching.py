"""A whole search: from a dataset and its settings to a genotype."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import keras
import numpy as np

from darts_tf import runs
from darts_tf.callbacks import MoveAlphasFrom, Record, of_every_run
from darts_tf.configs import ArchConfig, SearchConfig
from darts_tf.data import (
    Augmentation,
    ImageDataset,
    search_batches,
    split_halves,
    steps_per_epoch,
)
from darts_tf.distribution import is_chief, make_strategy
from darts_tf.execution import compiles
from darts_tf.fitting import begun, fit, image_feed
from darts_tf.genotype import Genotype
from darts_tf.optimizers import SGD
from darts_tf.preflight import check_memory
from darts_tf.search import DARTS
from darts_tf.stems import check_image_size
from darts_tf.supernet import Supernet


def search(
    config: SearchConfig,
    dataset: ImageDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
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

    Returns:
        The genotype of the alphas after the last epoch.

    Raises:
        InputError: images too small, a batch larger than half of the training images, more memory
            needed than is free, or a folder that is in use; nothing has been written then. Or
            what is to be resumed was begun with other settings.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint has been written.
        Diverged: losses or gradients were not finite, again after going back once.
        OSError: a file could not be written; earlier checkpoints are as they were.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    strategy = make_strategy(config.strategy, config.devices)
    replicas = strategy.num_replicas_in_sync
    preprocessing = dataset.preprocessing
    check_image_size(preprocessing.height, preprocessing.width, "cifar")
    halves = split_halves(dataset.train, config.seed)
    steps, _ = (steps_per_epoch(half, config.batch_size, replicas) for half in halves)
    check_memory(config, preprocessing.height, preprocessing.width)
    build = functools.partial(build_trainer, config, len(dataset.classes), preprocessing.channels)
    batches = functools.partial(
        search_batches,
        *halves,
        preprocessing,
        Augmentation(config.crop_padding, config.flip, config.cutout),
        config.batch_size,
        seed=config.seed,
        epochs=config.epochs,
    )
    with begun(config, dataset, strategy, build) as (folder, trainer):
        record = Record(folder, lambda: describe(trainer, folder), report, writes=is_chief())
        fit(
            trainer,
            config,
            folder,
            image_feed(batches, steps, halves[1], preprocessing),
            callbacks=[
                *of_every_run(config, record),
                MoveAlphasFrom(config.arch_from_epoch),
                *callbacks,
            ],
        )
    return trainer.network.genotype()


def build_trainer(config: SearchConfig, classes: int, image_channels: int) -> DARTS:
    """The compiled trainer of a new supernet, with the reference's optimizers."""
    supernet = Supernet(
        config.channels,
        config.cells,
        classes,
        image_channels,
        partial_channels=config.partial_channels,
    )
    trainer = DARTS(
        supernet,
        arch_gradient=config.arch_gradient,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        arch_weight_decay=config.arch_weight_decay,
        sync_batch_norm=config.sync_batch_norm,
    )
    trainer.compile(
        optimizer=SGD(config.learning_rate, config.momentum, l2=0.0, clip_norm=None),
        arch_optimizer=arch_optimizer(config),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=compiles(config.jit_compile),
    )
    return trainer


def arch_optimizer(config: ArchConfig) -> keras.optimizers.Optimizer:
    """Adam, as the reference has it."""
    rates = (config.arch_learning_rate, config.arch_beta_1, config.arch_beta_2)
    return keras.optimizers.Adam(*rates, epsilon=1e-8)


def describe(trainer: DARTS, folder: pathlib.Path) -> dict:
    """Writes alphas and genotype, and gives the genotype as text for the metrics."""
    genotype = trainer.network.genotype()
    if is_chief():
        runs.save_alphas(folder, *map(np.asarray, trainer.network.alphas))
        genotype.save(folder / runs.GENOTYPE)
    return {"genotype": str(genotype)}
