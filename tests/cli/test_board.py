"""`darts-tf board`: the runs that it finds, and TensorBoard itself."""

from __future__ import annotations

import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
import tensorflow as tf
from cli_helpers import one_line_of_wrong_use

from darts_tf.cli.commands import board
from darts_tf.errors import InputError
from darts_tf.training.tensorboard import write_settings

ROOT = pathlib.Path(__file__).resolve().parents[2]


def written(folder, tag="loss/train"):
    """Writes a folder with events and returns its path."""
    with tf.summary.create_file_writer(str(folder)).as_default(step=1):
        tf.summary.scalar(tag, 0.5)
        write_settings({"channels": 24, "limit": None})
    return folder


def test_a_run_has_its_own_name(tmp_path):
    events = written(tmp_path / "search" / "tensorboard")
    assert board.linked([tmp_path / "search"]) == {"search": events}


def test_events_folder_itself_will_do(tmp_path, monkeypatch):
    events = written(tmp_path / "search" / "tensorboard")
    assert board.linked([events]) == {"search": events}
    monkeypatch.chdir(tmp_path / "search")
    assert board.linked([pathlib.Path(".")]) == {"search": events}


def test_runs_below_a_folder_have_their_path_as_name(tmp_path):
    below = ("search/seed-0", "train/DARTS_V1/seed-1", "trials/0003")
    for name in below:
        written(tmp_path / "select" / name / "tensorboard")
    study = written(tmp_path / "select" / "tensorboard" / "0003")
    found = board.linked([tmp_path / "select"])
    assert set(found) == {f"select/{name}" for name in (*below, "0003")}
    assert found["select/0003"] == study


def test_runs_of_one_name_are_told_apart(tmp_path):
    for place in ("a", "b"):
        written(tmp_path / place / "search" / "tensorboard")
    found = board.linked([tmp_path / place / "search" for place in "aba"])
    assert {name: place.parents[1].name for name, place in found.items()} == {
        "search": "a",
        "search (2)": "b",
    }


def test_links_follow_the_files_as_they_come_and_go(tmp_path):
    events, inner = written(tmp_path / "run"), written(tmp_path / "run" / "inner")
    wanted, links = {"run": events, "run/inner": inner}, tmp_path / "links"
    board.refresh(links, wanted)
    (first,) = events.glob(board.EVENTS)
    assert (links / "run" / first.name).read_bytes() == first.read_bytes()
    first.rename(events / "events.out.tfevents.2")
    board.refresh(links, wanted)
    assert [path.name for path in (links / "run").glob("*tf*")] == ["events.out.tfevents.2"]
    assert len(list((links / "run" / "inner").iterdir())) == 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: None, "not there"),
        (lambda folder: folder.write_text(""), "a file"),
        (lambda folder: folder.mkdir(), "without tensorboard/"),
        (lambda folder: (folder / "tensorboard").mkdir(parents=True), "without tensorboard/"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, make, reason):
    make(tmp_path / "run")
    with pytest.raises(InputError, match=reason):
        board.linked([tmp_path / "run"])


def test_wrong_use_is_told_in_one_line(tmp_path, capfd):
    run = written(tmp_path / "run")
    assert "one folder of a run or more" in one_line_of_wrong_use(capfd, ["board"])
    assert "not there" in one_line_of_wrong_use(capfd, ["board", run, tmp_path / "gone"])
    assert "at most 65535" in one_line_of_wrong_use(capfd, ["board", run, "--port", "65536"])


def asked(address, path):
    with urllib.request.urlopen(f"{address}data/{path}", timeout=20) as answer:
        return json.loads(answer.read())


def awaited(question, wanted):
    """Waits for a sufficient answer, since TensorBoard loads runs after it has started."""
    until = time.monotonic() + 60
    while not wanted(answer := question()) and time.monotonic() < until:
        time.sleep(0.2)
    return answer


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_board_shows_runs_also_later_ones_until_it_is_asked_to_end(tmp_path, number):
    written(tmp_path / "many" / "one" / "tensorboard")
    command = [sys.executable, "-m", "darts_tf.cli", "board", str(tmp_path / "many"), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            assert process.stdout.readline() == "many/one; stop with Ctrl-C\n"
            address = process.stdout.readline().strip()
            assert re.fullmatch(r"http://localhost:\d+/", address)
            tags = awaited(lambda: asked(address, "plugin/scalars/tags"), bool)
            assert tags == {"many/one": {"loss/train": {"displayName": "", "description": ""}}}
            written(tmp_path / "many" / "two" / "tensorboard")  # TensorBoard looks every 5 s
            listing = awaited(
                lambda: asked(address, "plugins_listing"), lambda found: found["hparams"]["enabled"]
            )
            assert listing["hparams"]["enabled"]
            taken = address.rsplit(":", 1)[1].strip("/")
            again = subprocess.run(
                [*command[:-1], taken], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert again.returncode == 2
            (line,) = again.stderr.splitlines()
            assert f"Received: --host localhost --port {taken}" in line
            runs = awaited(lambda: asked(address, "runs"), lambda names: len(names) == 2)
            assert sorted(runs) == ["many/one", "many/two"]
        finally:
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
