"""All readers of files with thousands of hostile ones: accepted, or rejected with one line."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
from audit_reader import fuzz
from damaged_bytes import CODE, changed, hostile_arrays, hostile_checkpoints, hostile_json, values
from hypothesis import strategies as st

from darts_tf.configs import CompareConfig, SearchConfig, TrainConfig
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.runs import checkpoints, files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.alphas import load_alphas, save_alphas
from darts_tf.runs.metrics import append_metrics, keep_metrics, read_metrics
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.notation import to_python
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES, load_genotype

CELLS = tuple(json.loads(genotype.to_json()) for genotype in GENOTYPES.values())
RECURRENT_CELLS = tuple(json.loads(cell.to_json()) for cell in RECURRENT_GENOTYPES.values())
SETTINGS = {
    SearchConfig: (
        {"workdir": "run", "dataset": "digits", "seed": 0},
        SearchConfig.from_preset("pc-darts", workdir="run").to_dict(),
    ),
    TrainConfig: (
        {"workdir": "run", "genotype": "DARTS_V2", "dataset": "digits", "seed": 0},
        TrainConfig.from_preset("cifar10", workdir="run", genotype="DARTS_V2").to_dict(),
    ),
    CompareConfig: (
        {"workdir": "run", "genotypes": ["DARTS_V2", "PDARTS"], "seeds": [0, 1]},
        CompareConfig(workdir="run", genotypes=("DARTS_V2",), max_macs="600M").to_dict(),
    ),
}
IMAGES = (
    Preprocessing(32, 32, 3, (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)).to_dict(),
    Preprocessing(8, 8, 1, (0.5,), (0.25,)).to_dict(),
)
CHECKPOINT = {
    **{"format": checkpoints.FORMAT, "epoch": 2, "step": 3, "steps": 8},
    "config": {"seed": 0},
}
METRICS = ({"epoch": 0, "loss": 0.5, "genotype": "normal"}, {"epoch": 3, "loss": None})


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """An empty folder; a hostile command that runs would leave a file next to it."""
    folder = pathlib.Path(os.path.realpath(tmp_path)) / "run"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    yield folder
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory):
    """Imports modules that readers import late, since imports would count as violations."""
    folder = tmp_path_factory.mktemp("warm")
    for text in ("", "{}", '{"normal": [["skip", 0], ["skip", 1]]}', "\ud800"):
        for read in (Genotype.from_json, Preprocessing.from_json, load_genotype):
            with pytest.raises(InputError):
                read(text)
    for config_class in SETTINGS:
        with pytest.raises(InputError):
            config_class.from_dict({"workdir": "x", "sed": 1})
    append_metrics(folder, {"epoch": 0})
    keep_metrics(folder, 1)
    save_alphas(folder, np.zeros((2, 8)), np.zeros((2, 8)))
    load_alphas(folder)
    np.dtype("f4,f4")
    b"\xff".decode("cp437")


# Text


def test_genotype_takes_or_refuses_any_text():
    def read(content: bytes):
        def reader():
            genotype = Genotype.from_json(content)
            assert Genotype.from_json(genotype.to_json()) == genotype

        return reader

    assert fuzz(hostile_json(*CELLS), 1000, read) > 0.8


def test_genotype_takes_or_refuses_any_file(folder):
    path = folder / "genotype.json"

    def read(content: bytes):
        path.write_bytes(content)
        return lambda: load_genotype(path, recurrent=None)

    inputs = hostile_json(*CELLS) | hostile_json(*RECURRENT_CELLS)
    assert fuzz(inputs, 500, read, folder=folder, parses=True) > 0.8


@st.composite
def hostile_python(draw):
    """Strategy of genotypes in Python notation with a replaced part."""
    cells = [*GENOTYPES.values(), *RECURRENT_GENOTYPES.values()]
    text = to_python(draw(st.sampled_from(cells)))
    begin, end = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    words = st.sampled_from(["open('x', 'w')", "__import__('os')", "range(9)", "**x", "[" * 300])
    return text[:begin] + draw(st.one_of(st.text(max_size=20), words)) + text[end:]


def test_genotype_takes_or_refuses_any_python(folder):
    path = folder / "genotypes.py"

    def read(content: str):
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        return lambda: load_genotype(path, recurrent=None)

    assert fuzz(hostile_python(), 500, read, folder=folder, parses=True) > 0.6


def test_genotype_takes_or_refuses_any_name(folder):
    names = values.map(lambda value: str(value).replace("/", ""))  # none is a path to elsewhere
    here = os.getcwd()  # whose names may be suggested
    assert fuzz(names, 200, lambda name: lambda: load_genotype(name), folder=here) > 0.75


def test_code_in_a_genotype_is_a_name_that_is_not_known():
    with pytest.raises(InputError, match="Expected the primitive of normal.0"):
        Genotype.from_json(json.dumps({**CELLS[0], "normal": [[CODE, 0], [CODE, 1]]}))


def test_preprocessing_takes_or_refuses_any_text():
    def read(content: bytes):
        def reader():
            preprocessing = Preprocessing.from_json(content)
            assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing

        return reader

    assert fuzz(hostile_json(*IMAGES), 1000, read) > 0.8


# Settings


@pytest.mark.parametrize("config_class", SETTINGS)
def test_config_takes_or_refuses_any_value(config_class):
    def read(value):
        def reader():
            config = config_class.from_dict(value)
            assert config_class.from_dict(json.loads(json.dumps(config.to_dict()))) == config

        return reader

    # half of the changes make another valid config
    assert fuzz(values | changed(SETTINGS[config_class]), 1000, read) > 0.7


def test_run_takes_or_refuses_any_settings(folder):
    def read(content: bytes):
        (folder / files.CONFIG).write_bytes(content)

        def reader():
            is_run = files.is_run(folder)
            assert run_folder.resumed(SearchConfig, folder).workdir == folder
            assert is_run

        return reader

    assert fuzz(hostile_json(*SETTINGS[SearchConfig]), 800, read, folder=folder) > 0.75


def test_json_file_is_taken_or_refused_and_comes_back(folder):
    path = folder / files.DATASET

    def read(content: bytes):
        path.write_bytes(content)

        def reader():
            value = files.read_json(path)
            assert repr(json.loads(json.dumps(value))) == repr(value)

        return reader

    assert fuzz(hostile_json(*METRICS), 500, read, folder=folder) > 0.2


# Records


def _metrics_files() -> st.SearchStrategy[bytes]:
    """Strategy of hostile and valid lines, the last one possibly truncated."""
    valid = st.builds(lambda epoch: b'{"epoch": %d}' % epoch, st.integers(0, 5))
    line = hostile_json(*METRICS)
    return st.builds(
        lambda lines, last: b"\n".join([*lines, last]),
        st.tuples(line) | st.tuples(valid, line) | st.lists(valid | line, max_size=4),
        st.sampled_from([b"", b"", b'{"epo']),
    )


def test_metrics_are_taken_or_refused(folder):
    def read(content: bytes):
        (folder / files.METRICS).write_bytes(content)

        def reader():
            for metrics in read_metrics(folder):
                assert type(metrics["epoch"]) is int

        return reader

    assert fuzz(_metrics_files(), 800, read, folder=folder) > 0.625


def test_kept_metrics_are_those_of_earlier_epochs(folder):
    def read(content: bytes):
        (folder / files.METRICS).write_bytes(content)

        def reader():
            before = read_metrics(folder)
            keep_metrics(folder, 2)
            kept = [metrics for metrics in before if metrics["epoch"] < 2]
            assert repr(read_metrics(folder)) == repr(kept)

        return reader

    assert fuzz(_metrics_files(), 400, read, folder=folder, writes=True) > 0.5
    assert [path.name for path in folder.iterdir()] == [files.METRICS]


def test_alphas_are_taken_or_refused(folder):
    def read(content: bytes):
        (folder / files.ALPHAS).write_bytes(content)

        def reader():
            for array in load_alphas(folder):
                assert array.dtype.kind == "f"

        return reader

    assert fuzz(hostile_arrays, 1000, read, folder=folder, parses=True) > 0.8


# Checkpoints


def test_text_of_a_checkpoint_is_taken_or_refused():
    def read(content: bytes):
        def reader():
            position, config = checkpoints.parse(content)
            assert {type(number) for number in dataclasses.astuple(position)} == {int}
            assert 0 <= position.step <= position.steps
            assert position.steps > 0
            assert position.done >= position.epoch >= 0
            assert type(config) is dict

        return reader

    assert fuzz(hostile_json(CHECKPOINT), 1000, read) > 0.7


def test_checkpoint_is_taken_or_refused(folder):
    config = SearchConfig.from_preset("pc-darts", workdir="run").to_dict()
    path = checkpoints.write(folder, checkpoints.Position(2, 3, 8), config, [np.zeros((2, 8)), 0])
    inputs = st.one_of(hostile_arrays, *[hostile_checkpoints(path.read_bytes())] * 3)

    def read(content: bytes):
        path.write_bytes(content)

        def reader():
            _, _, arrays = checkpoints.read(path)
            for array in arrays:
                assert not array.dtype.hasobject

        return reader

    assert fuzz(inputs, 500, read, folder=folder, parses=True) > 0.6
