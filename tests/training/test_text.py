"""Complete trainings of language models on a very short text."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from replica_trainers import mirrored
from stop_callbacks import Terminate
from text_folders import counting_text, write_texts

from darts_tf.configs import TextTrainConfig
from darts_tf.data import load_text
from darts_tf.errors import InputError
from darts_tf.runs import checkpoints, files
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.signals import Diverged, Interrupted
from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.training import text as training_text
from darts_tf.training.language_trainer import stalls
from darts_tf.training.text import evaluate, load_run, perplexity, train

DATASET = counting_text(2000)
CELL = RecurrentGenotype((("tanh", 0), ("relu", 1), ("sigmoid", 1)), (1, 2, 3))


def config(folder, **fields):
    settings = {"genotype": "three_nodes", "epochs": 4, "limit": None, "time_steps": 8}
    settings |= {"average_after": 1, "learning_rate": 10.0}
    return TextTrainConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "run"
    return folder, train(config(folder), CELL, DATASET)


def weights(folder):
    return load_run(folder)[0].get_weights()


def test_training_keeps_the_best_epoch(finished):
    folder, best = finished
    lines = read_metrics(folder)
    assert best == min(lines, key=lambda line: line["valid_loss"])
    model, vocabulary = load_run(folder)
    assert vocabulary == DATASET.vocabulary
    metrics = perplexity(model, DATASET.valid, batch_size=10)
    assert metrics["perplexity"] == pytest.approx(best["valid_perplexity"], rel=1e-5)
    assert metrics["perplexity"] < 3  # the vocabulary has 11 words
    assert set(files.NAMES) - {path.name for path in folder.iterdir()} == {
        *(
            files.ALPHAS,
            files.HISTORY,
            files.CONFIDENCE,
            files.SELECTION,
            files.PAGE,
            *files.OF_MANY,
            *files.STAGED,
        ),
        *(files.EVALUATION, files.EVALUATIONS),
    }


def test_perplexity_of_one_stream_is_of_every_word_from_all_before_it(finished):
    model, _ = load_run(finished[0])
    logits = np.asarray(model(DATASET.test[None, :-1]), np.float64)[0]
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    losses = -logits[np.arange(len(logits)), DATASET.test[1:]]
    metrics = perplexity(model, DATASET.test)
    assert metrics["words"] == len(DATASET.test) - 1
    assert metrics["perplexity"] == pytest.approx(np.exp(losses.mean()), rel=1e-5)
    fast = perplexity(model, DATASET.test, batch_size=7)
    assert fast["words"] == 7 * (len(DATASET.test) // 7 - 1)
    assert fast["perplexity"] == pytest.approx(metrics["perplexity"], rel=0.2)


def test_training_that_was_stopped_ends_as_one_that_was_not(finished, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(Interrupted, match="after step 2 of .* of epoch 3; everything is saved"):
        train(config(folder), CELL, DATASET, callbacks=(Terminate(epoch=2, batch=1),))
    train(config(folder, resume=True), CELL, DATASET)
    assert read_metrics(folder) == read_metrics(finished[0])
    for ours, theirs in zip(weights(folder), weights(finished[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    train(config(folder, resume=True), CELL, DATASET)  # a finished run does not change
    for ours, theirs in zip(weights(folder), weights(finished[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_finished_training_made_longer_ends_as_one_of_that_length(finished, tmp_path):
    folder = tmp_path / "run"
    train(config(folder, epochs=2), CELL, DATASET)
    assert (folder / files.MODEL).is_file()
    train(config(folder, resume=True), CELL, DATASET)  # the schedule is constant
    assert read_metrics(folder) == read_metrics(finished[0])
    for ours, theirs in zip(weights(folder), weights(finished[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert files.read_json(folder / files.CONFIG)["epochs"] == 4


@pytest.mark.parametrize(
    ("earlier", "loss", "expected"),
    [
        ([], 9.0, False),
        ([5.0, 4.0], 9.0, False),  # fewer earlier epochs than the patience
        ([5.0, 4.0, 3.0], 4.9, False),
        ([5.0, 4.0, 3.0], 5.1, True),
        ([3.0, 4.0, 5.0, 6.0], 3.5, True),
        ([3.0, 4.0, 5.0, 6.0], 3.0, False),
        ([3.0, 4.0, 5.0, 6.0], float("nan"), False),
    ],
)
def test_loss_stalls_above_the_least_one_of_two_epochs_ago_or_earlier(earlier, loss, expected):
    assert stalls(earlier, loss, 2) == expected


class Watch(keras.callbacks.Callback):
    """Records a weight after every step, by epoch, and optionally replaces the test losses."""

    def __init__(self, losses=()):
        super().__init__()
        self.losses, self.weights = losses, {}

    def on_epoch_begin(self, epoch, logs=None):
        self.weights[epoch] = []
        if self.losses:
            is_best = type(self.model).is_best
            replaced = {"val_loss": self.losses[epoch]}
            self.model.is_best = lambda epoch, logs: is_best(self.model, epoch, replaced)

    def on_train_batch_end(self, batch, logs=None):
        self.weights[self.epoch()].append(np.array(self.model.network.bias))

    def epoch(self):
        return max(self.weights)


def test_weights_are_averaged_once_the_loss_stalls(tmp_path):
    """Averages are over the steps after that epoch, up to the last step of the best epoch."""
    folder, watch = tmp_path / "run", Watch([5.0, 4.0, 4.5, 4.6, 3.5, 3.0, 3.5])
    train(config(folder, epochs=7, average_after=1), CELL, DATASET, callbacks=(watch,))
    assert "the validation loss stalls: averaging weights from epoch 5 on" in (
        (folder / files.LOG).read_text()
    )
    mean = np.mean([*watch.weights[4], *watch.weights[5]], 0)
    bias = np.array(load_run(folder)[0].bias)
    np.testing.assert_allclose(bias, mean, rtol=1e-5, atol=1e-6)
    assert np.abs(bias - watch.weights[5][-1]).max() > 1e-3
    averaged = perplexity(load_run(folder)[0], DATASET.valid, batch_size=10)["perplexity"]
    tested = read_metrics(folder)[5]["valid_perplexity"]  # of the averages after that epoch
    assert averaged == pytest.approx(tested, rel=1e-5)


@pytest.mark.slow
def test_without_averages_the_best_weights_are_kept_as_they_are(tmp_path):
    folder, watch = tmp_path / "run", Watch([5.0, 4.0, 4.5, 4.6])
    train(config(folder, average_after=None), CELL, DATASET, callbacks=(watch,))
    np.testing.assert_array_equal(np.array(load_run(folder)[0].bias), watch.weights[1][-1])
    assert checkpoints.read(folder / "checkpoints" / "best.npz")[0].epoch == 2


class Poison(keras.callbacks.Callback):
    """Sets a weight to NaN at the start of an epoch, `times` times."""

    def __init__(self, epoch, times):
        super().__init__()
        self.epoch, self.times = epoch, times

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch and self.times:
            self.times -= 1
            bias = self.model.network.bias
            bias.assign(np.full(bias.shape, np.nan))


@pytest.mark.slow
def test_run_goes_back_to_its_best_epoch_where_numbers_are_not_finite(tmp_path):
    folder = tmp_path / "run"
    callbacks = (Watch([5.0, 4.0, 4.5, 4.6]), Poison(3, times=1))
    settings = {"max_bad_steps": 2, "average_after": None}
    train(config(folder, **settings), CELL, DATASET, callbacks=callbacks)
    assert "rolling back to step 0 of epoch 3 with a lower" in (folder / files.LOG).read_text()
    lines = read_metrics(folder)
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    assert [line["learning_rate"] for line in lines] == pytest.approx([10, 10, 1, 1])
    newest = [checkpoints.read(p)[0].epoch for p in checkpoints.newest(folder / "checkpoints")]
    assert newest == sorted(newest, reverse=True)
    other = tmp_path / "other"
    with pytest.raises(Diverged, match="again after the run was rolled back once"):
        train(config(other, **settings), CELL, DATASET, callbacks=(Poison(1, times=2),))


@pytest.mark.slow
def test_two_devices_train_as_one(tmp_path, monkeypatch):
    strategies = {1: tf.distribute.get_strategy(), 2: mirrored(2)}
    monkeypatch.setattr(training_text, "make_strategy", lambda name, devices: strategies[devices])
    plain = {"epochs": 2, "weight_decay": 1e-3, "valid_batch_size": 4, "learning_rate": 1.0}
    dropouts = dict.fromkeys(config(tmp_path).dropouts, 0.0)
    results = []
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        train(config(folder, devices=devices, **plain, **dropouts), CELL, DATASET)
        results.append((weights(folder), read_metrics(folder)[-1]))
    (one, line), (two, other) = results
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert other["valid_perplexity"] == pytest.approx(line["valid_perplexity"], rel=1e-4)
    assert other["perplexity"] == pytest.approx(line["perplexity"], rel=1e-4)


def test_evaluate_reads_the_text_again(tmp_path):
    text = dict.fromkeys(("train", "valid", "test"), "a b c d " * 40)
    folder = write_texts(tmp_path / "text", **text)
    settings = {"epochs": 1, "batch_size": 4, "valid_batch_size": 4}
    train(config(tmp_path / "run", **settings), CELL, load_text(folder))
    metrics = evaluate(tmp_path / "run")
    assert metrics["test_words"] == 160
    assert metrics["test_perplexity"] == pytest.approx(np.exp(metrics["test_loss"]))
    assert evaluate(tmp_path / "run", limit=50)["test_words"] == 49
    with pytest.raises(InputError, match="expected at most 80 for a text of 161 words"):
        evaluate(tmp_path / "run", batch_size=81)
    write_texts(folder, **{**text, "test": "a b x"})
    with pytest.raises(InputError, match="Expected a text with the 5 words that the model was tr"):
        evaluate(tmp_path / "run")
    (tmp_path / "run" / files.VOCABULARY).write_text("a\nb\n")
    with pytest.raises(InputError, match="vocabulary of 5 words, as the model has. Rec.* with 2"):
        load_run(tmp_path / "run")


def test_settings_are_those_of_the_run(finished):
    kept = training_text.settings_of(finished[0])
    assert kept == dataclasses.replace(config(finished[0]), dataset="counting")
