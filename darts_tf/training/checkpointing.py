"""What keeps a run: when checkpoints are taken, what a run goes on from, and when it ends early."""

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
    """Saves a run's state and brings it back; a context manager around the run.

    Under a strategy of several processes all of them call the same methods at the same places, and
    the first alone writes.

    Args:
        trainer: what runs; its `state` is what is kept.
        config: the run's settings.
        folder: of its checkpoints.
        feed: has `most`, no fewer steps than any epoch has, and `steps(epoch)`.
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
        """Where the run goes on: at the newest whole checkpoint, or at its beginning.

        Raises:
            InputError: the checkpoint is of other settings, or of another network.
            OSError: the first checkpoint cannot be written.
        """
        found = [*checkpoints.newest(self.folder), *self._best()]
        position = self._restored(found) if self.config.resume else None
        if position is None:
            position = Position(0, 0, self.feed.most)
            self.save(position, wait=True)
        if agreed(self.trainer.distribute_strategy, position.done) != workers() * position.done:
            raise InputError(
                "Expected all workers to go on from one checkpoint; they must share the folder. "
                f"Received: another than {position} somewhere"
            )
        return position

    def save(self, position: Position, wait: bool = False, best: bool = False) -> None:
        """Takes a checkpoint; it is written while the run goes on, unless `wait`.

        Args:
            position: where the run is.
            wait: until it is written.
            best: it is the one to take in the end, and to go back to.

        Raises:
            OSError: it, or the one before, could not be written.
        """
        arrays = [np.asarray(variable.numpy()) for variable in self.trainer.state()]
        self._saved = time.monotonic()
        if is_chief():
            self._writer.write(position, self.config.to_dict(), arrays, best)
            if wait:
                self._writer.wait()

    def finish(self) -> None:
        """Returns when everything is written.

        Raises:
            OSError: it could not be.
        """
        self._writer.wait()

    def take_best(self) -> None:
        """Sets everything to the best checkpoint, where one was chosen.

        Raises:
            InputError: it is damaged.
        """
        agreed(self.trainer.distribute_strategy, 0)  # the first process has written it by now
        if self._best() and self._restored(self._best()) is None:
            raise InputError(
                f"Expected the run's best checkpoint. Received: {self._best()[0]}, which is damaged"
            )

    def _best(self) -> list[pathlib.Path]:
        """The path of the best checkpoint, where there is one."""
        return [path for path in [self.folder / checkpoints.BEST] if path.exists()]

    def after_step(self, position: Position) -> None:
        """Takes a checkpoint where one is due.

        Raises:
            Interrupted: a signal asked for it; everything is kept.
            Diverged: too many steps in a row were not finite.
            OSError: a checkpoint could not be written.
        """
        self._writer.check()
        fine = self._watch(position)
        stop, due = self._asked()
        every = self.config.checkpoint_steps
        due = due or bool(every and position.done % every == 0)
        if stop or (due and fine):  # to go back to a step that failed would not help
            self.save(position)
        if stop:
            self._interrupt(position)

    def after_test(self, position: Position) -> None:
        """Ends the run where that is asked for, after a batch that only tests.

        Raises:
            Interrupted: a signal asked for it; the checkpoint before the test is kept.
        """
        if self._asked()[0]:
            self._interrupt(position)

    def go_back(self, error: Diverged) -> Position:
        """Returns to the best checkpoint, or the last one, with a lower learning rate.

        Raises:
            Diverged: the run has done so before.
        """
        before = int(self.trainer.times_gone_back.numpy())
        if before:
            raise Diverged(
                f"{error}, again after the run went back once with a lower learning rate; "
                f"{int(self.trainer.skipped.numpy())} steps were skipped in all. Its checkpoints "
                "are kept; begin another run with a lower --learning-rate"
            ) from error
        self._writer.wait()
        position = self._restored([*self._best(), *checkpoints.newest(self.folder)])
        if position is None:
            raise error
        if is_chief():
            self._writer.forget_after(position)
        self.trainer.times_gone_back.assign(before + 1)
        LOG.warning(
            "%s; going back to step %d of epoch %d with a lower learning rate",
            *(error, position.step, position.epoch + 1),
        )
        self.save(position, wait=True)
        return position

    def _interrupt(self, position):
        self.finish()
        raise Interrupted(
            f" after step {position.step} of {self.feed.steps(position.epoch)} of epoch "
            f"{position.epoch + 1}; "
            f"everything is kept, and --workdir {self.config.workdir} --resume goes on from there",
            self._signals.received or signal.SIGTERM,
        )

    def _watch(self, position):
        """Whether the step was finite; those that were not are told."""
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

    def _asked(self):
        """Whether any process was asked to stop, and whether the first finds it time to save."""
        minutes = self.config.checkpoint_minutes
        due = minutes and is_chief() and time.monotonic() - self._saved >= 60 * minutes
        stop = self._signals.received is not None
        flags = agreed(self.trainer.distribute_strategy, bool(stop) + _DUE * bool(due))
        return bool(flags % _DUE), flags >= _DUE

    def _restored(self, paths):
        """Sets everything from the first checkpoint that is whole; None where there is none."""
        for path, position, config, arrays in checkpoints.readable(paths):
            check_same_settings(path, config, self.config.to_dict())
            self._set(path, position, arrays)
            LOG.info("going on from %s", path)
            return position
        LOG.warning("no checkpoint in %s; starting at the beginning", self.folder)
        return None

    def _set(self, path, position, arrays):
        state = self.trainer.state()
        shapes = [tuple(variable.shape) for variable in state]
        if shapes != [array.shape for array in arrays] or position.steps != self.feed.most:
            raise InputError(
                f"Expected a checkpoint of this network and dataset, {len(shapes)} arrays and "
                f"{self.feed.most} steps an epoch. Received: {path}, {len(arrays)} arrays or other "
                f"shapes, {position.steps} steps"
            )
        for variable, array in zip(state, arrays, strict=True):
            variable.assign(array)
