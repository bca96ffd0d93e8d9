"""Schedules, records and checkpoints."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from darts_tf import callbacks, runs


def test_cosine_starts_at_the_first_rate_and_heads_for_the_last():
    assert callbacks.cosine(0, 50, 0.025, 0.001) == 0.025
    assert callbacks.cosine(25, 50, 0.025, 0.001) == pytest.approx(0.013)
    assert callbacks.cosine(50, 50, 0.025, 0.001) == pytest.approx(0.001)


def test_cosine_follows_the_recursion_of_the_reference_schedule():
    """PyTorch's chainable form: a different formula for the same values."""
    start, end, epochs = 0.025, 0.001, 50
    rate = start
    for epoch in range(1, epochs):
        ratio = (1 + np.cos(np.pi * epoch / epochs)) / (1 + np.cos(np.pi * (epoch - 1) / epochs))
        rate = ratio * (rate - end) + end
        assert callbacks.cosine(epoch, epochs, start, end) == pytest.approx(rate, rel=1e-9)


def test_drop_path_ramp_is_proportional_to_the_epoch():
    class Model:
        drop_path_rate = tf.Variable(0.5)

    ramp = callbacks.DropPathRamp(0.2, 600)
    ramp.set_model(Model())
    rates = []
    for epoch in (0, 300, 599):
        ramp.on_epoch_begin(epoch)
        rates.append(float(Model.drop_path_rate))
    assert rates == pytest.approx([0, 0.1, 0.2 * 599 / 600])


def test_record_writes_and_reports_one_line_an_epoch(tmp_path):
    seen = []
    record = callbacks.Record(tmp_path, lambda: {"more": 1}, seen.append, held_out="test")
    for epoch in range(2):
        record.on_epoch_begin(epoch)
        record.on_epoch_end(epoch, {"loss": 2.0, "logits_accuracy": 0.5, "val_loss": 1.0})
    lines = runs.read_metrics(tmp_path)
    assert lines == seen
    assert [line["epoch"] for line in lines] == [0, 1]
    assert lines[0]["accuracy"] == 0.5
    assert lines[0]["test_loss"] == 1.0
    assert lines[0]["more"] == 1


def test_record_calls_the_sum_of_losses_total_and_the_main_one_loss(tmp_path):
    record = callbacks.Record(tmp_path, dict, None, held_out="test")
    record.on_epoch_begin(0)
    losses = {"loss": 3.0, "logits_loss": 2.0, "auxiliary_loss": 2.5}
    record.on_epoch_end(0, {**losses, **{f"val_{k}": v + 1 for k, v in losses.items()}})
    (line,) = runs.read_metrics(tmp_path)
    assert (line["loss"], line["total_loss"], line["auxiliary_loss"]) == (2.0, 3.0, 2.5)
    assert (line["test_loss"], line["test_total_loss"]) == (3.0, 4.0)


def test_checkpoint_restores_the_last_epoch_and_keeps_few(tmp_path):
    variable = keras.Variable(np.zeros(3), name="v")
    checkpoint = callbacks.Checkpoint(tmp_path, [variable, variable])
    for epoch in range(4):
        variable.assign(np.full(3, epoch))
        checkpoint.on_epoch_end(epoch)
    variable.assign(np.full(3, -1.0))
    again = callbacks.Checkpoint(tmp_path, [variable])
    assert again.restore() == 4
    np.testing.assert_array_equal(variable, np.full(3, 3.0))
    kept = list((tmp_path / runs.CHECKPOINTS).glob("*.index"))
    assert len(kept) == callbacks.CHECKPOINTS_KEPT


def test_checkpoint_without_a_file_starts_at_the_beginning(tmp_path):
    assert callbacks.Checkpoint(tmp_path, [keras.Variable(1.0)]).restore() == 0
