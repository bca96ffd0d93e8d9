"""A whole search: from a dataset and its settings to a genotype."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import keras
import numpy as np

from darts_tf import runs
from darts_tf.callbacks import MoveAlphasFrom, Record, begin_or_resume, of_every_run
from darts_tf.configs import SearchConfig
from darts_tf.data import (
    Augmentation,
    ImageDataset,
    evaluation_batches,
    search_batches,
    split_halves,
    steps_per_epoch,
)
from darts_tf.execution import compiles, dtype_policy, graph_optimizer_off, on_device
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
    it after every epoch. `valid_accuracy` is the supernet's on the alphas' half, without
    augmentation and with the running statistics.

    Args:
        config: the settings.
        dataset: what to search on; the test split is not touched.
        report: called with every epoch's metrics.
        callbacks: further Keras callbacks.

    Returns:
        The genotype of the alphas after the last epoch.

    Raises:
        ValueError: images too small, a batch larger than half of the training images, more memory
            needed than is free, or a folder that is in use; nothing has been written then.
    """
    check_image_size(dataset.preprocessing.height, dataset.preprocessing.width, "cifar")
    weights_half, alphas_half = split_halves(dataset.train, config.seed)
    steps, _ = (steps_per_epoch(half, config.batch_size) for half in (weights_half, alphas_half))
    check_memory(config, dataset.preprocessing.height, dataset.preprocessing.width)
    keras.utils.set_random_seed(config.seed)
    with dtype_policy(config.precision):
        trainer = build_trainer(config, len(dataset.classes), dataset.preprocessing.channels)
    optimizers = (trainer.optimizer, trainer.arch_optimizer)
    variables = [*trainer.variables, *(v for o in optimizers for v in o.variables)]
    folder = runs.begin(config, dataset)
    checkpoint, done = begin_or_resume(folder, variables, config.resume)
    batches = search_batches(
        weights_half,
        alphas_half,
        dataset.preprocessing,
        Augmentation(config.crop_padding, config.flip, config.cutout),
        config.batch_size,
        seed=config.seed,
        epochs=config.epochs,
        start_step=done * steps,
    )
    record = Record(folder, lambda: _describe(trainer, folder), report)
    if done < config.epochs:
        with graph_optimizer_off():
            trainer.fit(
                on_device(batches),
                epochs=config.epochs,
                initial_epoch=done,
                steps_per_epoch=steps,
                validation_data=evaluation_batches(alphas_half, dataset.preprocessing, 256),
                callbacks=[
                    *of_every_run(config, record, checkpoint),
                    MoveAlphasFrom(config.arch_from_epoch),
                    *callbacks,
                ],
                shuffle=False,  # the pipeline has shuffled
                verbose=0,
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
    )
    trainer.compile(
        optimizer=SGD(config.learning_rate, config.momentum, l2=0.0, clip_norm=None),
        arch_optimizer=keras.optimizers.Adam(
            config.arch_learning_rate, config.arch_beta_1, config.arch_beta_2, epsilon=1e-8
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=compiles(config.jit_compile),
    )
    return trainer


def _describe(trainer: DARTS, folder: pathlib.Path) -> dict:
    """Writes alphas and genotype, and gives the genotype as text for the metrics."""
    alphas = [np.asarray(variable) for variable in trainer.network.alphas]
    if not all(np.isfinite(array).all() for array in alphas):
        raise RuntimeError(
            "the search diverged: its alphas are no longer finite. The epochs before are kept; "
            "begin again with a lower --learning-rate or --arch-learning-rate"
        )
    runs.save_alphas(folder, *alphas)
    genotype = trainer.network.genotype()
    genotype.save(folder / runs.GENOTYPE)
    return {"genotype": str(genotype)}
