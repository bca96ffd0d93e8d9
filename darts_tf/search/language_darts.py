"""The search for recurrent cells: `DARTS` on two streams of text (Liu et al. 2019, sec. 3.1.2)."""

from __future__ import annotations

import tensorflow as tf

from darts_tf.runtime.switches import Switch
from darts_tf.search.darts import DARTS
from darts_tf.training.optimizers import Adam
from darts_tf.training.text_streams import TextStreamsMixin


class LanguageDARTS(TextStreamsMixin, DARTS):
    """`DARTS` for a `RecurrentSupernet`.

    A batch is a pair `((tokens, targets), (tokens, targets))` of the training and the validation
    streams. The virtual step is clipped. The losses in the alphas' gradient have no activation or
    temporal regularisation. The validation streams continue from the hidden state that the network
    has reached with the virtual weights.
    """

    def __init__(self, network, batch_size: int, **settings):
        super().__init__(network, batch_size, **{"clip_virtual_step": True, **settings})
        self._valid_state = Switch(None)  # one per replica: each is traced in its own thread

    def paper_arch_optimizer(self):
        """Returns a new optimizer of the alphas, as in the paper's search on text."""
        return Adam(3e-3)

    def loss_at(self, weights, alphas, batch):
        """Returns the loss without regularisation; the batch must come from `continued`."""
        return self.loss_and_outputs_at(weights, alphas, batch, objective=self.plain_objective)[0]

    def loss_of(self, valid_batch):
        """Returns the loss function that is passed to the estimator.

        Its passes on the validation batch use dropout masks of their own and store the final
        state. Its passes on the training batch use the masks of the weights' step.
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
        """Runs `DARTS.train_step` at the learning rate for the training batch's length."""
        train, valid = data
        with self.rate_for(train):
            batches = self.continued("train", train), self.continued("valid", valid)
            return super().train_step(batches)

    def _arch_step(self, weights, train_batch, valid_batch):
        """Runs `DARTS._arch_step` and carries the state of the validation streams."""
        with self._valid_state.hold(None):
            results = super()._arch_step(weights, train_batch, valid_batch)
            self.carry_state(self._valid_state.value, "valid")
        return results
