"""Training loop: epochs of steps on one device or many, starting at any step.

Keras' own `fit` starts at the beginning of an epoch and, as of Keras 3.15, fails under
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
    check_keras,
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
    """Context manager: starts or resumes a run's folder, locks it, and builds the trainer.

    Args:
        config: settings of the run.
        dataset: dataset of the run.
        strategy: distribution strategy of the trainer.
        build: builds the trainer; its random numbers depend only on the settings.
        genotype: genotype that is trained; None in a search.

    Raises:
        InputError: as in `folder.started_run`, or as in `check_keras`.
    """
    check_keras()
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

    If the trainer chooses a best epoch, its state is that of the best epoch afterwards. A callback
    stops the run after an epoch, or before the first, by `trainer.stop_training = True`, as in
    Keras.

    Args:
        trainer: a compiled trainer.
        config: settings of the run.
        folder: folder of the run.
        feed: source of the batches to train and test on.
        callbacks: Keras callbacks; for a batch they get only its number, no logs.

    Raises:
        Interrupted: Ctrl-C or SIGTERM was received; a checkpoint has been written.
        Diverged: losses or gradients were not finite, again after rolling back once.
        OSError: a checkpoint could not be written.
        InputError: the checkpoint does not belong to this run.
    """
    called = keras.callbacks.CallbackList(list(callbacks), model=trainer)
    train, test = Stepper(trainer, trainer.train_step), Stepper(trainer, trainer.test_step)
    strategy = trainer.distribute_strategy

    def epochs_from(position):
        if is_chief():
            keep_metrics(folder, position.epoch)
        iterator = tested = None
        for epoch in range(position.epoch, config.epochs):
            if iterator is None or feed.renewed(epoch):
                batches = functools.partial(feed.train, start=(epoch, position.step))
                iterator = iter(distributed(strategy, batches))
                tested = distributed(strategy, functools.partial(feed.test, epoch))
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
                    position = manager.roll_back(error)
            manager.finish()
            called.on_train_end()
        manager.take_best()


def _trained(trainer, manager, position, steps, train, iterator, called) -> dict[str, float]:
    """Runs the remaining steps of an epoch; returns the metrics of the whole epoch."""
    epoch, first = position.epoch, position.step
    if not first:
        trainer.begin_epoch()
    called.on_epoch_begin(epoch)
    for step in range(first, steps):
        called.on_train_batch_begin(step)
        train(iterator)
        called.on_train_batch_end(step)
        manager.after_step(Position(epoch, step + 1, position.steps))
    metrics = {**trainer.results(), **trainer.gradient_norms()}
    return {name: float(value) for name, value in metrics.items()}


def _tested(trainer, manager, position, test, iterator, count) -> dict[str, float]:
    """Returns the metrics on held-out batches, with the prefix `val_` as in Keras."""
    manager.save(position)  # so that nothing is lost if the test is interrupted
    with trainer.testing():
        for _ in range(count):
            test(iterator)
            manager.after_test(position)
        results = trainer.results(training=False)
    return {f"val_{name}": float(value) for name, value in results.items()}


class Stepper:
    """Runner of a trainer's step on the next batch of an iterator, on all devices.

    The step is traced again if `trainer.variant` changes.

    Args:
        trainer: a compiled trainer.
        step: the trainer's `train_step` or `test_step`.
    """

    def __init__(self, trainer: Trainer, step: Callable):
        self.trainer = trainer
        self._step = step
        # XLA cannot compile the communication between devices of tf.distribute
        compiled = trainer.jit_compile and trainer.distribute_strategy.num_replicas_in_sync == 1
        one = tf.function(self._run, autograph=False, jit_compile=compiled)

        def next_one(iterator, variant):
            one(iterator.get_next(), variant)

        self._function = tf.function(next_one, autograph=False, reduce_retracing=True)

    def __call__(self, iterator) -> None:
        """Runs one step."""
        self._function(iterator, self.trainer.variant)

    def _run(self, batch, variant):
        del variant  # an argument, so that each value has its own trace

        def step(batch):
            self._step(batch)

        self.trainer.distribute_strategy.run(step, args=(batch,))
