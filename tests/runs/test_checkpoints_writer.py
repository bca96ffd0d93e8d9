"""The writer of checkpoints: beside the run, the last ones alone, and what a full disk does."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from darts_tf.runs import checkpoints
from darts_tf.runs.checkpoints import Position, Writer

CONFIG = {"seed": 0}
SOON = 20
"""Seconds in which everything here ends, on a busy machine too."""

FULL = OSError(errno.ENOSPC, "No space left on device")
SAYS = (
    "No space left on device; no checkpoint could be written, the earlier ones are intact and "
    "--resume continues from the last"
)


def at(step: int) -> Position:
    return Position(0, step, 100)


def arrays(step: int) -> list[np.ndarray]:
    return [np.full((40, 50), step, np.float32), np.int64(step)]


def steps_in(folder: pathlib.Path) -> list[int]:
    """Steps of the checkpoints in a folder, each of them read, and nothing beside them."""
    found = []
    for path in checkpoints.newest(folder):
        position, config, values = checkpoints.read(path)
        assert config == CONFIG
        for value, expected in zip(values, arrays(position.step), strict=True):
            np.testing.assert_array_equal(value, expected, strict=True)
        found.append(position.step)
    assert len(os.listdir(folder)) == len(found)
    return found


def fill(monkeypatch, place) -> None:
    """Has the disk be full at one of the steps of writing."""

    def fail(*arguments, **options):
        raise FULL

    monkeypatch.setattr(*place, fail)


PLACES = [(os, "fsync"), (os, "replace"), (np, "savez"), (pathlib.Path, "open")]
"""Functions that can fail while a file is written."""

FAILING = pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_writer_keeps_the_last_ones(tmp_path, keep):
    with Writer(tmp_path / "new", keep) as writer:
        for step in (3, 5, 40, 41, 99):
            writer.write(at(step), CONFIG, arrays(step))
    assert steps_in(tmp_path / "new") == [99, 41, 40][:keep]


def test_writer_counts_those_of_earlier_processes(tmp_path):
    for steps in ((1, 2), (3,)):
        with Writer(tmp_path, 2) as writer:
            for step in steps:
                writer.write(at(step), CONFIG, arrays(step))
    assert steps_in(tmp_path) == [3, 2]


def test_writer_makes_no_folder_before_it_writes(tmp_path):
    with Writer(tmp_path / "new", 3) as writer:
        writer.check()
        writer.wait()
    assert not (tmp_path / "new").exists()


# Beside the run


@pytest.fixture
def slow(monkeypatch):
    """Holds every writing back until it is let go; a pair of `begun` and `let_go`."""
    begun, let_go, write = threading.Event(), threading.Event(), checkpoints.write

    def write_late(*arguments):
        begun.set()
        assert let_go.wait(SOON)
        return write(*arguments)

    monkeypatch.setattr(checkpoints, "write", write_late)
    yield begun, let_go
    let_go.set()


def test_write_returns_while_the_file_is_written(tmp_path, slow):
    begun, let_go = slow
    with Writer(tmp_path, 3) as writer:
        writer.write(at(1), CONFIG, arrays(1))
        assert begun.wait(SOON)
        writer.check()
        assert list(tmp_path.iterdir()) == []
        let_go.set()
        writer.wait()
        assert steps_in(tmp_path) == [1]


def test_write_waits_for_the_one_before(tmp_path, slow):
    begun, let_go = slow
    with Writer(tmp_path, 3) as writer:
        writer.write(at(1), CONFIG, arrays(1))
        second = threading.Thread(target=writer.write, args=(at(2), CONFIG, arrays(2)))
        second.start()
        second.join(0.2)
        assert second.is_alive()
        let_go.set()
        second.join(SOON)
        assert not second.is_alive()
        writer.wait()
    assert steps_in(tmp_path) == [2, 1]


def test_leaving_waits_for_what_is_being_written(tmp_path, slow):
    _, let_go = slow
    with Writer(tmp_path, 3) as writer:
        writer.write(at(1), CONFIG, arrays(1))
        threading.Timer(0.2, let_go.set).start()
    assert steps_in(tmp_path) == [1]


# Disks that are full


def write_and_fail(writer, monkeypatch, place):
    """One checkpoint is written, and a second one begun on a disk that is full then."""
    writer.write(at(1), CONFIG, arrays(1))
    writer.wait()
    fill(monkeypatch, place)
    writer.write(at(2), CONFIG, arrays(2))


@FAILING
def test_error_in_writing_comes_out_of_wait(tmp_path, monkeypatch, place):
    with Writer(tmp_path, 1) as writer:
        write_and_fail(writer, monkeypatch, place)
        with pytest.raises(OSError, match=SAYS) as error:
            writer.wait()
        monkeypatch.undo()
        writer.wait()
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path))
    assert error.value.strerror == SAYS
    assert steps_in(tmp_path) == [1]


@FAILING
def test_error_in_writing_comes_out_of_the_next_write_and_of_no_other(tmp_path, monkeypatch, place):
    with Writer(tmp_path, 3) as writer:
        write_and_fail(writer, monkeypatch, place)
        with pytest.raises(OSError, match=SAYS):
            writer.write(at(3), CONFIG, arrays(3))
        monkeypatch.undo()
        assert steps_in(tmp_path) == [1]
        writer.write(at(4), CONFIG, arrays(4))
        writer.wait()
    assert steps_in(tmp_path) == [4, 1]


def test_check_tells_an_error_once_it_is_known(tmp_path, monkeypatch, slow):
    begun, let_go = slow
    fill(monkeypatch, (os, "fsync"))
    with Writer(tmp_path, 3) as writer:
        writer.write(at(1), CONFIG, arrays(1))
        assert begun.wait(SOON)
        writer.check()
        let_go.set()
        with pytest.raises(OSError, match="written, there is no earlier one"):
            checked_until_it_fails(writer)
        writer.check()
    assert list(tmp_path.iterdir()) == []


def checked_until_it_fails(writer):
    for _ in range(100 * SOON):
        writer.check()
        threading.Event().wait(0.01)


LIMITED = """
import pathlib, resource, signal, sys
import numpy as np
from darts_tf.runs import checkpoints
from darts_tf.runs.checkpoints import Position, Writer
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with Writer(folder, 3) as writer:
    for count in (2_000, 60_000):
        writer.write(Position(0, count, 100_000), {"seed": 0}, [np.ones(count, np.float32)])
        try:
            writer.wait()
        except OSError as error:
            print(error)
"""


def test_file_that_the_system_does_not_take_leaves_earlier_checkpoints(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout == (
        f"[Errno {errno.EFBIG}] File too large; no checkpoint could be written, the earlier ones "
        f"are intact and --resume continues from the last: {str(tmp_path)!r}\n"
    )
    (path,) = tmp_path.iterdir()
    position, _, (array,) = checkpoints.read(path)
    assert position == Position(0, 2_000, 100_000)
    np.testing.assert_array_equal(array, np.ones(2_000, np.float32), strict=True)


# Processes that were killed


KILLED = """
import os, pathlib, signal, sys
import numpy as np
from darts_tf.runs.checkpoints import Position, Writer
with Writer(pathlib.Path(sys.argv[1]), 3) as writer:
    for step in (1, 2):
        if step == 2:
            os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
        values = [np.full((40, 50), step, np.float32), np.int64(step)]
        writer.write(Position(0, step, 100), {"seed": 0}, values)
        writer.wait()
"""


def test_leftovers_of_a_killed_writer_go_when_the_next_one_begins(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run(command, timeout=120, check=False).returncode == -9
    (left,) = tmp_path.glob(".step-0000000002.npz.*")
    assert list(left.iterdir()) != []
    others = [".hidden", ".step-notes.txt", "step-0000000007.npz.part"]
    for name in others:
        (tmp_path / name).mkdir()
    with Writer(tmp_path, 3):
        assert not left.exists()
    for name in others:
        (tmp_path / name).rmdir()
    assert steps_in(tmp_path) == [1]
