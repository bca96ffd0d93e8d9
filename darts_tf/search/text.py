"""A whole search on text: from a dataset and its settings to a recurrent genotype."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from darts_tf.configs import TextSearchConfig
from darts_tf.data import TextDataset, search_segments
from darts_tf.models.recurrent_supernet import RecurrentSupernet
from darts_tf.runtime.distribution import make_strategy
from darts_tf.runtime.execution import compiles
from darts_tf.search import indicators
from darts_tf.search.arch_optimizers import arch_optimizer
from darts_tf.search.eigenvalues import hessian_products
from darts_tf.search.language_darts import LanguageDARTS
from darts_tf.search.plan import Plan, run_plan
from darts_tf.search.restarts import check_warmup
from darts_tf.spaces.derivation import derive_recurrent
from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.training.feeds import Feed, check_streams, text_feed
from darts_tf.training.losses import cross_entropy
from darts_tf.training.optimizers import SGD


def search_text(
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
        The genotype of the alphas after the last epoch, or after the one that a search which is
        stopped early goes back to.

    Raises:
        InputError: a batch larger than a text, or a folder that is in use; nothing has been
            written then. Or what is to be resumed was begun with other settings.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint has been written.
        Diverged: losses or gradients were not finite, again after going back once.
        OSError: a file could not be written; earlier checkpoints are as they were.
    """
    strategy = make_strategy(config.strategy, config.devices)
    plan = plan_text(config, dataset, strategy.num_replicas_in_sync)
    return run_plan(plan, strategy, report, callbacks)


def plan_text(config: TextSearchConfig, dataset: TextDataset, replicas: int = 1) -> Plan:
    """Plans a search on text: checks the settings, and writes nothing.

    Args:
        config: as in `search_text`.
        dataset: as in `search_text`.
        replicas: number of replicas that share a batch.

    Raises:
        InputError: a batch larger than a text.
    """
    config = dataclasses.replace(config, dataset=dataset.name)
    check_streams(config, dataset, replicas, searched=True)
    segments = functools.partial(search_segments, dataset.train, dataset.valid)
    feed = text_feed(config, dataset, segments, spread=0.0)
    check_warmup(config, feed.steps(0))
    return Plan(
        config,
        dataset,
        build=functools.partial(build_trainer, config, len(dataset.vocabulary)),
        feed=feed,
        derive=lambda alphas: derive_recurrent(*alphas),
        probes=lambda trainer: probes_of(trainer, feed),
        indicators=indicators.asked_of_text(config),
    )


def probes_of(trainer: LanguageDARTS, feed: Feed) -> indicators.Probes:
    """Probes of a text supernet: the first words of the validation text, with a fixed dropout."""
    seed = tf.zeros(trainer.network.seed_state.shape, trainer.network.seed_state.dtype)
    others = [(trainer.network.seed_state, seed)]

    def loss(alphas):
        tokens, targets = first[:2]
        state = tf.zeros((tokens.shape[0], trainer.network.state_units), trainer.compute_dtype)
        batch = (tokens, state), targets
        weights = trainer.read(trainer.weights_to_train)
        settings = batch, others, trainer.plain_objective
        return trainer.loss_and_outputs_at(weights, alphas, *settings)[0]

    first = next(iter(feed.test(0)))
    return indicators.Probes(hessian_products(loss, trainer.network.alphas))


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
        optimizer=SGD(config.learning_rate),
        arch_optimizer=arch_optimizer(config),
        loss=cross_entropy,
        jit_compile=compiles(config.jit_compile),
    )
    return trainer
