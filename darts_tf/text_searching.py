"""A whole search on text: from a dataset and its settings to a recurrent genotype."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import keras

from darts_tf.callbacks import MoveAlphasFrom, Record, of_every_run
from darts_tf.configs import TextSearchConfig
from darts_tf.data import TextDataset, search_segments
from darts_tf.distribution import is_chief, make_strategy
from darts_tf.execution import compiles
from darts_tf.fitting import begun, fit
from darts_tf.genotype import RecurrentGenotype
from darts_tf.language_search import LanguageDARTS
from darts_tf.losses import cross_entropy
from darts_tf.optimizers import SGD
from darts_tf.recurrent_supernet import RecurrentSupernet
from darts_tf.searching import arch_optimizer, describe
from darts_tf.text_feeding import check_streams, text_feed


def search(
    config: TextSearchConfig,
    dataset: TextDataset,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> RecurrentGenotype:
    """Searches for a recurrent cell: weights learn from train, alphas from valid.

    Makes the run's folder, and writes metrics, alphas, the current genotype and checkpoints into
    it, at least after every epoch. `valid_perplexity` is the supernet's, with the running
    statistics.

    Args:
        config: the settings.
        dataset: what to search on; the text of the test is not touched.
        report: called with every epoch's metrics.
        callbacks: further Keras callbacks.

    Returns:
        The genotype of the alphas after the last epoch.

    Raises:
        InputError: a batch larger than a text, or a folder that is in use; nothing has been
            written then. Or what is to be resumed was begun with other settings.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint has been written.
        Diverged: losses or gradients were not finite, again after going back once.
        OSError: a file could not be written; earlier checkpoints are as they were.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    strategy = make_strategy(config.strategy, config.devices)
    check_streams(config, dataset, strategy.num_replicas_in_sync, searched=True)
    segments = functools.partial(search_segments, dataset.train, dataset.valid)
    feed = text_feed(config, dataset, segments, spread=0.0)
    build = functools.partial(build_trainer, config, len(dataset.vocabulary))
    with begun(config, dataset, strategy, build) as (folder, trainer):
        record = Record(folder, lambda: describe(trainer, folder), report, writes=is_chief())
        every = [*of_every_run(config, record), MoveAlphasFrom(config.arch_from_epoch)]
        fit(trainer, config, folder, feed, [*every, *callbacks])
    return trainer.network.genotype()


def build_trainer(config: TextSearchConfig, vocabulary: int) -> LanguageDARTS:
    """The compiled trainer of a new supernet, with the reference's optimizers."""
    trainer = LanguageDARTS(
        RecurrentSupernet(vocabulary, config.units, **config.dropouts),
        config.batch_size,
        test_batch_size=config.valid_batch_size,
        time_steps=config.time_steps,
        activation_regularization=config.activation_regularization,
        temporal_regularization=config.temporal_regularization,
        arch_gradient=config.arch_gradient,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        arch_weight_decay=config.arch_weight_decay,
    )
    trainer.compile(
        optimizer=SGD(config.learning_rate, momentum=0.0, l2=0.0, clip_norm=None),
        arch_optimizer=arch_optimizer(config),
        loss=cross_entropy,
        jit_compile=compiles(config.jit_compile),
    )
    return trainer
