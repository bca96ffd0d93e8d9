"""Trainer of a language model, with weight averaging (NT-ASGD) and choice of the best epoch."""

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
    """Trainer of a language model from `build_language_model` on one text.

    The epoch with the smallest loss on the test text is chosen. Once that loss stalls, the weights
    are averaged over all further steps, and the averages are tested and saved: averaged SGD,
    triggered by non-monotone progress (NT-ASGD, Merity et al. 2018, algorithm 1).

    Args:
        network: as in `TextStreamsMixin`.
        batch_size: as in `TextStreamsMixin`.
        *sizes: further sizes of `TextStreamsMixin`.
        epochs: number of epochs of the run; 0 if no epoch is chosen.
        average_after: `patience` of `stalls`; None for no averages.
        **settings: keyword arguments of `TextStreamsMixin`.

    Attributes:
        tested_losses: test loss of every epoch, `(epochs,)`, infinite for future epochs.
        averaged_steps: number of steps in the averages; -1 before averaging starts.
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
        """Runs `Trainer.train_step` with the learning rate scaled by the batch's length."""
        with self.rate_for(data):
            results = super().train_step(self.continued("train", data))
        if self.averages:
            self._average()
        return results

    def _average(self):
        """Updates the averages, if averaging has started and the last step was finite."""
        steps = tf.convert_to_tensor(self.averaged_steps)
        counts = (steps >= 0) & tf.equal(tf.convert_to_tensor(self.skipped_in_a_row), 0)
        steps += tf.cast(counts, steps.dtype)
        assign(self.averaged_steps, steps)
        share = 1 / tf.maximum(steps, 1)
        averages.move(self.averages, tf.where(counts, share, tf.zeros_like(share)))

    @property
    def averages_are_used(self) -> bool:
        """True if the averages are tested and saved instead of the weights."""
        return int(self.averaged_steps.numpy()) > 0

    @contextlib.contextmanager
    def testing(self):
        """Context manager: `TextStreamsMixin.testing` with the averages as weights, if used."""
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
        """Sets the network's weights to the averages, if they are used."""
        if self.averages_are_used:
            averages.take(self.averages)

    def extended(self, variable, array):
        """Returns the array, with losses of future epochs if the run has become longer."""
        if variable is not self.tested_losses:
            return array
        future = max(0, variable.shape[0] - len(array))
        return np.append(array, np.full(future, np.inf, array.dtype))

    def is_best(self, epoch, logs):
        """Returns True if the test loss is the smallest so far; starts averaging if it stalls."""
        earlier = self.tested_losses.numpy()[:epoch]
        losses = self.tested_losses.numpy()
        losses[epoch:] = np.inf  # belongs to epochs that were rolled back
        losses[epoch] = loss = logs["val_loss"]
        self.tested_losses.assign(losses)
        averaging = int(self.averaged_steps.numpy()) >= 0
        if self.averages and not averaging and stalls(earlier, loss, self.average_after):
            LOG.info("the validation loss stalls: averaging weights from epoch %d on", epoch + 2)
            self.averaged_steps.assign(0)
        return bool(loss <= losses.min())


def stalls(earlier: Sequence[float], loss: float, patience: int) -> bool:
    """Returns True if a loss exceeds the smallest one before the last `patience` epochs.

    Args:
        earlier: losses of the previous epochs, in order.
        loss: loss of this epoch.
        patience: number of the last epochs to ignore.
    """
    counting = earlier[: max(0, len(earlier) - patience)]
    return len(counting) > 0 and loss > min(counting)
