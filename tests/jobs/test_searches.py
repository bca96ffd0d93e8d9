"""Whole searches as functions, and what they return."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from given_data import colored_arrays
from text_folders import counting_text

import darts_tf
from darts_tf.data import make_dataset
from darts_tf.errors import InputError
from darts_tf.runs.alphas import load_alphas
from darts_tf.spaces.derivation import derive_genotype
from darts_tf.spaces.search_spaces import SPACES
from darts_tf.training import images

ARRAYS = colored_arrays(40)
SMALL = {"preset": "tiny", "arch_gradient": "first_order", "batch_size": 8}


class Seen(keras.callbacks.Callback):
    epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1


@pytest.fixture(scope="module")
def found(one_node, tmp_path_factory):
    """Search on a `tf.data.Dataset`, in the free folder of another working directory."""
    folder = tmp_path_factory.mktemp("jobs")
    data = tf.data.Dataset.from_tensor_slices(ARRAYS).batch(16)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        seen = Seen()
        options = {**SMALL, "space": one_node, "epochs": 2, "verbose": 0, "callbacks": [seen]}
        search = darts_tf.search_cells(data, **options)
        assert str(search.workdir) == "runs/search-1"
        assert seen.epochs == 2
        yield search


def test_search_has_cells_history_and_data(found, one_node):
    alphas = load_alphas(found.workdir)
    assert found.genotype == derive_genotype(SPACES[one_node], alphas, "softmax")
    assert found.history["epoch"] == [0, 1]
    assert np.isfinite(found.history["arch_loss"]).all()
    assert (found.config.epochs, found.config.dataset) == (2, "(arrays)")
    assert found.config.limit == 64  # of the preset


def test_search_is_shown_as_a_line_and_as_a_picture(found):
    accuracy = found.history["valid_accuracy"][-1]
    assert repr(found) == (f"<Search on (arrays) in runs/search-1, valid_accuracy {accuracy:.4g}>")
    assert found._repr_svg_() == found.genotype._repr_svg_()
    assert found.plot(cell="normal")._repr_svg_() != found.plot_supernet()._repr_svg_()
    assert found.report().name == "report.html"


def test_finished_search_is_opened_from_its_folder(found):
    opened = darts_tf.open_run(found.workdir)
    assert (opened.genotype, opened.history) == (found.genotype, found.history)
    assert (type(opened), opened.data) == (darts_tf.Search, None)


def test_cells_are_derived_again_without_the_data(found, capsys):
    assert darts_tf.derive_cells(found) == darts_tf.derive_cells(str(found.workdir))
    cheap = darts_tf.derive_cells(found, budget="macs=1G", budget_channels=4)
    assert isinstance(cheap, darts_tf.Genotype)
    assert "of macs=1000000000: 4 channels" in capsys.readouterr().out
    with pytest.raises(InputError, match="Did you mean 'max_skips'"):
        darts_tf.derive_cells(found, max_skip=1)


def test_network_of_a_search_is_trained_on_its_data(found, monkeypatch, tmp_path):
    given = {}

    def train(config, genotype, dataset, callbacks):
        given.update(config=config, genotype=genotype, dataset=dataset)
        raise InterruptedError

    monkeypatch.setattr(images, "train", train)
    with pytest.raises(InterruptedError):
        darts_tf.train_network(found, preset="tiny", workdir=tmp_path / "train", verbose=0)
    assert given["genotype"] == found.genotype
    assert given["config"].genotype == "runs/search-1/genotype.json"
    expected = make_dataset(ARRAYS, limit=64)
    np.testing.assert_array_equal(given["dataset"].train.images, expected.train.images)
    with pytest.raises(InputError, match="data to train on.*Received: None"):
        darts_tf.train_network(str(found.workdir))  # only this program has the arrays


def test_search_that_has_ended_is_resumed_to_the_same(found, capsys):
    again = darts_tf.search_cells(ARRAYS, workdir=found.workdir, resume=True)
    assert again.genotype == found.genotype
    assert again.history == found.history
    printed = capsys.readouterr().out
    assert "(arrays): 32 training and 8 test images" in printed
    assert "search in runs/search-1: 2 epochs, batches of 8\n" in printed


def test_text_is_searched_in_the_same_way(tmp_path, capsys):
    text = counting_text(200)
    options = {**SMALL, "time_steps": 5, "units": 4, "workdir": tmp_path / "run", "verbose": 2}
    found = darts_tf.search_cells(text, **options)
    assert isinstance(found.genotype, darts_tf.RecurrentGenotype)
    assert found.config.dataset == "counting"
    assert "valid_perplexity" in repr(found)
    assert "valid_perplexity: " in capsys.readouterr().out
    assert "<svg" in found._repr_svg_()
    assert found.plot_supernet() is not None


def test_unknown_data_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for data, message in (("phtos/", "Received: "), (colored_arrays(3), "Received: 1 of '0'")):
        with pytest.raises(InputError, match=message):
            darts_tf.search_cells(data, **SMALL)
    assert list(tmp_path.iterdir()) == []
