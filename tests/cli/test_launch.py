"""`darts-tf launch`: its arguments, and messages about failed workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
from launch_processes import ROOT, SOON, ended, pids

from darts_tf.cli.commands import launch as command
from darts_tf.cli.main import main

RUN = """
import sys
from darts_tf.cli.commands.launch import run
from darts_tf.configs import LaunchConfig
code, workers, *logs = sys.argv[1:]
config = LaunchConfig(workers=int(workers), logs=logs[0] if logs else None)
sys.exit(run(config, [sys.executable, "-c", code]))
"""


@pytest.fixture
def ran(monkeypatch) -> list:
    """Records the commands that would be launched."""
    records = []
    monkeypatch.setattr(command, "run", lambda *words: records.append(words) or 0)
    return records


@pytest.mark.parametrize(
    "job",
    [
        ["search", "--workdir", "run", "--dataset", "digits", "--epochs", "3"],
        ["train", "--workdir", "run", "--genotype", "DARTS_V2", "--preset", "cifar10"],
        ["search", "--workdir=run", "--dataset=digits", "--overwrite"],
    ],
)
def test_words_after_the_dashes_are_the_workers(ran, job):
    assert main(["launch", "--workers", "2", "--logs", "here", "--", *job]) == 0
    config = command.LaunchConfig(workers=2, logs="here")
    assert ran == [(config, [sys.executable, "-m", "darts_tf.cli", *job])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "Expected a command after --, as in: darts-tf launch --workers 2 -- search --workdir"),
        ("--workers 2", "Received: '--workers 2'"),
        ("--workers 2 --", "Expected a command after --"),
        ("--workers 2 search --workdir run", "Expected a command after --"),
        ("-- search --workdir run", "Expected --workers NUMBER "),
        ("--workers 0 -- search --workdir run", "Expected workers to be positive. Received: worke"),
        ("--workers two -- search --workdir run", "--workers to be a whole number"),
        ("--wrkers 2 -- search --workdir run", "Did you mean --workers?"),
        ("--workers 2 -- serch --workdir run", "command='serch'. Did you mean 'search'?"),
        ("--workers 2 -- export --workdir run", "Expected command to be one of search, train"),
        ("--workers 2 -- --workdir run", "Expected command to be one of search, train"),
        ("--workers 2 -- search", "Expected --workdir FOLDER "),
        ("--workers 2 -- search --wrkdir run", "Did you mean --workdir?"),
        ("--workers 2 -- search --workdir run --resume", "Expected workdir to hold a run"),
        (
            "--workers 2 -- search --workdir x --preset digits --cells 1",
            "Expected cells to be 3 or more",
        ),
    ],
)
def test_wrong_use_is_one_line_before_anything_starts(ran, capsys, words, message):
    assert main(["launch", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert (out, ran, len(err.splitlines())) == ("", [], 1)
    assert err.startswith("darts-tf: error: ")
    assert re.search(message, err)


def test_logs_must_be_a_folder(capsys, tmp_path):
    (tmp_path / "file").touch()
    words = ["--workers", "2", "--logs", str(tmp_path / "file"), "--"]
    words += ["search", "--dataset", "digits", "--workdir", "x"]
    assert main(["launch", *words]) == 2
    assert "Expected logs to be a folder. Received: " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["--workers", "2", "--", "search", "--help"]])
def test_help_is_shown(ran, capsys, words):
    assert main(["launch", *words]) == 0
    assert "usage: darts-tf" in capsys.readouterr().out
    assert ran == []


def test_launch_itself_imports_no_tensorflow():
    imports = "import sys; from darts_tf.cli.main import main; import darts_tf.cli.commands.launch"
    code = f"{imports}; main(['launch', '--help'])"
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"],
        **{"cwd": ROOT, "capture_output": True, "text": True, "check": True, "timeout": SOON},
    )
    assert not {"tensorflow", "keras"} & set(shown.stdout.split())


def test_success_leaves_no_logs(started, tmp_path):
    before = set(os.listdir(tmp_path))
    assert ended(started(RUN, "print('hello')", 2)) == (0, "hello\n", "")
    assert set(os.listdir(tmp_path)) == before


def test_logs_are_kept_where_they_are_wanted(started, tmp_path):
    assert ended(started(RUN, "print('hello')", 2, "a/b")) == (0, "hello\n", "")
    assert (tmp_path / "a" / "b" / "worker-1.log").read_text() == "hello\n"


def test_failure_of_another_worker_is_shown_from_its_log(started, tmp_path):
    code = "print(*range(100), sep='\\n') if rank else obedient(0); sys.exit(9)"
    status, _, err = ended(started(RUN, code, 2))
    (folder,) = tmp_path.glob("darts-tf-launch-*")
    first, *lines = err.splitlines()
    log = folder / "worker-1.log"
    assert status == 9
    assert first == f"darts-tf: worker 1 of 2 failed first, with status 9; the end of {log}:"
    assert lines == [str(i) for i in range(80, 100)]
    assert log.read_text().startswith("0\n1\n")


def test_failure_of_the_first_worker_names_the_others_logs(started, tmp_path):
    code = "os.kill(os.getpid(), signal.SIGKILL) if rank == 0 else obedient(0)"
    status, _, err = ended(started(RUN, code, 2))
    (folder,) = tmp_path.glob("darts-tf-launch-*")
    assert status == 137
    said = "darts-tf: worker 0 of 2 failed first, with status 137, SIGKILL"
    assert err == f"{said}; logs of the others: {folder}\n"


def test_workers_that_were_told_to_stop_are_no_failure(started, tmp_path):
    process = started(RUN, "obedient(128 + 15)", 2)
    pids(tmp_path, 2)
    process.send_signal(signal.SIGTERM)
    status, _, err = ended(process)
    assert (status, err) == (143, "")
    assert list(tmp_path.glob("darts-tf-launch-*")) == []
