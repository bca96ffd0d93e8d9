"""Runs that start without data, in this process and in separate ones."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import types

import pytest

from darts_tf import configs
from darts_tf.errors import InputError
from darts_tf.runs import folder as run_folder


def dataset(**changed):
    """Returns a dataset with only the attributes that `begun` reads."""
    settings = {"name": "digits", "classes": ("0", "1"), "train": 5, "test": 3, "height": 8}
    settings |= {"digest": "0", **changed}
    return types.SimpleNamespace(
        name=settings["name"],
        classes=settings["classes"],
        train=types.SimpleNamespace(size=settings["train"]),
        test=types.SimpleNamespace(size=settings["test"]),
        preprocessing=types.SimpleNamespace(to_dict=lambda: {"height": settings["height"]}),
        held_out=None,
        digest=lambda: settings["digest"],
    )


def begin(folder, given=None, **settings) -> pathlib.Path:
    """Starts or resumes a run, and ends it at once."""
    given = given or dataset()
    config = configs.SearchConfig(workdir=folder, **({"dataset": given.name} | settings))
    with run_folder.started_run(config, given) as begun_folder:
        return begun_folder


def contents(folder: pathlib.Path) -> dict[str, bytes | None]:
    """Returns everything below a folder: the bytes of files, and None for folders."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def refused(message, folder, given=None, **settings):
    """Asserts that starting a run raises one line and changes nothing around the folder."""
    before = contents(folder.parent)
    with pytest.raises(InputError, match=message) as error:
        begin(folder, given, **settings)
    assert len(str(error.value).splitlines()) == 1
    assert contents(folder.parent) == before


# Processes

_START = f"""
import os, signal, sys
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
from run_folders import dataset
from darts_tf import configs
from darts_tf.runs import folder as run_folder
from darts_tf.spaces.zoo import GENOTYPES
folder, last = sys.argv[1:]
config = configs.SearchConfig(workdir=folder)
"""

_KILLED = """
replace = os.replace
def replace_or_die(source, target):
    if str(target).endswith(last):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = replace_or_die
with run_folder.started_run(config, dataset(), GENOTYPES["DARTS_V2"]):
    print("too late")
"""

_HOLDING = """
with run_folder.started_run(config, dataset()):
    print("begun", flush=True)
    sys.stdin.read()
"""


def killed_in(folder, last: str) -> None:
    """Writes the files of a process that is killed before it renames the file `last`."""
    command = [sys.executable, "-c", _START + _KILLED, str(folder), last]
    process = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (-9, b"", b"")


@contextlib.contextmanager
def holding(folder):
    """Context manager: keeps a run active in another process, which it yields."""
    command = [sys.executable, "-c", _START + _HOLDING, str(folder), ""]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert process.stdout.readline() == b"begun\n"
            yield process
        finally:
            process.kill()
