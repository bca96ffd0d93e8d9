"""Callbacks: schedules and records."""

from __future__ import annotations

import logging
import types

import keras
import pytest

from darts_tf.configs import SearchConfig, TrainConfig
from darts_tf.runs.metrics import read_metrics
from darts_tf.training import callbacks
from darts_tf.training.schedules import rate_at
from darts_tf.training.tensorboard import Dashboard


def model(**counts):
    """Makes a stand-in for a trainer with the attributes that callbacks read."""
    counters = {"skipped": 0, "rollbacks": 0, **counts}
    return types.SimpleNamespace(
        **{name: keras.Variable(count, dtype="int64") for name, count in counters.items()},
        network=types.SimpleNamespace(drop_path_rate=keras.Variable(0.5)),
        optimizer=keras.optimizers.SGD(1.0),
    )


def record_of(folder, *arguments, trainer=None, **options):
    """Makes a record; the default trainer has no skipped steps."""
    record = callbacks.Record(folder, *arguments, **options)
    record.set_model(trainer or model())
    return record


@pytest.mark.parametrize("times", [0, 1, 2])
def test_schedule_sets_and_logs_the_rate_of_an_epoch(times):
    config = SearchConfig(workdir="unused", epochs=4, learning_rate=0.1, learning_rate_min=0.02)
    schedule = callbacks.Schedule(config)
    schedule.set_model(model(rollbacks=times))
    rates = []
    for epoch in range(4):
        schedule.on_epoch_begin(epoch)
        rates.append(float(schedule.model.optimizer.learning_rate))
        logs = {"loss": 1.0}
        schedule.on_epoch_end(epoch, logs)
        assert logs == {"loss": 1.0, "learning_rate": rates[-1]}
    expected = [rate_at(config, epoch) for epoch in range(4)]
    assert rates == pytest.approx([rate * 0.1**times for rate in expected])


def test_schedule_lowers_the_rate_when_a_run_goes_back():
    schedule = callbacks.Schedule(SearchConfig(workdir="unused", learning_rate=0.5))
    schedule.set_model(model())
    schedule.on_epoch_begin(0)
    assert float(schedule.model.optimizer.learning_rate) == 0.5
    schedule.model.rollbacks.assign(1)
    schedule.on_epoch_begin(0)
    assert float(schedule.model.optimizer.learning_rate) == pytest.approx(0.05)


def test_schedule_sets_the_rate_of_every_step_where_asked_to():
    config = TrainConfig(
        workdir="unused", genotype="DARTS_V2", epochs=2, learning_rate=0.5, schedule_per="step"
    )
    schedule = callbacks.Schedule(config)
    schedule.set_model(model())
    schedule.set_params({"steps": 4})
    rates = []
    for epoch in range(2):
        schedule.on_epoch_begin(epoch)
        for step in range(4):
            schedule.on_train_batch_begin(step)
            rates.append(float(schedule.model.optimizer.learning_rate))
    assert rates == pytest.approx([rate_at(config, i // 4, i % 4, 4) for i in range(8)])
    assert len(set(rates)) == 8


def test_ramp_sets_the_number_of_every_epoch():
    variable = keras.Variable(7.0)
    ramp = callbacks.Ramp(variable, lambda epoch: epoch / 4)
    numbers = []
    for epoch in (0, 1, 3):
        ramp.on_epoch_begin(epoch)
        numbers.append(float(variable))
    assert numbers == [0, 0.25, 0.75]


def test_record_writes_and_reports_one_line_per_epoch(tmp_path):
    reported = []
    record = record_of(tmp_path, lambda: {"more": 1}, reported.append, held_out="test")
    for epoch in range(2):
        record.on_epoch_begin(epoch)
        record.on_epoch_end(epoch, {"loss": 2.0, "accuracy": 0.5, "val_loss": 1.0})
    line = {"loss": 2.0, "accuracy": 0.5, "test_loss": 1.0, "more": 1}
    lines = read_metrics(tmp_path)
    assert lines == [{"epoch": epoch, **line} for epoch in range(2)]
    assert [set(line) - set(lines[0]) for line in reported] == [{"seconds"}] * 2
    assert [{**line, "seconds": 0} for line in lines] == [
        {**line, "seconds": 0} for line in reported
    ]


def test_record_calls_held_out_images_valid_by_default(tmp_path):
    record = record_of(tmp_path, dict, None)
    record.on_epoch_begin(0)
    record.on_epoch_end(0, {"loss": 2.0, "val_loss": 1.0})
    assert read_metrics(tmp_path) == [{"epoch": 0, "loss": 2.0, "valid_loss": 1.0}]


def test_record_gives_the_time_in_report_and_log_only(tmp_path, monkeypatch, caplog):
    times = iter([100.0, 102.34567])
    monkeypatch.setattr(callbacks, "time", types.SimpleNamespace(monotonic=lambda: next(times)))
    caplog.set_level(logging.INFO, "darts_tf")
    reported = []
    record = record_of(tmp_path, dict, reported.append)
    record.on_epoch_begin(3)
    record.on_epoch_end(3, {"loss": 1.0})
    assert reported == [{"epoch": 3, "loss": 1.0, "seconds": 2.346}]
    assert read_metrics(tmp_path) == [{"epoch": 3, "loss": 1.0}]
    assert caplog.messages == ["epoch 4 took 2.3 s"]


def test_record_counts_skipped_steps_where_there_were_some(tmp_path):
    record = record_of(tmp_path, dict, None)
    for epoch, skipped in enumerate((0, 2, 2)):
        record.model.skipped.assign(skipped)
        record.on_epoch_begin(epoch)
        record.on_epoch_end(epoch)
    assert read_metrics(tmp_path) == [
        {"epoch": 0},
        {"epoch": 1, "skipped_steps": 2},
        {"epoch": 2, "skipped_steps": 2},
    ]


def test_record_of_another_worker_reports_and_writes_nothing(tmp_path):
    reported = []
    record = record_of(tmp_path, lambda: {"more": 1}, reported.append, writes=False)
    record.on_epoch_begin(0)
    record.on_epoch_end(0, {"loss": 1.0})
    assert [(line["loss"], line["more"]) for line in reported] == [(1.0, 1)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writes", [True, False])
def test_every_run_has_schedule_record_and_its_curves_from_one_worker(tmp_path, writes):
    record = record_of(tmp_path, dict, None, writes=writes)
    schedule, second, *boards = callbacks.run_callbacks(SearchConfig(workdir=tmp_path), record)
    assert isinstance(schedule, callbacks.Schedule)
    assert second is record
    assert [type(board) for board in boards] == [Dashboard] * writes
    assert [board.folder for board in boards] == [tmp_path / "tensorboard"] * writes


def test_rate_is_in_the_line_of_its_epoch(tmp_path):
    config = SearchConfig(workdir=tmp_path, epochs=2, learning_rate=0.5)
    record = record_of(tmp_path, dict, None)
    used = callbacks.run_callbacks(config, record)[:2]
    together = keras.callbacks.CallbackList(used, add_history=False)
    together.set_model(record.model)
    together.on_epoch_begin(0)
    together.on_epoch_end(0, {"loss": 1.0})
    assert read_metrics(tmp_path) == [{"epoch": 0, "loss": 1.0, "learning_rate": 0.5}]
