"""The files of a run: whole or absent, valid JSON, and read with care."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
import pytest

from darts_tf import configs
from darts_tf.runs import files
from darts_tf.runs.alphas import load_alphas, save_alphas
from darts_tf.runs.metrics import (
    append_metrics,
    append_time,
    keep_metrics,
    read_metrics,
    seconds_of,
)
from darts_tf.runtime import atomic


@pytest.fixture
def run(tmp_path) -> pathlib.Path:
    """A folder in which a run has begun."""
    config = configs.SearchConfig(workdir=tmp_path / "run")
    files.write_json(config.workdir / files.CONFIG, config.to_dict())
    return config.workdir


# Which folder is a run


def test_is_run_where_the_settings_of_one_are(run, tmp_path):
    assert files.is_run(run)
    assert files.is_run(str(run))
    assert not files.is_run(tmp_path)
    assert not files.is_run(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "[]", "3", '{"name": "another program"}', "\x00"])
def test_is_run_nowhere_else(run, text):
    (run / files.CONFIG).write_text(text)
    assert not files.is_run(run)


def test_existing_names_the_missing_file(run):
    assert files.existing(run, files.CONFIG) == run / files.CONFIG
    with pytest.raises(ValueError, match="with the file model.keras. Received: .*run'"):
        files.existing(run, files.MODEL)


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
    files.write_json(path, value | {"bad": [float("nan"), np.float64("inf")]})
    assert files.read_json(path) == {
        **{"loss": 0.5, "steps": 3, "sizes": [0, 1], "1": str(tmp_path), "bad": [None, None]}
    }


def test_read_json_names_the_file_and_the_position(tmp_path):
    path = tmp_path / "value.json"
    with pytest.raises(ValueError, match="Expected a file.*value.json"):
        files.read_json(path)
    path.write_text('{"a":\n1,}')
    with pytest.raises(ValueError, match="value.json: Expected JSON. .* line 2 column"):
        files.read_json(path)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match="value.json: Expected JSON"):
        files.read_json(path)
    with pytest.raises(ValueError, match="Expected a file"):
        files.read_json(path / "below")


def test_metrics_are_one_valid_json_line_an_epoch(run):
    assert read_metrics(run) == []
    for epoch in range(3):
        append_metrics(run, {"epoch": epoch, "loss": np.float32("nan"), "name": "a\nb"})
    lines = (run / files.METRICS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == read_metrics(run)
    assert read_metrics(run)[2] == {"epoch": 2, "loss": None, "name": "a\nb"}


def test_keep_metrics_drops_later_epochs_and_a_broken_line(run):
    for epoch in range(4):
        append_metrics(run, {"epoch": epoch})
    with open(run / files.METRICS, "a") as file:
        file.write('{"epoch": 4, "lo')
    assert len(read_metrics(run)) == 4
    keep_metrics(run, epochs=2)
    append_metrics(run, {"epoch": 2, "again": True})
    assert read_metrics(run) == [{"epoch": 0}, {"epoch": 1}, {"epoch": 2, "again": True}]


def test_read_metrics_names_the_line_that_is_none(run):
    for lines in ('{"epoch": 0}\n{"loss": 1}\n', '{"epoch": 0}\n{"epoch": 1.0}\n'):
        (run / files.METRICS).write_text(lines)
        with pytest.raises(ValueError, match="metrics.jsonl, line 2: .* an integer epoch"):
            read_metrics(run)
    (run / files.METRICS).write_text('{"epoch": 0}\n{"epo\n{"epoch": 2}\n')
    with pytest.raises(ValueError, match="metrics.jsonl, line 2: Expected JSON"):
        read_metrics(run)


def test_read_dataset_gives_classes_and_preprocessing(run):
    path = run / files.DATASET
    files.write_json(path, {"classes": ["a", "b"], "preprocessing": {"height": 8}, "more": 1})
    assert files.read_dataset(path) == (("a", "b"), {"height": 8})
    for stored in ([], {"classes": ["a"]}, {"classes": [1], "preprocessing": {}}):
        files.write_json(path, stored)
        with pytest.raises(ValueError, match="classes and preprocessing. Received: .*dataset.json"):
            files.read_dataset(path)


def test_alphas_come_back_as_they_were(run):
    normal, reduce = np.random.default_rng(0).normal(size=(2, 14, 8)).astype("float32")
    save_alphas(run, normal, reduce)
    save_alphas(run, reduce, normal)
    for expected, loaded in zip((reduce, normal), load_alphas(run), strict=True):
        np.testing.assert_array_equal(expected, loaded, strict=True)
    assert {path.name for path in run.iterdir()} == {files.CONFIG, files.ALPHAS}


def test_load_alphas_rejects_other_files(run):
    path = run / files.ALPHAS
    with pytest.raises(ValueError, match="arrays normal and reduce.*alphas.npz"):
        load_alphas(run)
    for write in (
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(b"PK\x03\x04 truncated"),
        lambda: np.savez(path, normal=np.zeros(2)),
        lambda: np.savez(path, normal=np.array([{}]), reduce=np.array([{}])),  # pickled
    ):
        write()
        with pytest.raises(ValueError, match="arrays normal and reduce.*alphas.npz"):
            load_alphas(run)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_replaced_files_have_ordinary_permissions(run):
    (run / "plain").write_text("x")
    assert (run / files.CONFIG).stat().st_mode == (run / "plain").stat().st_mode


def test_times_of_epochs_that_are_done_again_count_again(run):
    assert seconds_of(run) == 0
    for epoch, seconds in ((0, 2.5), (1, 1.0), (1, 1.25)):
        append_time(run, epoch, seconds)
    with open(run / files.TIMES, "a") as file:
        file.write('{"epoch": 2, "sec')
    append_metrics(run, {"epoch": 0})
    keep_metrics(run, epochs=1)
    append_time(run, 1, 0.25)
    assert seconds_of(run) == 5.0


@pytest.mark.parametrize("line", ['{"epoch": 0}', '{"epoch": 0, "seconds": -1}', "[1]", "nonsense"])
def test_times_name_the_line_that_is_none(run, line):
    (run / files.TIMES).write_text('{"epoch": 0, "seconds": 1}\n' + line + "\n")
    with pytest.raises(ValueError, match="times.jsonl, line 2: Expected"):
        seconds_of(run)
