"""Archives that claim to hold far more than their size."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from darts_tf.errors import InputError
from darts_tf.models.state_dicts import read_state_dict
from darts_tf.runs import alphas, checkpoints, files
from darts_tf.runtime import archives


@pytest.fixture
def bomb(tmp_path, monkeypatch):
    """An archive of zeros, above a bound that is lowered so that it may be small."""
    monkeypatch.setattr(archives, "FREE", 1000)
    path = tmp_path / files.ALPHAS
    zeros = np.zeros((1000, 1000), np.float32)
    np.savez_compressed(path, normal=zeros, reduce=zeros)
    return path


def test_archive_that_expands_too_far_is_refused(bomb):
    with pytest.raises(InputError, match=r"Expected at most .* GB in a file of .* bytes. Received"):
        archives.check_archive(bomb)


def test_ordinary_archives_pass(tmp_path):
    zeros = np.zeros((1000, 1000), np.float32)
    for write in (np.savez, np.savez_compressed):  # also a small one of zeros
        write(tmp_path / "a.npz", zeros)
        archives.check_archive(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"text")
    with pytest.raises(zipfile.BadZipFile):
        archives.check_archive(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "read",
    [
        lambda path: alphas.load_alphas(path.parent),
        lambda path: alphas.load_history(path.rename(path.with_name(files.HISTORY)).parent),
        read_state_dict,
        checkpoints.read,
    ],
)
def test_every_reader_of_arrays_refuses_it_in_one_line(bomb, monkeypatch, read):
    monkeypatch.setattr(np.lib.format, "read_array", pytest.fail)
    with pytest.raises(InputError, match="Expected at most") as error:
        read(bomb)
    assert "\n" not in str(error.value)
