"""Real processes of the program that are killed and resumed."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np

from darts_tf.runs import checkpoints, files
from darts_tf.runs.alphas import load_alphas

ROOT = pathlib.Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("DARTS_TF_KILLS", "1"))
"""Number of kills of a search, more in `make test-long`. A training, which starts faster, has 6."""
EPOCHS = max(6, 2 * KILLS)  # of 5 steps: a killed process has made some, rarely seven
SMALL = ("--plugin", str(ROOT / "tests" / "support" / "one_node_space.py"), "--space", "one_node")
"""Flags for cells of one node, with which processes start in half the time."""
SEARCH = (
    *(
        "search",
        *SMALL,
        "--preset",
        "tiny",
        "--dataset",
        "digits",
        "--limit",
        "60",
        "--batch-size",
        "6",
    ),
    *("--epochs", str(EPOCHS)),
    *("--arch-gradient", "first_order", "--deterministic", "--checkpoint-steps", "1"),
)
TRAIN = (
    *(
        "train",
        "--genotype",
        "DARTS_V2",
        "--preset",
        "tiny",
        "--dataset",
        "digits",
        "--epochs",
        "8",
        "--drop-path",
        "0.2",
    ),
    *("--auxiliary", "--deterministic", "--checkpoint-steps", "1"),
)


def started(*words, **environment) -> subprocess.Popen:
    """Starts the program with these arguments in a new process."""
    return subprocess.Popen(
        [sys.executable, "-m", "darts_tf.cli", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(*words, **environment) -> str:
    """Runs the program to its end and returns its output."""
    process = started(*words, **environment)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    return output


def killed_on_the_way(command, workdir: pathlib.Path, kills: int, rng) -> int:
    """Runs a command to its end through SIGKILLs at random moments; returns their number.

    Half of them hit while a checkpoint is being written, or close to that: they wait for the
    writer's temporary folder.
    """
    done = 0
    while True:
        words = [*command, "--workdir", workdir]
        process = started(*words, *(["--resume"] if files.is_run(workdir) else []))
        if done < kills:
            _kill(process, workdir, rng)
        output = process.communicate(timeout=300)[0]
        if process.returncode == 0:
            return done
        assert process.returncode == -signal.SIGKILL, output
        done += 1


def _kill(process, workdir, rng):
    """Waits until training runs, waits a random time, and kills the process."""
    folder = workdir / files.CHECKPOINTS
    under_way(process, workdir)
    until = time.monotonic() + rng.uniform(0, 0.3)
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    if rng.random() < 0.5:
        until = time.monotonic() + 2
        while process.poll() is None and time.monotonic() < until:
            if any(folder.glob(".step-*")):
                break
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def under_way(process: subprocess.Popen, workdir: pathlib.Path) -> None:
    """Waits until a process has written a checkpoint after a step, or has ended."""
    before = _written(workdir)
    while process.poll() is None and _written(workdir) in (before, "step-0000000000.npz"):
        time.sleep(0.002)


def _written(workdir):
    newest = checkpoints.newest(workdir / files.CHECKPOINTS)
    return newest[0].name if newest else None


def assert_same_run(folder: pathlib.Path, expected: pathlib.Path) -> None:
    """Asserts that two runs' alphas, genotype, metrics and last checkpoint are bitwise equal."""
    for name in (files.GENOTYPE, files.METRICS):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    if (expected / files.ALPHAS).exists():
        for ours, theirs in zip(load_alphas(folder), load_alphas(expected), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    (position, _, arrays), (last, _, others) = (
        checkpoints.read(checkpoints.newest(each / files.CHECKPOINTS)[0])
        for each in (folder, expected)
    )
    assert position == last
    for ours, theirs in zip(arrays, others, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
