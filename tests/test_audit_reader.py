"""The audit of readers records the events that it should."""

from __future__ import annotations

import os
import pathlib

import pytest
from audit_reader import forbidden, witnessed


@pytest.mark.parametrize(
    "act",
    [
        lambda: eval("1"),
        lambda: os.system(":"),
        lambda: os.listdir("/"),
        lambda: open(os.devnull).close(),
        lambda: pathlib.Path("pwned").unlink(missing_ok=True),
    ],
)
def test_witness_sees_what_is_forbidden(act, tmp_path):
    with witnessed() as events:
        act()
    assert forbidden(events, folder=tmp_path) != []


def test_witness_allows_a_file_of_the_folder_to_be_read_alone(tmp_path):
    path = tmp_path / "file"
    with witnessed() as events:
        path.write_text("")
    assert forbidden(events, folder=tmp_path) != []
    assert forbidden(events, folder=tmp_path, writes=True) == []
    with witnessed() as events:
        path.read_text()
        path.read_bytes()
    assert forbidden(events, folder=tmp_path) == []
    assert forbidden(events) != []
