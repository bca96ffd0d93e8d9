"""The files of a run: whole or absent, valid JSON, and read with care."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
import pytest

from darts_tf import configs, runs
from darts_tf.runtime import atomic


@pytest.fixture
def run(tmp_path) -> pathlib.Path:
    """A folder in which a run has begun."""
    config = configs.SearchConfig(workdir=tmp_path / "run")
    runs.write_json(config.workdir / runs.CONFIG, config.to_dict())
    return config.workdir


# Which folder is a run


def test_is_run_where_the_settings_of_one_are(run, tmp_path):
    assert runs.is_run(run)
    assert runs.is_run(str(run))
    assert not runs.is_run(tmp_path)
    assert not runs.is_run(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "[]", "3", '{"name": "another program"}', "\x00"])
def test_is_run_nowhere_else(run, text):
    (run / runs.CONFIG).write_text(text)
    assert not runs.is_run(run)


def test_existing_names_the_missing_file(run):
    assert runs.existing(run, runs.CONFIG) == run / runs.CONFIG
    with pytest.raises(ValueError, match="with the file model.keras. Received: .*run'"):
        runs.existing(run, runs.MODEL)


# Files


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail_halfway():
        with atomic.replacing(path) as written:
            assert written.suffix == ".txt"
            written.write_text("half of the ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_json_takes_numpy_and_paths_and_is_valid_json(tmp_path):
    path = tmp_path / "deep" / "value.json"
    value = {"loss": np.float32(0.5), "steps": np.int64(3), "sizes": np.arange(2), 1: tmp_path}
    runs.write_json(path, value | {"bad": [float("nan"), np.float64("inf")]})
    assert runs.read_json(path) == {
        **{"loss": 0.5, "steps": 3, "sizes": [0, 1], "1": str(tmp_path), "bad": [None, None]}
    }


def test_read_json_names_the_file_and_the_position(tmp_path):
    path = tmp_path / "value.json"
    with pytest.raises(ValueError, match="Expected a file.*value.json"):
        runs.read_json(path)
    path.write_text('{"a":\n1,}')
    with pytest.raises(ValueError, match="value.json: Expected JSON. .* line 2 column"):
        runs.read_json(path)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match="value.json: Expected JSON"):
        runs.read_json(path)
    with pytest.raises(ValueError, match="Expected a file"):
        runs.read_json(path / "below")


def test_metrics_are_one_valid_json_line_an_epoch(run):
    assert runs.read_metrics(run) == []
    for epoch in range(3):
        runs.append_metrics(run, {"epoch": epoch, "loss": np.float32("nan"), "name": "a\nb"})
    lines = (run / runs.METRICS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == runs.read_metrics(run)
    assert runs.read_metrics(run)[2] == {"epoch": 2, "loss": None, "name": "a\nb"}


def test_keep_metrics_drops_later_epochs_and_a_broken_line(run):
    for epoch in range(4):
        runs.append_metrics(run, {"epoch": epoch})
    with open(run / runs.METRICS, "a") as file:
        file.write('{"epoch": 4, "lo')
    assert len(runs.read_metrics(run)) == 4
    runs.keep_metrics(run, epochs=2)
    runs.append_metrics(run, {"epoch": 2, "again": True})
    assert runs.read_metrics(run) == [{"epoch": 0}, {"epoch": 1}, {"epoch": 2, "again": True}]


def test_read_metrics_names_the_line_that_is_none(run):
    for lines in ('{"epoch": 0}\n{"loss": 1}\n', '{"epoch": 0}\n{"epoch": 1.0}\n'):
        (run / runs.METRICS).write_text(lines)
        with pytest.raises(ValueError, match="metrics.jsonl, line 2: .* an integer epoch"):
            runs.read_metrics(run)
    (run / runs.METRICS).write_text('{"epoch": 0}\n{"epo\n{"epoch": 2}\n')
    with pytest.raises(ValueError, match="metrics.jsonl, line 2: Expected JSON"):
        runs.read_metrics(run)


def test_read_dataset_gives_classes_and_preprocessing(run):
    path = run / runs.DATASET
    runs.write_json(path, {"classes": ["a", "b"], "preprocessing": {"height": 8}, "more": 1})
    assert runs.read_dataset(path) == (("a", "b"), {"height": 8})
    for stored in ([], {"classes": ["a"]}, {"classes": [1], "preprocessing": {}}):
        runs.write_json(path, stored)
        with pytest.raises(ValueError, match="classes and preprocessing. Received: .*dataset.json"):
            runs.read_dataset(path)


def test_alphas_come_back_as_they_were(run):
    normal, reduce = np.random.default_rng(0).normal(size=(2, 14, 8)).astype("float32")
    runs.save_alphas(run, normal, reduce)
    runs.save_alphas(run, reduce, normal)
    for expected, loaded in zip((reduce, normal), runs.load_alphas(run), strict=True):
        np.testing.assert_array_equal(expected, loaded, strict=True)
    assert {path.name for path in run.iterdir()} == {runs.CONFIG, runs.ALPHAS}


def test_load_alphas_rejects_other_files(run):
    path = run / runs.ALPHAS
    with pytest.raises(ValueError, match="arrays normal and reduce.*alphas.npz"):
        runs.load_alphas(run)
    for write in (
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(b"PK\x03\x04 truncated"),
        lambda: np.savez(path, normal=np.zeros(2)),
        lambda: np.savez(path, normal=np.array([{}]), reduce=np.array([{}])),  # pickled
    ):
        write()
        with pytest.raises(ValueError, match="arrays normal and reduce.*alphas.npz"):
            runs.load_alphas(run)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_replaced_files_have_ordinary_permissions(run):
    (run / "plain").write_text("x")
    assert (run / runs.CONFIG).stat().st_mode == (run / "plain").stat().st_mode


def test_times_of_epochs_that_are_done_again_count_again(run):
    assert runs.seconds_of(run) == 0
    for epoch, seconds in ((0, 2.5), (1, 1.0), (1, 1.25)):
        runs.append_time(run, epoch, seconds)
    with open(run / runs.TIMES, "a") as file:
        file.write('{"epoch": 2, "sec')
    runs.append_metrics(run, {"epoch": 0})
    runs.keep_metrics(run, epochs=1)
    runs.append_time(run, 1, 0.25)
    assert runs.seconds_of(run) == 5.0


@pytest.mark.parametrize("line", ['{"epoch": 0}', '{"epoch": 0, "seconds": -1}', "[1]", "nonsense"])
def test_times_name_the_line_that_is_none(run, line):
    (run / runs.TIMES).write_text('{"epoch": 0, "seconds": 1}\n' + line + "\n")
    with pytest.raises(ValueError, match="times.jsonl, line 2: Expected"):
        runs.seconds_of(run)
