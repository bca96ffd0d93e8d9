"""Numbers that are not finite: steps are skipped, then a run goes back once, then it stops."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from mostly_slow import mostly_slow
from one_node_genotype import ONE_NODE
from replica_trainers import batches, made, mirrored

from darts_tf.configs import TrainConfig
from darts_tf.data import load_dataset
from darts_tf.runs import files
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.signals import Diverged
from darts_tf.training.images import train

ONE = tf.distribute.get_strategy()


def spoiled(pair, which):
    """A pair of batches with a pixel of one of them not a number."""
    batches = [list(batch) for batch in pair]
    x = batches[which][0].numpy()
    x[0, 0, 0, 0] = np.nan
    batches[which][0] = tf.constant(x)
    return tuple(tuple(batch) for batch in batches)


@mostly_slow(1, "which", [0, 1], ids=["train", "valid"])
def test_step_that_is_not_finite_changes_nothing_and_is_counted(which):
    trainer = made(ONE, "second_order")
    batch = next(iter(batches(ONE)))
    trainer.train_step(batch)
    before = values(trainer.state())
    trainer.train_step(spoiled(batch, which))
    assert (int(trainer.skipped.numpy()), int(trainer.skipped_in_a_row.numpy())) == (1, 1)
    for counter in (trainer.skipped, trainer.skipped_in_a_row):
        counter.assign(0)
    for now, then in zip(values(trainer.state()), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_step_after_one_that_was_skipped_is_counted_no_more():
    trainer = made(ONE, "first_order")
    batch = next(iter(batches(ONE)))
    for each in (spoiled(batch, 0), spoiled(batch, 0), batch):
        trainer.train_step(each)
    assert (int(trainer.skipped.numpy()), int(trainer.skipped_in_a_row.numpy())) == (2, 0)


def test_what_spoils_one_replica_is_skipped_by_all():
    strategy = mirrored(2)
    trainer = made(strategy, "first_order")
    before = values(trainer.network.variables)
    batch = next(iter(batches(strategy)))

    def step(batch):
        (x, y), valid = batch
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        bad = tf.where(replica == 1, np.float32("nan"), np.float32(0))
        trainer.train_step(((x + bad, y), valid))

    strategy.run(step, args=(batch,))
    assert int(trainer.skipped.numpy()) == 1
    for now, then in zip(values(trainer.network.variables), before, strict=True):
        np.testing.assert_array_equal(now, then)


class Poison(keras.callbacks.Callback):
    """Sets a weight to what is not a number, at a step of the run, so many times."""

    def __init__(self, step, times):
        super().__init__()
        self.step, self.times, self.done = step, times, 0

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.step and self.times:
            self.times -= 1
            weight = self.model.weights_to_train[0]
            weight.assign(np.full(weight.shape, np.nan, "float32"))


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=48)


def config(folder):
    return TrainConfig.from_preset(
        "tiny",
        workdir=folder,
        genotype="one_node",
        batch_size=8,
        limit=48,
        checkpoint_steps=1,
        max_bad_steps=2,
    )


def test_run_goes_back_once_then_stops_with_a_report_and_can_go_on(dataset, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Diverged, match="2 steps in a row.*again after.*--learning-rate"):
        train(config(folder), ONE_NODE, dataset, callbacks=(Poison(3, times=2),))
    log = (folder / files.LOG).read_text()
    assert log.count("was skipped") == 4
    assert "rolling back to step 3 of epoch 1 with a lower learning rate" in log
    train(dataclasses.replace(config(folder), resume=True), ONE_NODE, dataset)
    (line,) = read_metrics(folder)
    assert np.isfinite(line["loss"])
    assert line["learning_rate"] == pytest.approx(0.0025)
