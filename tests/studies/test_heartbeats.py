"""Heartbeats of workers: running, finished and lost workers, and their trials."""

from __future__ import annotations

import time

import pytest
from oracle_trials import end, made

from darts_tf.studies import workers
from darts_tf.studies.workers import beating, watching


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(workers, "BEAT", 0.02)
    monkeypatch.setattr(workers, "LOST", 0.5)


def test_worker_that_lives_is_not_missed_and_one_that_ends_is(tmp_path):
    lost = []
    with watching(tmp_path, lambda: {"one"} - {*lost}, lost.append):
        with beating(tmp_path, "one"):
            time.sleep(1.2)
            assert lost == []
        assert list(tmp_path.iterdir()) == []
        until = time.monotonic() + 10
        while not lost and time.monotonic() < until:
            time.sleep(0.01)
    assert lost == ["one"]


def test_file_of_a_killed_worker_is_no_sign_of_life(tmp_path):
    (tmp_path / "one.alive").write_text("123 4")
    lost = []
    with watching(tmp_path, lambda: {"one"} - {*lost}, lost.append):
        until = time.monotonic() + 10
        while not lost and time.monotonic() < until:
            time.sleep(0.01)
    assert lost == ["one"]


def test_trial_of_a_lost_worker_goes_to_another(tmp_path):
    oracle = made(tmp_path, "random", ("trials", 2))
    trial = oracle.create_trial("one")
    end(oracle, oracle.create_trial("two"))
    assert oracle.create_trial("two").status == "IDLE"  # a lost worker may free a trial
    oracle.forget("one")
    again = oracle.create_trial("two")
    assert again.trial_id == trial.trial_id
    end(oracle, again)
    assert oracle.create_trial("two").status == "STOPPED"
    assert oracle.end_order == ["0001", "0000"]
    assert oracle.tuner_ids == set()
