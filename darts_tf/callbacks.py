"""What happens at the ends of epochs: schedules, records and checkpoints."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from darts_tf import runs

CHECKPOINTS_KEPT = 2


def cosine(epoch: int, epochs: int, start: float, end: float) -> float:
    """The learning rate of epoch 0, 1, ...: the first has `start`, and `end` is never reached."""
    return end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def cosine_schedule(config) -> keras.callbacks.Callback:
    """Sets the learning rate of the weights at every epoch, from the settings of a run."""
    return keras.callbacks.LearningRateScheduler(
        lambda epoch, _: cosine(
            epoch, config.epochs, config.learning_rate, config.learning_rate_min
        )
    )


class DropPathRamp(keras.callbacks.Callback):
    """Lets the drop-path rate of a network grow in proportion to the epoch, from 0.

    Args:
        rate: what epoch `epochs` would have.
        epochs: of the whole run.
    """

    def __init__(self, rate: float, epochs: int):
        super().__init__()
        self.rate = rate
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the rate of this epoch."""
        self.model.drop_path_rate.assign(self.rate * epoch / self.epochs)


class MoveAlphasFrom(keras.callbacks.Callback):
    """Lets a search's weights learn alone before an epoch.

    Args:
        epoch: the first, counted from 0, that moves the alphas.
    """

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        """Has the step traced anew where it changes."""
        moves = epoch >= self.epoch
        if moves != self.model.moves_alphas:
            self.model.moves_alphas = moves
            self.model.make_train_function(force=True)


class Record(keras.callbacks.Callback):
    """Writes a line of metrics after every epoch, and reports it.

    Args:
        folder: of the run.
        describe: gives further entries for the line; called when the epoch has ended.
        report: called with the line, a dict; None for nobody.
        held_out: what metrics of the images not trained on begin with.
    """

    def __init__(
        self,
        folder,
        describe: Callable[[], dict],
        report: Callable | None,
        held_out: str = "valid",
    ):
        super().__init__()
        self.folder = folder
        self.describe = describe
        self.report = report
        self.held_out = held_out

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the epoch's clock."""
        self.start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Writes and reports."""
        metrics = self._readable(logs or {})
        seconds = round(time.monotonic() - self.start, 3)
        line = {"epoch": epoch, **metrics, "seconds": seconds, **self.describe()}
        runs.append_metrics(self.folder, line)
        if self.report:
            self.report(line)

    def _readable(self, logs):
        """The main output's numbers under plain names, the sum of all losses as `total_loss`."""
        readable = {}
        for name, value in logs.items():
            held_out, plain = name.startswith("val_"), name.removeprefix("val_")
            if plain == "loss" and name.replace("loss", "logits_loss") in logs:
                plain = "total_loss"
            plain = plain.removeprefix("logits_")
            readable[f"{self.held_out}_{plain}" if held_out else plain] = float(value)
        return readable


class Checkpoint(keras.callbacks.Callback):
    """Saves everything that a run goes on from after every epoch, and restores it.

    Args:
        folder: of the run; the last `CHECKPOINTS_KEPT` checkpoints stay below it.
        variables: Keras variables: weights, statistics, random states, optimizers' states.
    """

    def __init__(self, folder, variables):
        super().__init__()
        self.epochs_done = tf.Variable(0, dtype=tf.int64, trainable=False)
        unique = {id(variable): variable.value for variable in variables}
        checkpoint = tf.train.Checkpoint(
            epochs_done=self.epochs_done, variables=list(unique.values())
        )
        self.manager = tf.train.CheckpointManager(
            checkpoint, os.fspath(folder / runs.CHECKPOINTS), max_to_keep=CHECKPOINTS_KEPT
        )

    def restore(self) -> int:
        """Sets all variables from the last checkpoint, if there is one; epochs that were done."""
        if self.manager.latest_checkpoint:
            status = self.manager.checkpoint.restore(self.manager.latest_checkpoint)
            status.assert_existing_objects_matched()
        return int(self.epochs_done)

    def on_epoch_end(self, epoch, logs=None):
        """Saves; the file's number is that of epochs done."""
        self.epochs_done.assign(epoch + 1)
        self.manager.save(checkpoint_number=epoch + 1)


def begin_or_resume(folder, variables, resume: bool) -> tuple[Checkpoint, int]:
    """The checkpoint callback of a run, and the epoch to go on from: 0 for a new run."""
    checkpoint = Checkpoint(folder, variables)
    if not resume:
        return checkpoint, 0
    epochs_done = checkpoint.restore()
    runs.keep_metrics(folder, epochs_done)
    return checkpoint, epochs_done


def of_every_run(config, record: Record, checkpoint: Checkpoint) -> list[keras.callbacks.Callback]:
    """Schedule, record, checkpoint and TensorBoard, in the order that they depend on.

    The checkpoint comes after the record: what is stopped in between repeats the epoch, and
    `begin_or_resume` drops the line that would stand twice.
    """
    board = keras.callbacks.TensorBoard(record.folder / "tensorboard", write_graph=False)
    return [cosine_schedule(config), record, checkpoint, board]
