"""Writing and replacing of an export's folder, with processes killed at every step."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import filelock
import pytest
from export_fixtures import tree
from fake_exports import write_export

from darts_tf.export import folder
from darts_tf.export.publishing import published

ROOT = pathlib.Path(__file__).resolve().parents[2]

OLD = {
    **{"model_float32.tflite": "old", "model_int8.tflite": "old", "labels.txt": "old"},
    **{"web/index.html": "old", "web/old/script.js": "old", "report.html": "old"},
    **{"saved_model/model/1/saved_model.pb": "old", "saved_model/model/1/assets/a": "old"},
}
NEW = {
    **{"model_float32.tflite": "new", "model_float16.tflite": "new", "labels.txt": "new"},
    **{"web/index.html": "new", "report.html": "new", "genotype.json": "new"},
    **{"saved_model/model/2/saved_model.pb": "new", "saved_model/model/2/assets/a": "new"},
}
MINE = {"notes.txt": "mine", "web/mine.txt": "mine", "saved_model/model/1/assets/mine": "mine"}
"""Contents of files that no export has written, by name."""

KILLED = """
import json, os, pathlib, shutil, signal, sys
sys.path.insert(0, "tests/support")
from fake_exports import write_export
before, work, files = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir")
left = None
def hook(event, arguments):
    global left
    if left is not None and event in CHANGES:
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
sys.addaudithook(hook)
step, status = 0, None
while status != 0:
    output = work / str(step) / "out"
    output.parent.mkdir(parents=True)
    if before.exists():
        shutil.copytree(before, output)
    child = os.fork()
    if not child:
        left = step
        write_export(output, files)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    step += 1
"""
"""Script that kills an export before its first, second, ... change of the file system;
every export has a separate folder."""


def texts(place: pathlib.Path) -> dict[str, str]:
    """Returns the files of a folder, without report, lock and staged files."""
    found = {name: contents.decode() for name, contents in tree(place).items()}
    passing = (folder.STAGED, folder.LOCK, folder.REPORT)
    return {name: text for name, text in found.items() if not name.startswith(passing)}


def report_of(output):
    return set(json.loads((output / folder.REPORT).read_text())["files"])


@pytest.fixture
def earlier(tmp_path):
    """An export with other files in its folder."""
    write_export(tmp_path / "out", OLD)
    for name, text in MINE.items():
        (tmp_path / "out" / name).write_text(text)
    return tmp_path / "out"


def killed_at_every_step(before, work, files):
    command = [sys.executable, "-c", KILLED, str(before), str(work), json.dumps(files)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    return [work / str(step) / "out" for step in range(len(list(work.iterdir())))]


def versions_kept():
    kept = {name: text for name, text in OLD.items() if folder.version_of(name)}
    return {**kept, **NEW, **MINE}


def test_a_new_export_is_there_whole_or_not_at_all(tmp_path):
    *killed, last = killed_at_every_step(tmp_path / "nothing", tmp_path / "work", NEW)
    assert len(killed) >= 5
    assert texts(last) == NEW
    for output in killed:
        if not output.exists():
            write_export(output, NEW)
        assert texts(output) == NEW


def test_a_replaced_export_can_be_used_and_replaced_wherever_it_was_killed(earlier, tmp_path):
    *killed, last = killed_at_every_step(earlier, tmp_path / "work", NEW)
    assert len(killed) >= 12
    assert texts(last) == versions_kept()
    seen = set()
    for output in killed:
        found = texts(output)
        assert {name: found[name] for name in MINE} == MINE
        for name, text in found.items():
            assert text in (OLD.get(name), NEW.get(name), MINE.get(name)), name
        kept = {n: t for n, t in OLD.items() if folder.version_of(n)}
        assert {name: found[name] for name in kept} == kept
        added = {name for name in found if name.startswith("saved_model/model/2/")}
        assert added in (set(), {name for name in NEW if "/2/" in name})
        assert report_of(output) in (set(OLD), set(NEW))
        if report_of(output) == set(NEW):
            assert found == versions_kept()
        seen.add(frozenset(found.items()))
        folder.check_output(output, overwrite=True)
        third = {name.replace("/2/", "/3/"): text for name, text in NEW.items()}
        write_export(output, third)
        expected = {**kept, **{n: found[n] for n in added}, **third, **MINE}
        assert texts(output) == expected
        assert not list(output.glob(f"{folder.STAGED}*"))
    assert len(seen) > 5  # processes were killed between many of the files


def test_an_error_while_writing_changes_nothing(earlier):
    before = tree(earlier.parent)

    def fail(output):
        with published(output) as written:
            (written / "model_float32.tflite").write_text("half")
            raise OSError("No space left on device")

    for output in (earlier, earlier.parent / "new"):
        with pytest.raises(OSError, match="No space left"):
            fail(output)
    assert tree(earlier.parent) == {**before, "out/.lock": b""}
    assert not (earlier.parent / "new").exists()


def test_an_error_on_the_way_leaves_what_can_be_replaced(earlier, monkeypatch):
    real, left = os.replace, [3]

    def fail(source, target):
        left[0] -= 1
        if not left[0]:
            raise OSError("Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_export(earlier, NEW)
    monkeypatch.undo()
    third = {name.replace("/2/", "/3/"): text for name, text in NEW.items()}
    write_export(earlier, third)
    assert texts(earlier).keys() >= {*third, *MINE}
    assert "model_int8.tflite" not in texts(earlier)


@pytest.mark.parametrize("name", ["model_float16.tflite", "web/index.html", "saved_model/model/2"])
def test_a_file_of_somebody_else_is_never_replaced(tmp_path, name):
    write_export(tmp_path / "out", {"labels.txt": "old"})
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=f"no files of others .*{name}"):
        write_export(tmp_path / "out", NEW)
    assert tree(tmp_path) == {**before, "out/.lock": b""}


def test_a_stale_file_that_has_been_changed_stays(earlier):
    (earlier / "model_int8.tflite").write_text("mine now")
    write_export(earlier, NEW)
    assert (earlier / "model_int8.tflite").read_text() == "mine now"
    assert not (earlier / "web" / "old").exists()


def test_a_report_that_names_files_outside_deletes_none(earlier):
    outside = earlier.parent / "precious"
    outside.write_text("old")
    (earlier / "link").symlink_to(outside)
    files = dict.fromkeys(("../precious", str(outside), "link"), folder.digest(outside))
    (earlier / folder.REPORT).write_text(json.dumps({"files": files}))
    write_export(earlier, {"genotype.json": "new"})
    assert outside.read_text() == "old"
    assert (earlier / "link").is_symlink()


def test_one_export_at_a_time(earlier):
    with (
        filelock.FileLock(earlier / folder.LOCK),
        pytest.raises(ValueError, match="no other process"),
    ):
        write_export(earlier, NEW)


@pytest.mark.parametrize("report", [None, "[]", "{}", "not JSON", '{"files": 3}'])
def test_overwrite_refuses_a_folder_that_is_no_export(tmp_path, report):
    (tmp_path / "thesis.txt").write_text("years of work")
    if report:
        (tmp_path / folder.REPORT).write_text(report)
    with pytest.raises(ValueError, match="an export to overwrite"):
        folder.check_output(tmp_path, overwrite=True)


def test_output_with_an_earlier_export_needs_overwrite(earlier):
    with pytest.raises(ValueError, match="new or empty folder .*--overwrite.* is not empty"):
        folder.check_output(earlier, overwrite=False)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_output_at_or_below_a_file_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ValueError,
        match="output to be a folder. Received: .*file(, a|/below, but .*file is a) file$",
    ):
        folder.check_output(tmp_path / place, overwrite=True)


def test_versions_count_up_from_the_newest(tmp_path):
    assert folder.new_version(tmp_path, "model") == 1
    for name in ("2", "10", "0003", "next", "9.tmp"):
        (tmp_path / "saved_model" / "model" / name).mkdir(parents=True)
    assert list(folder.versions(tmp_path / "saved_model" / "model")) == [2, 3, 10]
    assert folder.new_version(tmp_path, "model") == 11
    assert folder.new_version(tmp_path, "model", 7) == 7
    assert folder.new_version(tmp_path, "other") == 1
    for version in (3, 0, -1, 2**63):
        with pytest.raises(ValueError, match="Expected a version"):
            folder.new_version(tmp_path, "model", version)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-x", ".x", "é", "a\n", "x" * 101])
def test_names_are_such_as_fit_in_paths_and_addresses(tmp_path, name):
    with pytest.raises(ValueError, match="Expected name to be of letters"):
        folder.new_version(tmp_path, name)


def test_a_folder_that_is_mounted_is_written_file_by_file(tmp_path, monkeypatch):
    """A mount point cannot be the target of a rename."""
    output = tmp_path / "mount"
    output.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: pathlib.Path(path) == output)
    before = output.stat().st_ino
    write_export(output, NEW)
    assert texts(output) == NEW
    assert output.stat().st_ino == before
    shutil.rmtree(output)
