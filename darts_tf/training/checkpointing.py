"""Checkpoints of a run: when they are saved, resuming, rolling back, and stopping by a signal."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import signal
import time

import numpy as np

from darts_tf.errors import InputError
from darts_tf.runs import checkpoints
from darts_tf.runs.checkpoints import Position, Writer
from darts_tf.runs.folder import check_same_settings
from darts_tf.runtime.distribution import agreed, is_chief, workers
from darts_tf.runtime.signals import Diverged, Interrupted, deferred
from darts_tf.training.trainer import Trainer

LOG = logging.getLogger("darts_tf")

_DUE = 1 << 20  # above the number of workers


class CheckpointManager:
    """Saves and restores a run's state; a context manager around the run.

    Under a strategy of several processes all processes must call the same methods in the same
    order, and only the first one writes.

    Args:
        trainer: trainer whose `state` is saved.
        config: settings of the run.
        folder: folder of its checkpoints.
        feed: a `Feed`, whose `most` and `steps(epoch)` are used.
    """

    def __init__(self, trainer: Trainer, config, folder: pathlib.Path, feed):
        self.trainer = trainer
        self.config = config
        self.folder = folder
        self.feed = feed
        self._writer = Writer(folder, config.keep_checkpoints)
        self._saved = time.monotonic()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            if is_chief():
                stack.enter_context(self._writer)
            self._signals = stack.enter_context(deferred())
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self._open.close()

    def start(self) -> Position:
        """Restores the newest undamaged checkpoint, or saves the first one of a new run.

        Returns:
            The position at which training starts.

        Raises:
            InputError: the checkpoint belongs to other settings or another network.
            OSError: the first checkpoint cannot be written.
        """
        paths = [*checkpoints.newest(self.folder), *self._best()]
        position = self._restored(paths) if self.config.resume else None
        if position is None:
            position = Position(0, 0, self.feed.most)
            self.save(position, wait=True)
        if agreed(self.trainer.distribute_strategy, position.done) != workers() * position.done:
            raise InputError(
                "Expected all workers to resume from one checkpoint; they must share the folder. "
                f"Received: a checkpoint other than {position} on some worker"
            )
        return position

    def save(self, position: Position, wait: bool = False, best: bool = False) -> None:
        """Saves a checkpoint; it is written in the background unless `wait`.

        Args:
            position: position of the run.
            wait: True to wait until the checkpoint is written.
            best: True if this is the best checkpoint so far, which is restored at the end and for
                a rollback.

        Raises:
            OSError: this checkpoint, or the one before, could not be written.
        """
        arrays = [np.asarray(variable.numpy()) for variable in self.trainer.state()]
        self._saved = time.monotonic()
        if is_chief():
            self._writer.write(position, self.config.to_dict(), arrays, best)
            if wait:
                self._writer.wait()

    def finish(self) -> None:
        """Waits until all checkpoints are written.

        Raises:
            OSError: a checkpoint could not be written.
        """
        self._writer.wait()

    def take_best(self) -> None:
        """Restores the best checkpoint, if one was chosen.

        Raises:
            InputError: the checkpoint is damaged.
        """
        agreed(self.trainer.distribute_strategy, 0)  # waits for the first process to write it
        if self._best() and self._restored(self._best()) is None:
            raise InputError(
                f"Expected the run's best checkpoint. Received: {self._best()[0]}, which is damaged"
            )

    def _best(self) -> list[pathlib.Path]:
        """Returns a list with the path of the best checkpoint, or an empty one."""
        return [path for path in [self.folder / checkpoints.BEST] if path.exists()]

    def after_step(self, position: Position) -> None:
        """Saves a checkpoint if one is due or the run is to stop.

        Raises:
            Interrupted: a signal was received; a checkpoint has been saved.
            Diverged: too many steps in a row were not finite.
            OSError: a checkpoint could not be written.
        """
        self._writer.check()
        finite = self._last_step_finite(position)
        stop, due = self._stop_and_due()
        every = self.config.checkpoint_steps
        due = due or bool(every and position.done % every == 0)
        if stop or (due and finite):  # rolling back to a step that failed would not help
            self.save(position)
        if stop:
            self._interrupt(position)

    def after_test(self, position: Position) -> None:
        """Stops the run after a test batch if a signal was received.

        Raises:
            Interrupted: a signal was received; the checkpoint before the test has been saved.
        """
        if self._stop_and_due()[0]:
            self._interrupt(position)

    def roll_back(self, error: Diverged) -> Position:
        """Rolls back to the best checkpoint, or the last one, with a lower learning rate.

        Raises:
            Diverged: the run was rolled back before.
        """
        before = int(self.trainer.rollbacks.numpy())
        if before:
            raise Diverged(
                f"{error}, again after the run was rolled back once with a lower learning rate; "
                f"{int(self.trainer.skipped.numpy())} steps were skipped in all. Its checkpoints "
                "are kept; start another run with a lower --learning-rate"
            ) from error
        self._writer.wait()
        position = self._restored([*self._best(), *checkpoints.newest(self.folder)])
        if position is None:
            raise error
        if is_chief():
            self._writer.forget_after(position)
        self.trainer.rollbacks.assign(before + 1)
        LOG.warning(
            "%s; rolling back to step %d of epoch %d with a lower learning rate",
            *(error, position.step, position.epoch + 1),
        )
        self.save(position, wait=True)
        return position

    def _interrupt(self, position):
        self.finish()
        raise Interrupted(
            f" after step {position.step} of {self.feed.steps(position.epoch)} of epoch "
            f"{position.epoch + 1}; "
            f"everything is saved, and --workdir {self.config.workdir} --resume resumes it",
            self._signals.received or signal.SIGTERM,
        )

    def _last_step_finite(self, position):
        """Returns True if the last step was finite; otherwise logs it, and raises Diverged."""
        in_a_row = int(self.trainer.skipped_in_a_row.numpy())
        if in_a_row:
            LOG.warning(
                "step %d of epoch %d had a loss or gradient that is not finite and was skipped",
                *(position.step, position.epoch + 1),
            )
        if in_a_row >= self.config.max_bad_steps:
            raise Diverged(
                f"{in_a_row} steps in a row had a loss or gradient that is not finite, up to step "
                f"{position.step} of epoch {position.epoch + 1}"
            )
        return not in_a_row

    def _stop_and_due(self):
        """Returns two flags: any process received a signal, and a timed checkpoint is due."""
        minutes = self.config.checkpoint_minutes
        due = minutes and is_chief() and time.monotonic() - self._saved >= 60 * minutes
        stop = self._signals.received is not None
        flags = agreed(self.trainer.distribute_strategy, bool(stop) + _DUE * bool(due))
        return bool(flags % _DUE), flags >= _DUE

    def _restored(self, paths):
        """Restores the first undamaged checkpoint; returns its position, None if there is none."""
        for path, position, config, arrays in checkpoints.readable(paths):
            check_same_settings(path, config, self.config.to_dict(), may_grow=self.config.may_grow)
            self._set(path, position, arrays)
            LOG.info("resuming from %s", path)
            return position
        LOG.warning("no checkpoint in %s; starting at the beginning", self.folder)
        return None

    def _set(self, path, position, arrays):
        state = self.trainer.state()
        if len(state) == len(arrays):
            arrays = [*map(self.trainer.extended, state, arrays)]
        shapes = [tuple(variable.shape) for variable in state]
        if shapes != [array.shape for array in arrays] or position.steps != self.feed.most:
            raise InputError(
                f"Expected a checkpoint of this network and dataset, {len(shapes)} arrays and "
                f"{self.feed.most} steps an epoch. Received: {path}, {len(arrays)} arrays or other "
                f"shapes, {position.steps} steps"
            )
        for variable, array in zip(state, arrays, strict=True):
            variable.assign(array)
