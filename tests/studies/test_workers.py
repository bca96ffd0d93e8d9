"""Several worker processes over loopback: they train, agree, and only the chief writes."""

from __future__ import annotations

import signal

import pytest
from kill_and_resume import SMALL, finished, started, under_way

from darts_tf.runs import checkpoints, files
from darts_tf.runs.metrics import read_metrics

SEARCH = (
    *(
        "search",
        *SMALL,
        "--preset",
        "tiny",
        "--dataset",
        "digits",
        "--arch-gradient",
        "first_order",
        "--limit",
        "48",
    ),
    *("--batch-size", "6", "--epochs", "2", "--deterministic", "--checkpoint-steps", "1"),
)


def search_of_two(folder):
    launch = ("launch", "--workers", "2", "--logs", folder / "logs", "--")
    return (*launch, *SEARCH, "--workdir", folder / "run")


def assert_one_whole_run(folder, output):
    """Checks that the workers derived one genotype and that one of them wrote a complete run."""
    told = [
        [line for line in text.splitlines() if line[:6] in ("normal", "reduce")]
        for text in (output, (folder / "logs" / "worker-1.log").read_text())
    ]
    assert told[0] == told[1] != []
    assert [line["epoch"] for line in read_metrics(folder / "run")] == [0, 1]
    position, _, _ = checkpoints.read(checkpoints.newest(folder / "run" / files.CHECKPOINTS)[0])
    assert (position.epoch, position.step) == (2, 0)


def test_workers_search_together(tmp_path):
    assert_one_whole_run(tmp_path, finished(*search_of_two(tmp_path)))


@pytest.mark.slow
def test_workers_that_were_asked_to_end_go_on(tmp_path):
    words = search_of_two(tmp_path)
    process = started(*words)
    under_way(process, tmp_path / "run")
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "--resume resumes it" in output
    assert_one_whole_run(tmp_path, finished(*words, "--resume"))
