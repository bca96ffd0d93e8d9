"""A run that is stopped on the way."""

from __future__ import annotations

import signal

import keras


class Killed(Exception):
    pass


class KillAfter(keras.callbacks.Callback):
    """Stops a run between an epoch's end and the next epoch's."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise Killed


class Terminate(keras.callbacks.Callback):
    """Asks this process to end, after a step."""

    def __init__(self, epoch=0, batch=0):
        super().__init__()
        self.place, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            signal.raise_signal(signal.SIGTERM)
