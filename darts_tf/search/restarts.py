"""Restarts of the weights within a search, while the alphas go on.

A set of weights learns its half of the images by heart, and from then on the alphas follow what it
happens to have memorised. After a restart, the weights learn from other initial values and other
images, so that what all sets of weights agree on adds up in the alphas, and the rest averages out.
"""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Iterator

import keras
import numpy as np

from darts_tf.configs import ArchConfig
from darts_tf.errors import InputError
from darts_tf.search.darts import DARTS

LOG = logging.getLogger("darts_tf")


class Restart(keras.callbacks.Callback):
    """Restarts the weights when it is due, and lets them warm up without updates of the alphas.

    Everything is a function of the epoch and the step, so that a resumed search does the same.

    Args:
        config: settings of the search: `restart_every`, `restart_warmup` and `arch_from_epoch`, the
            first epoch, from 0, that updates the alphas.
    """

    def __init__(self, config: ArchConfig):
        super().__init__()
        self.config = config

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the epoch, and the number of restarts."""
        self.epoch = epoch
        self.model.restarts = self.config.restarts_before(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        """Restarts the weights before the first step of some epochs; sets `moves_alphas`.

        A change of `moves_alphas` makes Keras trace its step again.
        """
        starts, number = self.config.starts_weights(self.epoch), self.model.restarts
        if starts and number and batch == 0:
            LOG.info("restart %d of the weights, before epoch %d", number, self.epoch + 1)
            restart_weights(self.model, self.config.seed, number)
        moves = self.epoch >= self.config.arch_from_epoch
        moves = moves and not (starts and batch < self.config.restart_warmup)
        if moves != self.model.moves_alphas:
            self.model.moves_alphas = moves
            self.model.make_train_function(force=True)


def restart_weights(trainer: DARTS, seed: int, number: int) -> None:
    """Gives weights and running statistics new initial values, and sets the velocities to 0.

    Alphas, the moments of their optimizer, counters, random streams and schedules go on. Operations
    that had stopped learn again, see `operation_stopping`. The same variables are assigned, so that
    no step has to be traced again.

    Args:
        trainer: compiled trainer of the search.
        seed: seed of the search.
        number: number of the restart, from 1; the initial values of all of them differ.
    """
    network = trainer.network
    with _seeded(int(np.random.SeedSequence([seed, number]).generate_state(1)[0])):
        fresh = type(network).from_config(network.get_config())
    restarted = {id(variable) for variable in (*network.network_weights, *_statistics(network))}
    for variable, value in zip(network.variables, fresh.variables, strict=True):
        if id(variable) in restarted:
            variable.assign(value.numpy())
    for velocity in getattr(trainer.optimizer, "momentums", ()):
        velocity.assign(np.zeros(velocity.shape, velocity.dtype))
    if trainer.operation_stop:
        trainer.operation_stop.reset()


def _statistics(network: keras.Model) -> list[keras.Variable]:
    """Returns the running statistics: other non-trainable variables are scalars or seeds."""
    variables = network.non_trainable_variables
    return [v for v in variables if len(v.shape) and v.dtype.startswith("float")]


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Context manager: seeds new Keras initializers, which draw their seeds from `random`."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def check_warmup(config: ArchConfig, steps: int) -> None:
    """Checks that the alphas are updated in every epoch.

    Args:
        config: settings of the search.
        steps: number of steps in its first epoch.

    Raises:
        InputError: the warm-up is not shorter than an epoch.
    """
    if config.restart_warmup >= steps:
        raise InputError(
            f"Expected restart_warmup to be below the {steps} steps of an epoch. "
            f"Received: restart_warmup={config.restart_warmup}"
        )
