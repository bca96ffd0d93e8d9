"""Folders of runs: user files are never deleted, and only one process uses a folder at a time."""

from __future__ import annotations

import errno
import logging
import os
import pathlib
import shutil

import filelock
import pytest
from mostly_slow import mostly_slow
from run_folders import begin, contents, dataset, holding, killed_in, refused

from darts_tf import configs
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.metrics import append_metrics

LOGGER = logging.getLogger("darts_tf")


@pytest.fixture
def run(tmp_path) -> pathlib.Path:
    """A folder in which a run has begun."""
    return begin(tmp_path / "run")


# Which folders it takes


def test_begun_makes_new_folders_and_takes_empty_ones(tmp_path):
    assert begin(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert files.is_run(tmp_path / "a" / "b")
    for i, options in enumerate(({}, {"overwrite": True})):
        folder = tmp_path / str(i)
        folder.mkdir()
        assert run_folder.check_workdir(str(folder), **options) == folder
        assert list(folder.iterdir()) == []
        assert begin(folder, **options) == folder
        assert files.is_run(folder)


def test_begun_refuses_a_folder_with_files_and_names_the_way_out(run, tmp_path):
    message = "new or empty folder .or --overwrite, or --resume"
    refused(message, run)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    refused(message, tmp_path / "other")


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_begun_refuses_a_file_and_a_folder_below_one(tmp_path, options):
    (tmp_path / "file").write_text("x")
    message = "workdir to be a folder. Received: .*file(, a file|/run/deep, but .*file is a file)$"
    for folder in (tmp_path / "file", tmp_path / "file" / "run" / "deep"):
        with pytest.raises(InputError, match=message):
            run_folder.check_workdir(folder, **options)
        with pytest.raises(InputError, match=message):
            begin(folder, **options)
    assert contents(tmp_path) == {"file": b"x"}


def test_check_makes_no_folder(tmp_path):
    assert run_folder.check_workdir(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()


def test_overwrite_deletes_an_earlier_run_and_only_links_to_others(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("x")
    (run / files.CHECKPOINTS).mkdir()
    (run / files.CHECKPOINTS / "1").write_text("x")
    (run / "tensorboard").symlink_to(tmp_path / "elsewhere")
    (run / ".model.keras.abc123").mkdir()
    append_metrics(run, {"epoch": 0})
    begin(run, overwrite=True, channels=4)
    assert set(contents(run)) == {files.CONFIG, files.DATASET, files.LOG, files.LOCK}
    assert files.read_json(run / files.CONFIG)["channels"] == 4
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_overwrite_keeps_a_folder_with_anything_else_in_it(run):
    (run / "thesis.tex").write_text("x")
    append_metrics(run, {"epoch": 0})
    refused("nothing but the run to overwrite.*thesis.tex", run, overwrite=True)


def test_overwrite_that_fails_half_way_leaves_a_run(run, monkeypatch):
    (run / files.CHECKPOINTS).mkdir()

    def fail(path):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shutil, "rmtree", fail)
    with pytest.raises(InputError, match="can be read and written to. .*Input/output error"):
        begin(run, overwrite=True)
    assert files.is_run(run)


@pytest.mark.parametrize("config", [None, "", "[]", "3", '{"name": "another program"}', "\x00"])
@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_begun_leaves_folders_that_are_no_runs(tmp_path, option, config):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / files.GENOTYPE).write_text("x")
    if config is not None:
        (folder / files.CONFIG).write_text(config)
    refused(f"to hold a run to {option}, with its config.json", folder, **{option: True})


def test_resume_keeps_the_run_as_it_is(run):
    append_metrics(run, {"epoch": 0})
    before = contents(run)
    assert run_folder.check_workdir(run, resume=True) == run
    assert begin(run, resume=True) == run
    assert contents(run) == before


@pytest.mark.parametrize("there", [False, True])
def test_resume_refuses_a_folder_without_a_run(tmp_path, there):
    folder = tmp_path / "nothing"
    if there:
        folder.mkdir()
    refused("to hold a run to resume", folder, resume=True)
    with pytest.raises(InputError, match="to hold a run to resume"):
        run_folder.resumed(configs.SearchConfig, folder)


@pytest.mark.parametrize("resume", [False, True])
def test_folder_that_cannot_be_looked_at_is_refused(tmp_path, resume):
    with pytest.raises(InputError, match=r"can be read.*\(File name too long\)"):
        run_folder.check_workdir(tmp_path / ("n" * 300), resume=resume)


def test_folder_that_cannot_be_listed_is_refused(run, monkeypatch):
    def fail(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "iterdir", fail)
    with pytest.raises(InputError, match=r"can be read.*run' \(Permission denied\)"):
        run_folder.check_workdir(run)


READ_ONLY = OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("place", [(pathlib.Path, "mkdir"), (os, "open")], ids=["mkdir", "open"])
def test_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch, place):
    def fail(*arguments, **options):
        raise READ_ONLY

    monkeypatch.setattr(*place, fail)
    message = r"can be read and written to. Received: '.*run' \(Read-only file system\)"
    with pytest.raises(InputError, match=message) as error:
        begin(tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1
    monkeypatch.undo()
    assert begin(tmp_path / "run") == tmp_path / "run"


def test_error_of_the_run_itself_comes_out_and_gives_the_folder_back(tmp_path):
    def fail():
        with run_folder.started_run(configs.SearchConfig(workdir=tmp_path / "run"), dataset()):
            (tmp_path / "run" / files.METRICS).touch()
            raise READ_ONLY

    with pytest.raises(OSError, match="Read-only") as error:
        fail()
    assert error.value is READ_ONLY
    assert begin(tmp_path / "run", resume=True) == tmp_path / "run"


@pytest.mark.parametrize("there", [False, True])
def test_start_that_fails_does_not_block_the_next_one(tmp_path, there):
    folder = tmp_path / "runs" / "run"
    if there:
        folder.mkdir(parents=True)

    def fail():
        with run_folder.started_run(configs.SearchConfig(workdir=folder), dataset()):
            (folder / files.CHECKPOINTS).mkdir()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert folder.exists() == there
    assert begin(folder) == folder


def test_failure_after_a_checkpoint_or_on_resumption_deletes_nothing(tmp_path):
    def fail(folder, resume):
        with run_folder.started_run(configs.SearchConfig(workdir=folder, resume=resume), dataset()):
            if not resume:
                (folder / files.CHECKPOINTS).mkdir()
                (folder / files.CHECKPOINTS / "0.npz").touch()
            raise RuntimeError

    for folder, resume in ((tmp_path / "new", False), (begin(tmp_path / "begun"), True)):
        with pytest.raises(RuntimeError):
            fail(folder, resume)
        assert files.is_run(folder)


# Beginnings that were stopped


@mostly_slow(1, "last", [files.DATASET, files.GENOTYPE, files.CONFIG])
def test_beginning_that_was_killed_is_begun_again(tmp_path, last):
    folder = tmp_path / "run"
    killed_in(folder, last)
    left = {path.name for path in folder.iterdir()}
    assert {files.LOCK, files.LOG} < left
    assert [name for name in left if name.startswith(f".{last}.")]
    assert (files.DATASET in left) == (last != files.DATASET)
    assert not files.is_run(folder)
    refused("to hold a run to resume", folder, resume=True)
    assert run_folder.check_workdir(folder) == folder
    assert begin(folder) == folder
    assert set(contents(folder)) == {files.CONFIG, files.DATASET, files.LOG, files.LOCK}


@mostly_slow((0, 3), "foreign", ["thesis.tex", ".hidden", files.METRICS, files.MODEL])
def test_beginning_that_was_killed_does_not_take_other_files_along(tmp_path, foreign):
    folder = tmp_path / "run"
    killed_in(folder, files.CONFIG)
    (folder / foreign).write_text("x")
    refused("new or empty folder", folder)
    refused("to hold a run to overwrite", folder, overwrite=True)


# One process at a time


@pytest.fixture
def held(tmp_path):
    """The folder of a run that goes on in another process, and that process."""
    with holding(tmp_path / "run") as process:
        yield tmp_path / "run", process


IN_USE = "workdir that no other process is running in. Received: workdir='.*run', which one is"


def test_folder_of_a_running_process_is_refused_and_had_when_that_was_killed(held):
    folder, process = held
    refused("new or empty", folder)
    refused(IN_USE, folder, resume=True)
    refused(IN_USE, folder, overwrite=True)
    process.kill()
    process.wait()
    assert begin(folder, resume=True) == folder
    assert begin(folder, overwrite=True) == folder


def test_folder_is_refused_within_one_process_until_the_run_has_ended(tmp_path):
    folder = tmp_path / "run"
    with run_folder.started_run(configs.SearchConfig(workdir=folder), dataset()):
        refused(IN_USE, folder, resume=True)
        refused(IN_USE, folder, overwrite=True)
    assert begin(folder, resume=True) == folder


def test_folder_in_which_another_process_is_only_beginning_is_refused(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with filelock.FileLock(folder / files.LOCK):
        refused(IN_USE, folder)
    assert begin(folder) == folder


def test_folder_that_another_process_took_meanwhile_is_left(tmp_path, monkeypatch):
    """Between the first look at it and the lock another run began and ended."""
    folder, mkdir = tmp_path / "run", pathlib.Path.mkdir

    def mkdir_late(path, *arguments, **options):
        monkeypatch.undo()
        begin(folder, channels=4)
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(pathlib.Path, "mkdir", mkdir_late)
    with pytest.raises(InputError, match="new or empty folder"):
        begin(folder)
    assert files.read_json(folder / files.CONFIG)["channels"] == 4


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_worker_that_does_not_write_touches_nothing(tmp_path, options):
    folder = tmp_path / "run"
    config = configs.SearchConfig(workdir=folder, **options)
    handlers = list(LOGGER.handlers)
    with run_folder.started_run(config, dataset(), writes=False) as given:
        assert given == folder
        assert not folder.exists()
        assert LOGGER.handlers == handlers
    begin(folder)
    before = contents(folder)
    with (
        filelock.FileLock(folder / files.LOCK),
        run_folder.started_run(config, dataset(name="other"), writes=False) as given,
    ):
        LOGGER.warning("nobody writes this")
        assert given == folder
    assert contents(folder) == before
