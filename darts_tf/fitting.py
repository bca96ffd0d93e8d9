"""The training loop: epochs of steps on one device or many, from any step on.

Keras' own `fit` begins at the start of an epoch and, as of Keras 3.15, fails under
MultiWorkerMirroredStrategy. This loop runs the same training steps and calls the same callbacks.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from darts_tf import beginning
from darts_tf.checkpoints import Position
from darts_tf.data import (
    AnySplit,
    ImageDataset,
    Preprocessing,
    evaluation_batches,
    evaluation_steps,
)
from darts_tf.distribution import distributed, is_chief
from darts_tf.execution import dtype_policy, graph_optimizer_off, make_deterministic
from darts_tf.genotype import Genotype
from darts_tf.interruption import Diverged
from darts_tf.keeper import Keeper
from darts_tf.runs import CHECKPOINTS, keep_metrics
from darts_tf.trainer import Trainer

HELD_OUT_BATCH = 256
"""Images in a batch that only tests."""


class _Batches(NamedTuple):
    """A dataset, perhaps one that is spread over devices, and how many batches it has."""

    dataset: tf.data.Dataset | tf.distribute.DistributedDataset
    count: int


@contextlib.contextmanager
def begun(
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
        InputError: as `beginning.begun`.
    """
    with beginning.begun(config, dataset, genotype, writes=is_chief()) as folder:
        make_deterministic(config.deterministic)
        keras.utils.set_random_seed(config.seed)
        with dtype_policy(config.precision), strategy.scope():
            trainer = build()
        yield folder, trainer


def fit(
    trainer: Trainer,
    config,
    folder: pathlib.Path,
    *,
    batches: Callable[..., tf.data.Dataset],
    steps: int,
    held_out: AnySplit,
    preprocessing: Preprocessing,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains from the last checkpoint, or from the beginning, to the end of the last epoch.

    Args:
        trainer: compiled.
        config: the run's settings.
        folder: of the run.
        batches: `batches(start_step=..., part=...)` gives those to train on.
        steps: of an epoch.
        held_out: images that are tested on after every epoch.
        preprocessing: of those.
        callbacks: of Keras; what they get for a batch is its number alone.

    Raises:
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint has been written.
        Diverged: the numbers were not finite, again after going back once.
        OSError: a checkpoint could not be written.
        InputError: the checkpoint does not belong to this run.
    """
    called = keras.callbacks.CallbackList(list(callbacks), model=trainer)
    called.set_params({"epochs": config.epochs, "steps": steps, "verbose": 0})
    train, test = Stepper(trainer, trainer.train_step), Stepper(trainer, trainer.test_step)
    strategy = trainer.distribute_strategy
    tested = _held_out(strategy, held_out, preprocessing)

    def epochs_from(position):
        if is_chief():
            keep_metrics(folder, position.epoch)
        made = functools.partial(batches, start_step=position.done)
        iterator = iter(distributed(strategy, made))
        for epoch in range(position.epoch, config.epochs):
            logs = _trained(trainer, keeper, position, train, iterator, called)
            logs |= _tested(trainer, keeper, Position(epoch, steps, steps), test, tested)
            called.on_epoch_end(epoch, logs)
            position = Position(epoch + 1, 0, steps)
            keeper.save(position)

    with graph_optimizer_off(), Keeper(trainer, config, folder / CHECKPOINTS, steps) as keeper:
        position = keeper.start()
        if position.epoch == config.epochs:
            return
        called.on_train_begin()
        while position:
            try:
                position = epochs_from(position)
            except Diverged as error:
                position = keeper.go_back(error)
        keeper.finish()
        called.on_train_end()


def _held_out(strategy, split: AnySplit, preprocessing: Preprocessing) -> _Batches:
    make = functools.partial(evaluation_batches, split, preprocessing, HELD_OUT_BATCH)
    return _Batches(distributed(strategy, make), evaluation_steps(split, HELD_OUT_BATCH))


def _trained(trainer, keeper, position, train, iterator, called) -> dict[str, float]:
    """Takes the steps of an epoch that are still to be done; the metrics of all of them."""
    epoch, first, steps = position.epoch, position.step, position.steps
    if not first:
        trainer.reset_metrics()
    called.on_epoch_begin(epoch)
    for step in range(first, steps):
        called.on_train_batch_begin(step)
        train(iterator)
        called.on_train_batch_end(step)
        keeper.after_step(Position(epoch, step + 1, steps))
    return {name: float(value) for name, value in trainer.results().items()}


def _tested(trainer, keeper, position, test, batches) -> dict[str, float]:
    """Metrics on held-out batches, their names with `val_` in front as in Keras."""
    keeper.save(position)  # whoever interrupts the test loses nothing
    trainer.reset_metrics()
    iterator = iter(batches.dataset)
    for _ in range(batches.count):
        test(iterator)
        keeper.after_test(position)
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
