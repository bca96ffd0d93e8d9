"""The training loop: epochs of steps on one device or many, from any step on.

Keras' own `fit` begins at the start of an epoch and, as of Keras 3.15, fails under
MultiWorkerMirroredStrategy. This loop runs the same training steps and calls the same callbacks.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import pathlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from darts_tf.data import (
    ImageDataset,
)
from darts_tf.runs import folder as run_folder
from darts_tf.runs.checkpoints import Position
from darts_tf.runs.files import CHECKPOINTS
from darts_tf.runs.log import versions
from darts_tf.runs.metrics import keep_metrics
from darts_tf.runtime.distribution import distributed, is_chief
from darts_tf.runtime.execution import (
    dtype_policy,
    graph_optimizer_off,
    graphs_forgotten,
    make_deterministic,
)
from darts_tf.runtime.signals import Diverged
from darts_tf.spaces.genotype import Genotype
from darts_tf.training.checkpointing import CheckpointManager
from darts_tf.training.feeds import Feed
from darts_tf.training.trainer import Trainer

LOG = logging.getLogger("darts_tf")


@contextlib.contextmanager
def run_with_trainer(
    config,
    dataset: ImageDataset,
    strategy: tf.distribute.Strategy,
    build: Callable[[], Trainer],
    genotype: Genotype | None = None,
) -> Iterator[tuple[pathlib.Path, Trainer]]:
    """Within this block a run has its folder for itself, and a trainer.

    Args:
        config: the run's settings.
        dataset: what it runs on.
        strategy: what the trainer is for.
        build: makes the trainer; what it draws at random depends on the settings alone.
        genotype: what is trained; None in a search.

    Raises:
        InputError: as `folder.started_run`.
    """
    with run_folder.started_run(config, dataset, genotype, writes=is_chief()) as folder:
        LOG.info("%s", versions())
        make_deterministic(config.deterministic)
        keras.utils.set_random_seed(config.seed)
        with dtype_policy(config.precision), strategy.scope():
            trainer = build()
        yield folder, trainer


def fit(
    trainer: Trainer,
    config,
    folder: pathlib.Path,
    feed: Feed,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains from the last checkpoint, or from the beginning, to the end of the last epoch.

    Where the trainer chooses among the epochs, it is at the best of them afterwards. A callback
    ends the run after an epoch, or before any, by `trainer.stop_training = True`, as in Keras.

    Args:
        trainer: compiled.
        config: the run's settings.
        folder: of the run.
        feed: what to train and test on.
        callbacks: of Keras; what they get for a batch is its number alone.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint has been written.
        Diverged: the numbers were not finite, again after going back once.
        OSError: a checkpoint could not be written.
        InputError: the checkpoint does not belong to this run.
    """
    called = keras.callbacks.CallbackList(list(callbacks), model=trainer)
    train, test = Stepper(trainer, trainer.train_step), Stepper(trainer, trainer.test_step)
    tested = distributed(trainer.distribute_strategy, feed.test)

    def epochs_from(position):
        if is_chief():
            keep_metrics(folder, position.epoch)
        made = functools.partial(feed.train, start=(position.epoch, position.step))
        iterator = iter(distributed(trainer.distribute_strategy, made))
        for epoch in range(position.epoch, config.epochs):
            steps = feed.steps(epoch)
            called.set_params({"epochs": config.epochs, "steps": steps, "verbose": 0})
            logs = _trained(trainer, manager, position, steps, train, iterator, called)
            done = Position(epoch, steps, feed.most)
            logs |= _tested(trainer, manager, done, test, iter(tested), feed.tests)
            best = trainer.is_best(epoch, logs)
            called.on_epoch_end(epoch, logs)
            position = Position(epoch + 1, 0, feed.most)
            manager.save(position, best=best)
            if trainer.stop_training:
                break

    with (
        graphs_forgotten(),
        graph_optimizer_off(),
        CheckpointManager(trainer, config, folder / CHECKPOINTS, feed) as manager,
    ):
        position = manager.start()
        if position.epoch < config.epochs:
            trainer.stop_training = False
            called.on_train_begin()
            while position and not trainer.stop_training:
                try:
                    position = epochs_from(position)
                except Diverged as error:
                    position = manager.go_back(error)
            manager.finish()
            called.on_train_end()
        manager.take_best()


def _trained(trainer, manager, position, steps, train, iterator, called) -> dict[str, float]:
    """Takes the steps of an epoch that are still to be done; the metrics of all of them."""
    epoch, first = position.epoch, position.step
    if not first:
        trainer.begin_epoch()
    called.on_epoch_begin(epoch)
    for step in range(first, steps):
        called.on_train_batch_begin(step)
        train(iterator)
        called.on_train_batch_end(step)
        manager.after_step(Position(epoch, step + 1, position.steps))
    found = {**trainer.results(), **trainer.gradient_norms()}
    return {name: float(value) for name, value in found.items()}


def _tested(trainer, manager, position, test, iterator, count) -> dict[str, float]:
    """Metrics on held-out batches, their names with `val_` in front as in Keras."""
    manager.save(position)  # whoever interrupts the test loses nothing
    with trainer.testing():
        for _ in range(count):
            test(iterator)
            manager.after_test(position)
        results = trainer.results(training=False)
    return {f"val_{name}": float(value) for name, value in results.items()}


class Stepper:
    """Runs a step of a trainer on the next batch of an iterator, on all of its devices.

    It is traced anew where `trainer.variant` changes.

    Args:
        trainer: compiled.
        step: its `train_step` or `test_step`.
    """

    def __init__(self, trainer: Trainer, step: Callable):
        self.trainer = trainer
        self._step = step
        # XLA compiles no exchange between devices of tf.distribute
        compiled = trainer.jit_compile and trainer.distribute_strategy.num_replicas_in_sync == 1
        one = tf.function(self._run, autograph=False, jit_compile=compiled)

        def next_one(iterator, variant):
            one(iterator.get_next(), variant)

        self._function = tf.function(next_one, autograph=False, reduce_retracing=True)

    def __call__(self, iterator) -> None:
        """One step."""
        self._function(iterator, self.trainer.variant)

    def _run(self, batch, variant):
        del variant  # an argument so that there is a trace for each

        def step(batch):
            self._step(batch)

        self.trainer.distribute_strategy.run(step, args=(batch,))
