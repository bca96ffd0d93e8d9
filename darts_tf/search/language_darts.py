"""The search for recurrent cells: `DARTS` on two streams of text (Liu et al. 2019, sec. 3.1.2)."""

from __future__ import annotations

import tensorflow as tf

from darts_tf.runtime.switches import Switch
from darts_tf.search.darts import DARTS
from darts_tf.training.text_streams import TextStreamsMixin


class LanguageDARTS(TextStreamsMixin, DARTS):
    """`DARTS` for a `RecurrentSupernet`.

    A batch is a pair `((tokens, targets), (tokens, targets))`, of the training and of the valid
    stream. The virtual step is clipped; losses that the alphas' gradient is made of are of words
    alone; and the valid stream goes on from the state that the virtual network leaves.
    """

    def __init__(self, network, batch_size: int, **settings):
        super().__init__(network, batch_size, **{"clip_virtual_step": True, **settings})
        self._valid_state = Switch(None)  # of each replica, which a thread of its own traces

    def loss_at(self, weights, alphas, batch):
        """As `DARTS.loss_at`, without regularisations; the batch is from `continued`."""
        return self.loss_and_outputs_at(weights, alphas, batch, objective=self.plain_objective)[0]

    def loss_of(self, valid_batch):
        """As `DARTS.loss_of`; the valid batch has dropout masks of its own, and leaves a state.

        Every look at the train batch has the masks that the weights' step will have.
        """
        seed = self.network.seed_state
        others = [(seed, tf.convert_to_tensor(seed) + tf.constant([1, 0], seed.dtype))]

        def loss(weights, alphas, batch):
            if batch is not valid_batch:
                return self.loss_at(weights, alphas, batch)
            settings = (others, self.plain_objective)
            share, state = self.loss_and_outputs_at(weights, alphas, batch, *settings)
            self._valid_state.value = state
            return share

        return loss

    def train_step(self, data):
        """As `DARTS.train_step`, at the learning rate for the train batch's length."""
        train, valid = data
        with self.rate_for(train):
            batches = self.continued("train", train), self.continued("valid", valid)
            return super().train_step(batches)

    def _arch_step(self, weights, train_batch, valid_batch):
        """As `DARTS._arch_step`; the valid stream goes on."""
        with self._valid_state.hold(None):
            results = super()._arch_step(weights, train_batch, valid_batch)
            self.carry_state(self._valid_state.value, "valid")
        return results
