"""TensorBoard output of a run; `tests/search/test_images.py` tests that of a whole search."""

from __future__ import annotations

import types

import keras
import numpy as np
import pytest
from event_file_reader import scalars_of, tags_of, values_of
from tensorboard.plugins.hparams import plugin_data_pb2

from darts_tf.configs import SearchConfig, TextSearchConfig, TrainConfig
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.spaces.search_spaces import DARTS, SPACES, recurrent_space
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES
from darts_tf.training import tensorboard
from darts_tf.training.tensorboard import Dashboard, tag_of

CELLS = [GENOTYPES["DARTS_V1"], GENOTYPES["DARTS_V1"], GENOTYPES["DARTS_V2"]]


def model(**parts):
    """Makes a stand-in for a trainer with the attributes that a dashboard reads."""
    alphas = [keras.Variable(np.zeros((14, 8)))] * 2
    network = types.SimpleNamespace(alphas=alphas, space=SPACES[DARTS], **parts)
    optimizer = keras.optimizers.Adam(0.25)
    return types.SimpleNamespace(network=network, arch_optimizer=optimizer, derived=CELLS[0])


def begun(folder, config=None, trainer=None):
    """Returns a dashboard of a run, and a function that simulates an epoch."""
    config = config or SearchConfig(workdir=folder, channels=24)
    board = Dashboard(config, types.SimpleNamespace(folder=folder, last_line=None))
    board.set_model(trainer or model())
    board.on_train_begin()

    def happen(epoch, cells=None, **metrics):
        board.on_epoch_begin(epoch)
        board.record.last_line = {"epoch": epoch, "loss": epoch + 0.5, **metrics}
        board.model.derived = cells or CELLS[epoch % 3]
        board.on_epoch_end(epoch)

    return board, happen


@pytest.fixture
def drawn(monkeypatch):
    """Collects the genotypes that are drawn; `test_pictures` tests the drawing."""
    genotypes = []
    png = tensorboard.picture(tensorboard.plot_genotype(CELLS[0]), "png")
    monkeypatch.setattr(tensorboard, "plot_genotype", genotypes.append)
    monkeypatch.setattr(tensorboard, "picture", lambda figure, format: png)
    return genotypes


def test_metrics_and_what_else_is_known_are_scalars_of_the_epochs_done(tmp_path, drawn):
    trainer = model(temperature=keras.Variable(3.0), drop_path_rate=None)
    board, happen = begun(tmp_path, trainer=trainer)
    for epoch in range(2):
        happen(epoch, valid_accuracy=0.5, gradient_norm=2.0, genotype="text", gone=None)
    scalars = scalars_of(tmp_path / "tensorboard")
    assert scalars.pop("cost/memory_gb")[1] > 0.01
    assert scalars == {
        "loss/train": {1: 0.5, 2: 1.5},
        "accuracy/valid": {1: 0.5, 2: 0.5},
        "gradient_norm/weights": {1: 2.0, 2: 2.0},
        "learning_rate/alphas": {1: 0.25, 2: 0.25},
        "schedule/temperature": {1: 3.0, 2: 3.0},
    }


def test_every_epoch_has_pictures_and_text_and_cells_are_drawn_when_they_change(tmp_path, drawn):
    _, happen = begun(tmp_path)
    for epoch in range(3):
        happen(epoch)
    folder = tmp_path / "tensorboard"
    for tag in ("alphas/normal", "alphas/reduce", "cells"):
        assert [step for step, _ in values_of(folder, tag)] == [1, 2, 3]
    assert drawn == [CELLS[0], CELLS[2]]
    texts = [value.item().decode() for _, value in values_of(folder, "genotype")]
    assert [str(cells) in text for cells, text in zip(CELLS, texts, strict=True)] == [True] * 3
    assert ["before" in text for text in texts] == [False, True, False]
    assert "5 of 16 edges changed" in texts[2]


def test_run_that_goes_back_or_on_has_every_epoch_once(tmp_path, drawn):
    board, happen = begun(tmp_path)
    for epoch in (0, 1, 2, 1, 2):
        happen(epoch, seconds=float(len(drawn)))
    board, happen = begun(tmp_path)  # another process, from an older checkpoint
    for epoch in (2, 3):
        happen(epoch)
    board.on_train_end()
    scalars = scalars_of(tmp_path / "tensorboard")
    assert scalars["loss/train"] == {1: 0.5, 2: 1.5, 3: 2.5, 4: 3.5}
    (start,) = values_of(tmp_path / "tensorboard", "_hparams_/session_start_info")
    assert start[0] == 0


def test_settings_and_end_are_hyperparameters(tmp_path, drawn, monkeypatch):
    hyperparameters = []
    monkeypatch.setattr(tensorboard.api, "hparams", hyperparameters.append)
    config = SearchConfig(workdir=tmp_path, channels=24, cells=6, stages=("3:8:0", "4:5:0"))
    board, happen = begun(tmp_path, config)
    happen(0)
    board.on_train_end()
    (settings,) = hyperparameters
    assert (settings["channels"], settings["arch_gradient"]) == (24, "second_order")
    assert "3:8" in settings["stages"]
    assert not {"workdir", "resume", "limit"} & set(settings)
    assert {type(value) for value in settings.values()} <= {str, int, float, bool}
    assert "_hparams_/session_end_info" in tags_of(tmp_path / "tensorboard")


def test_hyperparameters_are_read_back_by_tensorboards_own_classes(tmp_path, drawn):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board, happen = begun(tmp_path)
    happen(0)
    board.on_train_end()
    accumulated = EventAccumulator(str(tmp_path / "tensorboard"))
    accumulated.Reload()
    content = accumulated.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.hparams["channels"].number_value == 24
    content = accumulated.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    end = plugin_data_pb2.HParamsPluginData.FromString(content).session_end_info
    assert end.status == 1  # success


@pytest.mark.parametrize(
    "cells", [CELLS[2], next(iter(RECURRENT_GENOTYPES.values()))], ids=["images", "text"]
)
def test_training_has_its_cells_once_and_no_alphas(tmp_path, drawn, cells):
    cells.save(tmp_path / files.GENOTYPE)
    network = types.SimpleNamespace(drop_path_rate=keras.Variable(0.125))
    config = TrainConfig(workdir=tmp_path, genotype="DARTS_V2")
    board, happen = begun(tmp_path, config, types.SimpleNamespace(network=network))
    for epoch in range(2):
        board.on_epoch_begin(epoch)
        board.record.last_line = {"epoch": epoch, "test_accuracy": 0.75}
        board.on_epoch_end(epoch)
    folder = tmp_path / "tensorboard"
    assert drawn == [cells]
    assert [step for step, _ in values_of(folder, "cells")] == [0]
    assert scalars_of(folder)["schedule/drop_path_rate"] == {1: 0.125, 2: 0.125}
    assert not [tag for tag in tags_of(folder) if tag.startswith("alphas")]


def test_search_on_text_has_one_heat_map(tmp_path, drawn):
    trainer = model()
    trainer.network.alphas = [keras.Variable(np.zeros((36, 5)))]
    trainer.network.space = recurrent_space(8)
    _, happen = begun(tmp_path, TextSearchConfig(workdir=tmp_path), trainer)
    happen(0, cells=next(iter(RECURRENT_GENOTYPES.values())), valid_perplexity=99.0)
    tags = tags_of(tmp_path / "tensorboard")
    assert {tag for tag in tags if tag.startswith("alphas/")} == {"alphas/recurrent"}
    assert scalars_of(tmp_path / "tensorboard")["perplexity/valid"] == {1: 99.0}


@pytest.mark.parametrize(
    ("metric", "tag"),
    [
        ("loss", "loss/train"),
        ("top5_accuracy", "top5_accuracy/train"),
        ("test_top5_accuracy", "top5_accuracy/test"),
        ("arch_loss", "loss/alphas"),
        ("skips_normal", "cells/skips_normal"),
        ("something", "other/something"),
    ],
)
def test_tags_say_what_and_of_what(metric, tag):
    assert tag_of(metric) == tag


@pytest.mark.parametrize("text", ["", "10", "5,4", "0,3", "a,b", "1,2,3", "-1,2", "1.5,2"])
def test_steps_to_profile_that_cannot_be_are_refused(tmp_path, text):
    with pytest.raises(InputError, match="as in 10,15"):
        SearchConfig(workdir=tmp_path, profile_steps=text)


def test_steps_to_profile_are_counted_from_one(tmp_path):
    assert list(SearchConfig(workdir=tmp_path, profile_steps=" 2, 4").profiled()) == [2, 3, 4]
    assert not SearchConfig(workdir=tmp_path).profiled()
