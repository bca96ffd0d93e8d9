"""Training a language model: its averages, and the epoch that is chosen."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from darts_tf.runtime.distribution import assign
from darts_tf.training import averages
from darts_tf.training.text_streams import TextStreamsMixin
from darts_tf.training.trainer import Trainer

LOG = logging.getLogger("darts_tf")


class LanguageTrainer(TextStreamsMixin, Trainer):
    """Trains a language model from `build_language_model` on one text.

    It chooses among the epochs by the loss on the text that is tested on. Once that stalls, the
    mean of the weights after each further step is what is tested and kept: averaged SGD, triggered
    by non-monotone progress (NT-ASGD, Merity et al. 2018, algorithm 1).

    Args:
        network: as in `TextStreamsMixin`.
        batch_size: as there.
        *sizes: as there.
        epochs: of the run; 0 where nothing is chosen.
        average_after: as `stalls` takes it; None for no averages.
        **settings: of `TextStreamsMixin`.

    Attributes:
        tested_losses: `(epochs,)`, infinite for epochs that are still to come.
        averaged_steps: how many steps the averages are of; -1 before they are begun.
    """

    def __init__(
        self,
        network: keras.Model,
        batch_size: int,
        *sizes: int,
        epochs: int = 0,
        average_after: int | None = None,
        **settings,
    ):
        super().__init__(network, batch_size, *sizes, **settings)
        self.average_after = average_after
        self.tested_losses = self.add_weight(
            shape=(epochs,),
            initializer=keras.initializers.Constant(np.inf),
            trainable=False,
            name="tested_losses",
        )
        self.averaged_steps = self.add_weight(
            shape=(),
            dtype="int64",
            initializer=keras.initializers.Constant(-1),
            trainable=False,
            name="averaged_steps",
        )
        averaged = network.trainable_variables if average_after else []
        self.averages = averages.averages(self, averaged)

    def train_step(self, data):
        """As `Trainer.train_step`, at the learning rate for the batch's length."""
        with self.rate_for(data):
            results = super().train_step(self.continued("train", data))
        if self.averages:
            self._average()
        return results

    def _average(self):
        """Takes the weights into their averages, after a step that was finite."""
        steps = tf.convert_to_tensor(self.averaged_steps)
        counts = (steps >= 0) & tf.equal(tf.convert_to_tensor(self.skipped_in_a_row), 0)
        steps += tf.cast(counts, steps.dtype)
        assign(self.averaged_steps, steps)
        share = 1 / tf.maximum(steps, 1)
        averages.move(self.averages, tf.where(counts, share, tf.zeros_like(share)))

    @property
    def averages_are_used(self) -> bool:
        """Whether the averages are what is tested and kept."""
        return int(self.averaged_steps.numpy()) > 0

    @contextlib.contextmanager
    def testing(self):
        """As `TextStreamsMixin.testing`, with the averages in the weights' places if they count."""
        held = []
        if self.averages_are_used:
            held = [(variable, variable.numpy()) for variable, _ in self.averages]
            self.take_averages()
        try:
            with super().testing():
                yield
        finally:
            for variable, weights in held:
                variable.assign(weights)

    def take_averages(self) -> None:
        """Sets the network to the averages, where they count."""
        if self.averages_are_used:
            averages.take(self.averages)

    def is_best(self, epoch, logs):
        """As `Trainer.is_best`: whether the loss is the least; begins the averages if it stalls."""
        earlier = self.tested_losses.numpy()[:epoch]
        losses = self.tested_losses.numpy()
        losses[epoch:] = np.inf  # of a time that the run has gone back from
        losses[epoch] = loss = logs["val_loss"]
        self.tested_losses.assign(losses)
        begun = int(self.averaged_steps.numpy()) >= 0
        if self.averages and not begun and stalls(earlier, loss, self.average_after):
            LOG.info("the valid loss stalls: averaging weights from epoch %d on", epoch + 2)
            self.averaged_steps.assign(0)
        return bool(loss <= losses.min())


def stalls(earlier: Sequence[float], loss: float, patience: int) -> bool:
    """Whether a loss is above the least one of `patience` epochs ago or earlier.

    Args:
        earlier: the losses of the epochs before, in their order.
        loss: of this epoch.
        patience: how many of the last epochs do not count.
    """
    counting = earlier[: max(0, len(earlier) - patience)]
    return len(counting) > 0 and loss > min(counting)
