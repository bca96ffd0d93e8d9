"""Metrics of a run: on the disk before a checkpoint counts on them, named where they are lost."""

from __future__ import annotations

import logging
import os

import pytest

from darts_tf.runs import files
from darts_tf.runs.metrics import append_metrics, append_time, keep_metrics, read_metrics


def test_appended_line_is_on_the_disk_on_return(tmp_path, monkeypatch):
    synced = []

    def fsync(number):
        synced.append((os.fstat(number).st_ino, os.fstat(number).st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    for append in (
        lambda: append_metrics(tmp_path, {"epoch": 0, "loss": 1.5}),
        lambda: append_time(tmp_path, 0, 2.5),
    ):
        append()
    written = [(tmp_path / name).stat() for name in (files.METRICS, files.TIMES)]
    assert synced == [(about.st_ino, about.st_size) for about in written]


def test_kept_lines_are_on_the_disk_before_they_replace_the_others(tmp_path, monkeypatch):
    append_metrics(tmp_path, {"epoch": 0})
    events, replace, fsync = [], os.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: events.append("sync") or fsync(number))
    monkeypatch.setattr(os, "replace", lambda *paths: events.append("rename") or replace(*paths))
    keep_metrics(tmp_path, 1)
    assert events == ["sync", "rename"]


@pytest.mark.parametrize(
    ("present", "until", "words"),
    [
        ([0, 1, 2, 3, 4, *range(11, 36)], 36, "epochs 6 to 11"),
        ([0, 2, 5], 6, "epochs 2, 4 to 5"),
        ([], 3, "epochs 1 to 3"),
        ([0, 1], 3, "epoch 3"),
        ([0, 1, 3], 2, None),
        ([0, 1], 2, None),
        ([], 0, None),
    ],
)
def test_lost_lines_are_named_when_a_run_resumes(tmp_path, caplog, present, until, words):
    for epoch in present:
        append_metrics(tmp_path, {"epoch": epoch})
    with caplog.at_level(logging.WARNING, "darts_tf"):
        keep_metrics(tmp_path, until)
    expected = f"metrics of {words} are lost: {tmp_path / files.METRICS} has no lines for them"
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == (
        [expected] if words else []
    )
    assert [line["epoch"] for line in read_metrics(tmp_path)] == [e for e in present if e < until]


def test_truncated_line_is_a_lost_one(tmp_path, caplog):
    append_metrics(tmp_path, {"epoch": 0})
    with open(tmp_path / files.METRICS, "a") as file:
        file.write('{"epoch": 1, "lo')
    keep_metrics(tmp_path, 2)
    assert "metrics of epoch 2 are lost" in caplog.text
