"""Training a searched supernet on while its cells are selected."""

from __future__ import annotations

import dataclasses
import functools
import logging

import keras

from darts_tf.configs import SearchConfig
from darts_tf.data import Augmentation, ImageDataset, Split, steps_per_epoch, train_batches
from darts_tf.models.mixture import Mixture, mixed_by
from darts_tf.runtime.distribution import distributed
from darts_tf.runtime.execution import dtype_policy
from darts_tf.training.loop import Stepper
from darts_tf.training.optimizers import SGD
from darts_tf.training.schedules import cosine
from darts_tf.training.trainer import Trainer

LOG = logging.getLogger("darts_tf")

SLOWER = 0.1
"""Learning rate at the beginning of the tuning, as a multiple of the search's, by the authors'
code; it goes down to that at the search's end."""


class Tuner(Trainer):
    """Trains a supernet's weights at a mixture that is given, not at its alphas.

    Args:
        network: a supernet.
        **settings: of `Trainer`.

    Attributes:
        mixture: variables, an array for each of the supernet's `alphas`.
    """

    def __init__(self, network, **settings):
        super().__init__(network, **settings)
        self.mixture = [
            self.add_weight(shape=alphas.shape, dtype=alphas.dtype, trainable=False, name="mixture")
            for alphas in network.alphas
        ]

    def _weights_to_train(self):
        return self.network.network_weights

    def call(self, x, training=False):
        """As the network, mixed so."""
        with mixed_by(self.mixture):
            return self.network(x, training=training)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How cells are selected.

    Attributes:
        epochs: of tuning after every round.
        seed: of the order of the edges.
        images: most of those that is measured on; None for all.
    """

    epochs: int
    seed: int
    images: int | None = None


class Tuning:
    """Epochs of the weights between two rounds of a selection.

    Args:
        trainer: of the search.
        config: the settings of the search.
        dataset: what it searched on.
        half: the images that its weights learn from.
        settings: of the selection.
        times: how often there will be tuning.
    """

    def __init__(
        self,
        trainer: Trainer,
        config: SearchConfig,
        dataset: ImageDataset,
        half: Split,
        settings: Settings,
        times: int,
    ):
        self.config, self.settings, self.times = config, settings, times
        strategy = trainer.distribute_strategy
        with strategy.scope(), dtype_policy(config.precision):
            self.tuner = Tuner(
                trainer.network,
                weight_decay=config.weight_decay,
                clip_norm=config.clip_norm,
                sync_batch_norm=config.sync_batch_norm,
            )
            self.tuner.compile(
                optimizer=SGD(config.learning_rate, config.momentum, l2=0.0, clip_norm=None),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                jit_compile=trainer.jit_compile,
            )
        self.steps = steps_per_epoch(half, config.batch_size, strategy.num_replicas_in_sync)
        self.batches = functools.partial(
            train_batches,
            half,
            dataset.preprocessing,
            Augmentation(config.crop_padding, config.flip, config.cutout),
            config.batch_size,
            seed=config.seed,
            epochs=config.epochs + times * settings.epochs,
        )
        self.step = Stepper(self.tuner, self.tuner.train_step)

    def tune(self, earlier: int, mixture: Mixture) -> None:
        """Trains for as many epochs as the settings say, on batches that were not drawn before.

        Args:
            earlier: how often there was tuning.
            mixture: what the supernet is mixed by meanwhile.
        """
        for variable, part in zip(self.tuner.mixture, mixture, strict=True):
            variable.assign(part)
        skipped = int(self.tuner.skipped.numpy())
        for i in range(self.settings.epochs):
            epoch = earlier * self.settings.epochs + i
            self.tuner.optimizer.learning_rate = self._rate(epoch)
            first = (self.config.epochs + epoch) * self.steps
            made = functools.partial(self.batches, start_step=first)
            iterator = iter(distributed(self.tuner.distribute_strategy, made))
            for _ in range(self.steps):
                self.step(iterator)
        skipped = int(self.tuner.skipped.numpy()) - skipped
        if skipped:
            LOG.warning("%d steps of the tuning were not finite and were skipped", skipped)

    def _rate(self, epoch):
        start = SLOWER * self.config.learning_rate
        end = min(start, self.config.learning_rate_min)
        return cosine(epoch, self.times * self.settings.epochs, start, end)
