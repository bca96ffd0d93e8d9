"""Several worker processes over loopback: they train, agree, and one of them writes."""

from __future__ import annotations

import signal

import pytest
from killing import SMALL, finished, started, under_way

from darts_tf import checkpoints, runs

SEARCH = (
    *("search", *SMALL, "--preset", "tiny", "--arch-gradient", "first_order", "--limit", "48"),
    *("--batch-size", "6", "--epochs", "2", "--deterministic", "--checkpoint-steps", "1"),
)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of two workers that was asked to end and went on: its folder, and their output."""
    folder = tmp_path_factory.mktemp("workers")
    launch = ("launch", "--workers", "2", "--logs", folder / "logs", "--")
    words = (*launch, *SEARCH, "--workdir", folder / "run")
    process = started(*words)
    under_way(process, folder / "run")
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "--resume goes on from there" in output
    output = finished(*words, "--resume")
    return folder / "run", output, (folder / "logs" / "worker-1.log").read_text()


def test_workers_derive_one_genotype_and_report_the_same(searched):
    _, first, second = searched
    told = [
        [line for line in text.splitlines() if line[:6] in ("normal", "reduce")]
        for text in (first, second)
    ]
    assert told[0] == told[1] != []


def test_workers_leave_one_whole_run(searched):
    folder, _, _ = searched
    assert [line["epoch"] for line in runs.read_metrics(folder)] == [0, 1]
    position, _, _ = checkpoints.read(checkpoints.newest(folder / runs.CHECKPOINTS)[0])
    assert (position.epoch, position.step) == (2, 0)
