"""Whole searches on a very short text."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from kill_and_resume import assert_same_run
from stop_callbacks import Terminate
from text_folders import counting_text

from darts_tf.configs import TextSearchConfig
from darts_tf.data import segment_steps
from darts_tf.errors import InputError
from darts_tf.models.recurrent_supernet import RecurrentSupernet
from darts_tf.runs import checkpoints, files
from darts_tf.runs.alphas import load_alphas, load_history
from darts_tf.runs.confidence import load_confidence
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.signals import Interrupted
from darts_tf.search import text
from darts_tf.search.text import search_text
from darts_tf.spaces.derivation import derive_recurrent
from darts_tf.spaces.zoo import load_genotype

DATASET = counting_text()


def config(folder, **fields):
    settings = {"arch_gradient": "first_order", "epochs": 3, "limit": None, "time_steps": 8}
    settings["eigenvalue"] = True
    return TextSearchConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


@pytest.fixture(scope="module")
def three_nodes():
    """Searches of this module have cells of three nodes, whose graphs have a third of the size."""
    small = functools.partial(RecurrentSupernet, nodes=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "RecurrentSupernet", small)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, three_nodes):
    folder = tmp_path_factory.mktemp("search") / "run"
    lines = []
    return folder, search_text(config(folder), DATASET, report=lines.append), lines


def test_search_leaves_a_whole_run_folder(finished):
    folder, genotype, lines = finished
    assert load_genotype(folder / files.GENOTYPE, recurrent=True) == genotype
    (alphas,) = load_alphas(folder)
    assert alphas.shape == (6, 5)
    assert np.abs(alphas).max() > 1e-2  # the alphas have changed
    assert derive_recurrent(alphas) == genotype
    assert [line["epoch"] for line in lines] == [0, 1, 2] == list(load_history(folder))
    assert all(np.isfinite(line["eigenvalue"]) for line in lines)
    assert all(0 < line["entropy_recurrent"] <= np.log(5) + 1e-6 for line in lines)
    assert (folder / files.VOCABULARY).read_text().split() == list(DATASET.vocabulary.words)
    absent = {files.MODEL, files.SELECTION, files.PAGE, *files.OF_MANY, *files.STAGED}
    absent |= {files.EVALUATION, files.EVALUATIONS, files.CONFIDENCE}
    kept = set(files.NAMES) - absent
    assert {path.name for path in folder.iterdir()} == kept


def test_search_learns_and_tells_perplexities(finished):
    first, *_, last = finished[2]
    for line in (first, last):
        assert line["perplexity"] == pytest.approx(np.exp(line["loss"]), rel=1e-6)
        assert line["valid_perplexity"] == pytest.approx(np.exp(line["valid_loss"]), rel=1e-6)
        assert line["learning_rate"] == 10
    assert last["valid_perplexity"] < first["valid_perplexity"]


@pytest.mark.slow  # the default suite has this test for a training
def test_search_that_was_stopped_ends_as_one_that_was_not(finished, tmp_path):
    """Stops in the second epoch, whose number of steps differs from the first's."""
    folder = tmp_path / "run"
    drawn = {"bptt": 8, "spread": 0.0, "seed": 0}
    steps = [segment_steps(DATASET.train, 8, epoch=epoch, **drawn) for epoch in range(3)]
    assert len(set(steps)) > 1
    with pytest.raises(Interrupted, match=f"after step 3 of {steps[1]} of epoch 2; everything"):
        search_text(config(folder), DATASET, callbacks=(Terminate(epoch=1, batch=2),))
    (newest, *_) = checkpoints.newest(folder / files.CHECKPOINTS)
    position = checkpoints.read(newest)[0]
    assert (position.epoch, position.step) == (1, 3)
    search_text(dataclasses.replace(config(folder), resume=True), DATASET)
    assert read_metrics(folder) == read_metrics(finished[0])
    for ours, theirs in zip(load_alphas(folder), load_alphas(finished[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_resumed_search_on_another_text_is_refused(finished):
    again = config(finished[0], resume=True)
    with pytest.raises(InputError, match="'counting', but its text changed since then$"):
        search_text(
            again, dataclasses.replace(counting_text(seed=1), vocabulary=DATASET.vocabulary)
        )
    with pytest.raises(InputError, match="Received: one with other words and vocabulary"):
        search_text(again, counting_text(words=500, period=12))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 101}, "batch_size to be at most 100, .* words of valid. Received: .*=101"),
        (
            {"valid_batch_size": 150},
            "valid_batch_size to be at most 100, so that each",
        ),
        ({"batch_size": 9, "devices": 2}, "batch_size to be a multiple of the 2 replicas"),
        ({"valid_batch_size": 9, "devices": 2}, "valid_batch_size to be a multiple of the 2"),
    ],
)
def test_streams_that_cannot_be_write_nothing(tmp_path, fields, message):
    with pytest.raises(InputError, match=message) as error:
        search_text(config(tmp_path / "run", **fields), DATASET)
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_weights_restart_and_a_stopped_search_ends_as_one_that_was_not(three_nodes, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    settings = {"restart_every": 1, "restart_warmup": 1, "eigenvalue": False}
    search_text(config(whole, **settings), DATASET)
    lines = read_metrics(whole)
    assert [line["restart"] for line in lines] == [0, 1, 2]
    assert len({line["learning_rate"] for line in lines}) == 1
    assert lines[-1]["undecided"] <= 3
    genotype = load_genotype(whole / files.GENOTYPE, recurrent=True)
    assert load_confidence(whole, genotype).starts == 3
    with pytest.raises(Interrupted):
        search_text(config(stopped, **settings), DATASET, callbacks=(Terminate(1, 0),))
    search_text(config(stopped, **settings, resume=True), DATASET)
    assert_same_run(stopped, whole)
