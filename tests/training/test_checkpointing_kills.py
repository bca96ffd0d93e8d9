"""Killed processes: a resumed run ends like one that was never stopped, bit for bit."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from kill_and_resume import (
    KILLS,
    SEARCH,
    TRAIN,
    assert_same_run,
    finished,
    killed_on_the_way,
    started,
    under_way,
)

from darts_tf.runs import checkpoints, files


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Runs a search that is never stopped."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    finished(*SEARCH, "--workdir", folder)
    return folder


def test_search_killed_at_random_moments_ends_as_one_that_was_not(straight, tmp_path):
    folder = tmp_path / "run"
    kills = killed_on_the_way(SEARCH, folder, KILLS, np.random.default_rng(0))
    assert kills == KILLS
    assert_same_run(folder, straight)


def stopped(command, folder, number):
    """Returns the last line of output of a run that is sent a signal."""
    process = started(*command, "--workdir", folder)
    under_way(process, folder)
    process.send_signal(number)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + number, output
    return output.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_search_asked_to_end_goes_on_from_there_or_from_the_checkpoint_before(
    straight, tmp_path, number
):
    folder = tmp_path / "run"
    last = stopped(SEARCH, folder, number)
    assert f"--workdir {folder} --resume resumes it" in last
    newest = checkpoints.newest(folder / files.CHECKPOINTS)[0]
    newest.write_bytes(newest.read_bytes()[:-100])
    output = finished(*SEARCH, "--workdir", folder, "--resume")
    assert newest.name in output
    assert newest.name in (folder / files.LOG).read_text()
    assert_same_run(folder, straight)


@pytest.mark.slow
def test_training_killed_on_the_way_ends_as_one_that_was_not(tmp_path):
    finished(*TRAIN, "--workdir", tmp_path / "straight")
    assert "--resume goes on" in stopped(TRAIN, tmp_path / "run", signal.SIGINT)
    assert killed_on_the_way(TRAIN, tmp_path / "run", 6, np.random.default_rng(1)) == 6
    assert_same_run(tmp_path / "run", tmp_path / "straight")
