"""A run that is stopped on the way."""

from __future__ import annotations

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
