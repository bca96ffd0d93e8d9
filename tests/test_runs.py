"""The run folder: nothing half written, nothing of the user's lost."""

from __future__ import annotations

import json
import os
import pathlib

import numpy as np
import pytest

from darts_tf import configs, files, runs


@pytest.fixture
def run(tmp_path) -> pathlib.Path:
    """A folder in which a run has begun."""
    folder = runs.create(tmp_path / "run")
    config = configs.SearchConfig(workdir=folder)
    runs.write_json(folder / runs.CONFIG, config.to_dict())
    return folder


# Making and replacing the folder


def test_create_makes_new_folders_and_takes_empty_ones(tmp_path):
    folder = runs.create(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert runs.create(folder) == runs.create(str(folder), overwrite=True) == folder


def test_create_refuses_a_folder_with_files_and_names_the_way_out(run):
    before = sorted(run.iterdir())
    with pytest.raises(ValueError, match="new or empty folder .or --overwrite, or --resume"):
        runs.create(run)
    assert sorted(run.iterdir()) == before


def test_create_refuses_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(ValueError, match="to be a folder. Received: the file"):
            runs.create(tmp_path / "file", **options)
    assert (tmp_path / "file").read_text() == "x"


def test_create_with_overwrite_deletes_an_earlier_run_and_only_links_to_others(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("x")
    (run / runs.CHECKPOINTS).mkdir()
    (run / runs.CHECKPOINTS / "1").write_text("x")
    (run / "tensorboard").symlink_to(tmp_path / "elsewhere")
    (run / ".model.keras.abc123").mkdir()
    assert runs.create(run, overwrite=True) == run
    assert list(run.iterdir()) == []
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_create_with_overwrite_keeps_a_folder_with_anything_else_in_it(run):
    (run / "thesis.tex").write_text("x")
    runs.append_metrics(run, {"epoch": 0})
    before = sorted(run.iterdir())
    with pytest.raises(ValueError, match="nothing but the run to overwrite.*thesis.tex"):
        runs.create(run, overwrite=True)
    assert sorted(run.iterdir()) == before


@pytest.mark.parametrize("config", [None, "", "[]", "3", '{"name": "another program"}', "\x00"])
@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_create_leaves_folders_that_are_no_runs(tmp_path, option, config):
    (tmp_path / runs.GENOTYPE).write_text("x")
    if config is not None:
        (tmp_path / runs.CONFIG).write_text(config)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"to hold a run to {option}, with its config.json"):
        runs.create(tmp_path, **{option: True})
    assert sorted(tmp_path.iterdir()) == before


def test_create_with_resume_keeps_the_run_as_it_is(run):
    before = (run / runs.CONFIG).read_bytes()
    assert runs.create(run, resume=True) == run
    assert (run / runs.CONFIG).read_bytes() == before
    with pytest.raises(ValueError, match="to hold a run to resume"):
        runs.create(run / "nothing", resume=True)
    assert not (run / "nothing").exists()


# A run's settings


class _Dataset:
    name = "digits"
    classes = ("0", "1")

    class preprocessing:
        @staticmethod
        def to_dict():
            return {"height": 8}


def test_begin_describes_the_run_and_what_it_runs_on(tmp_path):
    config = configs.SearchConfig(workdir=tmp_path / "run", channels=4)
    folder = runs.begin(config, _Dataset)
    assert configs.SearchConfig.from_dict(runs.read_json(folder / runs.CONFIG)) == config
    assert runs.read_json(folder / runs.DATASET) == {
        **{"name": "digits", "classes": ["0", "1"], "preprocessing": {"height": 8}}
    }
    assert runs.is_run(folder)


def test_settings_of_a_resumed_run_are_those_it_began_with(run):
    given = configs.SearchConfig(workdir=run, channels=99)
    assert runs.settings(given) is given
    resumed = runs.settings(configs.SearchConfig(workdir=run, channels=99, resume=True))
    assert resumed == configs.SearchConfig(workdir=run, resume=True)


def test_resume_refuses_another_dataset_and_changes_nothing(tmp_path):
    folder = runs.begin(configs.SearchConfig(workdir=tmp_path / "run"), _Dataset)
    resumed = configs.SearchConfig(workdir=folder, resume=True)
    assert runs.begin(resumed, _Dataset) == folder
    before = (folder / runs.DATASET).read_bytes()

    class Renamed(_Dataset):
        classes = ("0", "2")

    with pytest.raises(ValueError, match="the run was begun with.*other classes"):
        runs.begin(resumed, Renamed)
    assert (folder / runs.DATASET).read_bytes() == before


def test_check_refuses_a_folder_below_a_file_and_makes_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="Expected workdir to be a folder.*file"):
        runs.check(tmp_path / "file" / "run")
    assert runs.check(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()


def test_settings_of_another_kind_of_run_are_refused(run):
    config = configs.TrainConfig(workdir=run, genotype="DARTS_V2", resume=True)
    with pytest.raises(ValueError, match="config.json: Expected field to be one of"):
        runs.settings(config)


def test_existing_names_the_missing_file(run):
    assert runs.existing(run, runs.CONFIG) == run / runs.CONFIG
    with pytest.raises(ValueError, match="with the file model.keras. Received: .*run'"):
        runs.existing(run, runs.MODEL)


# Files


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail_halfway():
        with files.replacing(path) as written:
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
    with pytest.raises(ValueError, match="value.json: expected JSON. .* line 2 column"):
        runs.read_json(path)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match="value.json: expected JSON"):
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
