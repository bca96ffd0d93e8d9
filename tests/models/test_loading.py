"""Models from files: sizes that a file cannot hold are refused before anything is built."""

from __future__ import annotations

import io
import json
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest

from darts_tf.errors import InputError
from darts_tf.models.language_model import build_language_model, load_language_model
from darts_tf.models.loading import CONFIG, WEIGHTS, _least_bytes
from darts_tf.models.network import build_network, load_network
from darts_tf.runtime import archives
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import RECURRENT_GENOTYPES

SKIPS = Genotype([("skip_connect", 0)] * 2, [2], [("skip_connect", 0)] * 2, [2])
"""The cells with the fewest weights."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The files of a network and of a language model, as members by name."""
    folder = tmp_path_factory.mktemp("models")
    models = {
        "network": build_network(SKIPS, 4, 3, 2),
        "language": build_language_model(RECURRENT_GENOTYPES["DARTS_V2"], 6, 4),
    }
    contents = {}
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
        with zipfile.ZipFile(folder / f"{name}.keras") as archive:
            contents[name] = {member: archive.read(member) for member in archive.namelist()}
    return contents


def written(path, members, settings=None, **changed):
    """Writes a model's file with other settings, and other members."""
    stored = json.loads(members[CONFIG])
    stored["config"] |= settings or {}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, CONFIG: json.dumps(stored), **changed}.items():
            archive.writestr(name, content)
    return path


LOADERS = {"network": load_network, "language": load_language_model}


@pytest.mark.parametrize("name", LOADERS)
def test_model_is_loaded(saved, tmp_path, name):
    assert LOADERS[name](written(tmp_path / "model.keras", saved[name])).built


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("network", {"cells": 10_000_000}),
        ("network", {"channels": 100_000}),
        ("network", {"classes": 1_000_000_000}),
        ("network", {"image_channels": 1_000_000_000}),
        ("language", {"vocabulary": 10**9}),
        ("language", {"units": 10**6}),
    ],
)
def test_size_that_the_file_cannot_hold_is_refused_at_once(saved, tmp_path, name, settings):
    path = written(tmp_path / "model.keras", saved[name], settings)
    begin = time.monotonic()
    with pytest.raises(InputError, match=f"Expected {WEIGHTS} of at least .* bytes") as error:
        LOADERS[name](path)
    assert time.monotonic() - begin < 5
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("number", [2**31 + 1, 10**400], ids=["large", "huge"])
def test_size_beyond_any_network_is_refused(saved, tmp_path, number):
    path = written(tmp_path / "model.keras", saved["network"], {"cells": number})
    with pytest.raises(InputError, match="Expected cells of at most"):
        load_network(path)


def test_array_that_expands_from_little_is_refused(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FREE", 1000)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as arrays:
        zeros = np.zeros((1000, 2000), np.float32)
        arrays.create_dataset("a/0", data=zeros, chunks=zeros.shape, compression="gzip")
    path = written(tmp_path / "model.keras", saved["network"], **{WEIGHTS: buffer.getvalue()})
    monkeypatch.setattr(keras.saving, "load_model", pytest.fail)
    with pytest.raises(InputError, match="Expected at most .* GB in a file of"):
        load_network(path)


@pytest.mark.parametrize("members", [{CONFIG: b"{}"}, {CONFIG: b"[]", WEIGHTS: b""}, {}])
def test_archive_of_something_else_is_refused(tmp_path, members):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="Expected a model") as error:
        load_network(tmp_path / "model.keras")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_bound_is_below_the_size_of_the_smallest_networks(stem):
    for channels, cells in ((4, 3), (4, 8), (32, 5)):
        network = build_network(SKIPS, channels, cells, 1, stem=stem, auxiliary=False)
        size = 4 * sum(int(np.prod(variable.shape)) for variable in network.weights)
        # every cell has 10 weight arrays, each with a header of 256 bytes or more in the file
        assert _least_bytes(network.get_config()) <= size + 2560 * cells
