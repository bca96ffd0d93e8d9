"""Places that must not be written to."""

from __future__ import annotations

import re

import pytest

from darts_tf.errors import InputError
from darts_tf.runtime.outputs import check_output_file, check_output_folder


def is_empty(folder):
    return not any(folder.iterdir())


@pytest.fixture
def place(tmp_path):
    """A folder with a file."""
    (tmp_path / "file").write_text("kept")
    return tmp_path


@pytest.mark.parametrize("overwrite", [True, False, None])
def test_a_new_file_is_taken(place, overwrite):
    check_output_file("output", place / "new" / "file", overwrite)


def test_a_file_is_replaced_where_that_is_asked_for(place):
    check_output_file("output", place / "file", overwrite=True)


@pytest.mark.parametrize(
    ("name", "overwrite", "message"),
    [
        ("file", False, "output to be a new file (or --overwrite). Received: {}, a file that is"),
        ("file", None, "output to be a new file. Received: {}, a file that is there"),
        (".", False, "output to be a new file (or --overwrite). Received: {}, a folder"),
        (".", True, "output to be a file. Received: {}, a folder"),
        ("file/new", True, "output in a folder. Received: {}, but {above} is a file"),
    ],
)
def test_file_that_cannot_be_written_is_refused(place, name, overwrite, message):
    path = place / name
    with pytest.raises(InputError, match=re.escape(message.format(path, above=path.parent))):
        check_output_file("output", path, overwrite)


@pytest.mark.parametrize(("name", "overwrite"), [("new/folder", False), (".", True)])
def test_a_new_folder_or_one_to_overwrite_is_taken(place, name, overwrite):
    check_output_folder("workdir", place / name, is_empty, overwrite, "--overwrite")


def test_an_empty_folder_is_taken(tmp_path):
    check_output_folder("workdir", tmp_path, is_empty, False, "--overwrite")


@pytest.mark.parametrize(
    ("name", "overwrite", "message"),
    [
        (".", False, "workdir to be a new or empty folder (or --resume). Received: '{}', which"),
        ("file", True, "workdir to be a folder. Received: {}, a file"),
        ("file/new", True, "workdir to be a folder. Received: {}, but {above} is a file"),
    ],
)
def test_folder_that_cannot_be_written_is_refused(place, name, overwrite, message):
    path = place / name
    with pytest.raises(InputError, match=re.escape(message.format(path, above=path.parent))):
        check_output_folder("workdir", path, is_empty, overwrite, "--resume")
