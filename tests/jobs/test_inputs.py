"""What jobs are given: data in all forms, genotypes, folders, settings."""

from __future__ import annotations

import dataclasses

import pytest
import tensorflow as tf
from given_data import ONE_NODE, colored_arrays

from darts_tf.configs import SearchConfig, TextTrainConfig, TrainConfig
from darts_tf.data import load_text, make_dataset
from darts_tf.errors import InputError
from darts_tf.jobs.inputs import (
    cells_of,
    data_of,
    free_folder,
    loaded,
    name_of,
    settings_of,
    suited,
    workdir_of,
)
from darts_tf.jobs.searches import Search
from darts_tf.runs.folder import started_run
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

ARRAYS = colored_arrays(30)
DATASET = tf.data.Dataset.from_tensor_slices(ARRAYS).batch(10)


def settings(data, **given):
    return settings_of(SearchConfig, data, None, "run", given)


@pytest.mark.parametrize("data", [ARRAYS, DATASET, (ARRAYS, ARRAYS), (DATASET, DATASET)])
def test_arrays_have_a_name_of_their_own(data):
    config = settings(data)
    assert config.dataset == name_of(data) == "(arrays)"
    sizes = (24, 6) if data is ARRAYS or data is DATASET else (30, 30)
    dataset = loaded(config, data)
    assert (dataset.train.size, dataset.test.size) == sizes


def test_settings_of_the_run_reach_the_data():
    config = settings(ARRAYS, limit=6, image_size=12)
    dataset = loaded(config, ARRAYS)
    assert (dataset.train.size, dataset.preprocessing.height) == (6, 12)
    assert loaded(settings("digits", limit=20), "digits").train.size == 20


def test_data_sets_are_taken_as_they_are():
    dataset = make_dataset(ARRAYS, name="mine")
    assert loaded(settings(dataset, limit=6), dataset) is dataset
    assert settings(dataset).dataset == "mine"


def test_texts_have_settings_of_their_own():
    for data in ("pydoc", load_text("pydoc", limit=100)):
        config = settings_of(TrainConfig, data, "tiny", "run", {"units": 8}, genotype="DARTS_V2")
        assert isinstance(config, TextTrainConfig)
        assert (config.dataset, config.units, config.epochs) == ("pydoc", 8, 1)
        assert len(loaded(config, data).train) in (100, 2000)


@pytest.mark.parametrize(
    ("kind", "epochs"),
    [(SearchConfig, (33, 50)), (TrainConfig, (75, 100))],
    ids=["search", "train"],
)
def test_settings_of_photos_follow_their_number_and_size(kind, epochs):
    arrays = colored_arrays(60, size=16)
    genotype = {"genotype": "DARTS_V2"} if kind is TrainConfig else {}
    config = settings_of(kind, arrays, None, "run", {}, **genotype)
    assert (config.preset, config.flip) == ("photos", True)
    dataset = loaded(config, arrays)
    own = suited(config, dataset, {})
    assert own.batch_size == 8  # of 24 or 48 images an epoch
    assert epochs[0] <= own.epochs <= epochs[1]
    assert own.crop_padding == 2
    given = suited(dataclasses.replace(config, epochs=3), dataset, {"epochs": 3, "flip": True})
    assert (given.epochs, given.batch_size) == (3, 8)


def test_batch_of_other_presets_is_no_larger_than_the_data():
    config = settings_of(SearchConfig, ARRAYS, "tiny", "run", {})
    dataset = loaded(config, ARRAYS)
    assert (config.batch_size, suited(config, dataset, {}).batch_size) == (16, 12)
    assert suited(config, dataset, {"batch_size": 16}) == config
    assert suited(config, dataset, {}).epochs == config.epochs
    assert settings_of(SearchConfig, "digits", None, "run", {}).preset == "digits"


def test_folders_are_stored_by_their_full_path(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    assert settings("photos").dataset == str(tmp_path / "photos")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 3}, "Did you mean 'epochs'"),
        ({"epochs": 0}, "epochs to be positive"),
        ({"preset": "tinny"}, "Did you mean 'tiny'"),
        ({"resume": True}, "workdir, the folder of the run to resume"),
        ({"resume": True, "workdir": "nothing"}, "to hold a run to resume"),
        ({"data": 3}, r"arrays \(x, y\), a tf.data.Dataset.*Received: 3"),
    ],
)
def test_wrong_settings_are_refused(given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {"data": ARRAYS, "preset": None, "workdir": None, **given}
    given = {name: value for name, value in own.items() if name in ("epoch", "epochs", "resume")}
    with pytest.raises(InputError, match=message):
        settings_of(SearchConfig, own["data"], own["preset"], own["workdir"], given)
    assert list(tmp_path.iterdir()) == []


def test_resumed_run_has_its_own_settings(tmp_path):
    stored = SearchConfig(workdir=tmp_path / "run", dataset="digits", channels=4, epochs=2)
    with started_run(stored, None):
        pass
    config = settings_of(SearchConfig, "digits", None, tmp_path / "run", {"resume": True})
    assert (config.channels, config.epochs, config.resume) == (4, 2, True)


def test_folder_is_the_first_free_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2, 3):
        assert str(free_folder("search")) == f"runs/search-{number}"
        free_folder("search").mkdir(parents=True)
    assert str(free_folder("train")) == "runs/train-1"
    assert str(settings_of(SearchConfig, ARRAYS, None, None, {}).workdir) == "runs/search-4"


def test_cells_are_found_in_results_folders_files_and_names(tmp_path):
    config = SearchConfig(workdir=tmp_path / "run", dataset="digits")
    with started_run(config, None, ONE_NODE) as folder:
        pass
    path = str(folder / "genotype.json")
    search = Search(ONE_NODE, {}, folder, config, ARRAYS)
    assert cells_of(search) == (ONE_NODE, path, ARRAYS)
    assert cells_of(folder) == (ONE_NODE, path, "digits")
    assert cells_of(path) == (ONE_NODE, path, "digits")
    ONE_NODE.save(tmp_path / "mine.json")
    assert cells_of(tmp_path / "mine.json").data is None
    assert cells_of(ONE_NODE) == (ONE_NODE, None, None)
    assert cells_of("DARTS_V2").genotype == GENOTYPES["DARTS_V2"]
    assert cells_of("DARTS_V2", on_text=True).genotype == RECURRENT_GENOTYPES["DARTS_V2"]
    assert (data_of(search, config), data_of(folder, config)) == (ARRAYS, "digits")
    assert workdir_of(search) == workdir_of(str(folder)) == folder


def test_cells_of_arrays_come_without_data(tmp_path):
    config = SearchConfig(workdir=tmp_path / "run", dataset="(arrays)")
    with started_run(config, None, ONE_NODE) as folder:
        pass
    assert cells_of(folder).data is None
    with pytest.raises(InputError, match="arrays that a program has given"):
        loaded(config, data_of(folder, config))


@pytest.mark.parametrize("source", [None, 3, ["DARTS_V2"]])
def test_something_else_is_no_genotype(source):
    with pytest.raises(InputError, match="the result of a search, a genotype, its name"):
        cells_of(source)


def test_folder_without_a_genotype_is_no_genotype(tmp_path):
    with pytest.raises(InputError, match="with the file genotype.json"):
        cells_of(tmp_path)
    with pytest.raises(InputError, match="a result or the folder of a run. Received: 3"):
        workdir_of(3)
