"""Callbacks that stop a run."""

from __future__ import annotations

import signal

import keras


class Killed(Exception):
    pass


class KillAfter(keras.callbacks.Callback):
    """Callback that stops a run between the ends of two epochs."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise Killed


class Terminate(keras.callbacks.Callback):
    """Callback that sends this process a signal to end after a step."""

    def __init__(self, epoch=0, batch=0):
        super().__init__()
        self.place, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            signal.raise_signal(signal.SIGTERM)
