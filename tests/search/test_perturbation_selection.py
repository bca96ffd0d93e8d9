"""Selection by perturbation on a run: with tuning between rounds, stopped and resumed."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from darts_tf.configs import SearchConfig
from darts_tf.data import evaluation_batches, load_dataset
from darts_tf.errors import InputError
from darts_tf.models.mixture import given_mixture, measuring
from darts_tf.runs import checkpoints, files
from darts_tf.runs.alphas import load_alphas, save_alphas
from darts_tf.runs.checkpoints import Position
from darts_tf.search import perturbation_selection
from darts_tf.search.darts import DARTS
from darts_tf.search.perturbation_selection import SelectionSettings, Tuning
from darts_tf.spaces.search_spaces import space_of

PRIMITIVES = ("none", "skip_connect", "max_pool_3x3", "dil_conv_3x3")
ROUNDS = 3  # two edges and a node


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=32)


class Mixed(keras.Model):
    """A mixture of linear models, with all that a selection uses of a supernet."""

    space = space_of(1, PRIMITIVES)

    def __init__(self):
        super().__init__()
        draw = keras.initializers.RandomNormal(stddev=0.1)
        self.alphas = [self.add_weight(shape=(2, 4), initializer=draw) for _ in range(2)]
        self.kernel = self.add_weight(shape=(2, 2, 4, 64, 10), initializer=draw)
        self.built = True

    @property
    def network_weights(self):
        return [self.kernel]

    def mixture(self):
        return [tf.nn.softmax(tf.convert_to_tensor(alphas)) for alphas in self.alphas]

    def call(self, x, training=False):
        mixture = tf.stack(given_mixture() or self.mixture())
        flat = tf.reshape(x, (-1, 64))
        return tf.einsum("ceo,ceoik,bi->bk", mixture[:, :, 1:], self.kernel[:, :, 1:], flat)


def built():
    """Builds a trainer of `Mixed`, with equal values in every call."""
    keras.utils.set_random_seed(3)
    trainer = DARTS(Mixed(), arch_gradient="first_order")
    cross = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile(keras.optimizers.SGD(0.1, 0.9), "adam", cross)
    return trainer


@pytest.fixture
def run(tmp_path):
    """Returns a run's folder with a checkpoint of `built()` and with different alphas."""
    trainer = built()
    arrays = [np.asarray(variable) for variable in trainer.state()]
    (tmp_path / files.CHECKPOINTS).mkdir()
    checkpoints.write(tmp_path / files.CHECKPOINTS, Position(1, 0, 2), {}, arrays)
    drawn = np.random.default_rng(0).normal(size=(2, 2, 4)).astype("float32")
    save_alphas(tmp_path, *drawn)
    return tmp_path


def config(folder):
    return SearchConfig.from_preset("tiny", workdir=folder, batch_size=8)


class Stopped(Exception):
    """Exception that stands for the end of a killed process."""


def select(folder, dataset, settings, rounds=ROUNDS):
    """Selects in a run until killed after `rounds`; returns the genotype and the rounds done."""
    done = []

    def report(line):
        done.append(line)
        if line["round"] == rounds < ROUNDS:
            raise Stopped

    genotype = None
    try:
        arguments = (config(folder), dataset, built, settings, report)
        genotype = perturbation_selection.select_again(*arguments)
    except Stopped:
        pass
    return genotype, done


def state(folder):
    (path,) = checkpoints.newest(folder / files.SELECTION)
    return checkpoints.read(path)[2]


def test_selection_that_was_stopped_ends_as_one_that_was_not(run, dataset, caplog):
    caplog.set_level("INFO", "darts_tf")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    whole, done = select(run, dataset, SelectionSettings(1, 0))
    assert [line["round"] for line in done] == [1, 2, 3]
    assert {line["rounds"] for line in done} == {ROUNDS}
    assert all(len(line["chosen"]) == 2 for line in done)
    assert done[-1]["seconds_left"] == 0 < done[0]["seconds_left"]
    assert any("normal edge" in message for message in caplog.messages)
    kept = state(run)
    assert {path: path.read_bytes() for path in before} == before  # the run has not changed

    assert select(run, dataset, SelectionSettings(1, 0)) == (whole, [])  # already complete
    for path in checkpoints.newest(run / files.SELECTION):
        path.unlink()
    assert select(run, dataset, SelectionSettings(1, 0), rounds=1)[0] is None
    again, done = select(run, dataset, SelectionSettings(1, 0))
    assert again == whole
    assert [line["round"] for line in done] == [2, 3]
    assert "resuming the selection after round 1" in caplog.messages
    for ours, theirs in zip(state(run), kept, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_selection_with_other_settings_begins_anew(run, dataset):
    for settings in (SelectionSettings(0, 0), SelectionSettings(0, 1)):
        _, done = select(run, dataset, settings, rounds=1)
        assert [line["round"] for line in done] == [1]
    alphas = [2 * array for array in load_alphas(run)]
    save_alphas(run, *alphas)
    _, done = select(run, dataset, SelectionSettings(0, 1), rounds=2)
    assert [line["round"] for line in done] == [1, 2]


def test_damaged_checkpoint_of_a_selection_begins_anew(run, dataset, caplog):
    select(run, dataset, SelectionSettings(0, 0), rounds=1)
    (path,) = checkpoints.newest(run / files.SELECTION)
    path.write_bytes(path.read_bytes()[:100])
    _, done = select(run, dataset, SelectionSettings(0, 0), rounds=1)
    assert [line["round"] for line in done] == [1]
    assert "trying the one before" in caplog.text


def test_selection_needs_a_checkpoint_of_the_network(run, dataset):
    (path,) = checkpoints.newest(run / files.CHECKPOINTS)
    checkpoints.write(path.parent, Position(1, 0, 2), {}, [np.zeros(3)])
    with pytest.raises(InputError, match="complete checkpoint of this search. Received: none in"):
        select(run, dataset, SelectionSettings(0, 0))


def test_selection_waits_for_no_other_process(run, dataset):
    with (
        perturbation_selection.locked(run),
        pytest.raises(InputError, match="no other process is running in"),
    ):
        select(run, dataset, SelectionSettings(0, 0))


def test_selection_of_several_workers_is_refused(run, dataset, monkeypatch):
    monkeypatch.setattr(perturbation_selection, "workers", lambda: 2)
    with pytest.raises(InputError, match="one worker for a selection. Received: 2"):
        select(run, dataset, SelectionSettings(0, 0))


def test_tuning_moves_the_weights_that_are_mixed_in_and_no_alphas(dataset, tmp_path):
    trainer, settings = built(), config(tmp_path)
    network = trainer.network
    tuning = Tuning(trainer, settings, dataset, dataset.train, SelectionSettings(1, 0), 2)
    skips = [np.tile(np.eye(4)[1], (2, 1)).astype("float32") for _ in range(2)]
    before, alphas = np.array(network.kernel), [np.array(a) for a in network.alphas]
    tuning.tune(0, skips)
    for variable, value in zip(network.alphas, alphas, strict=True):
        np.testing.assert_array_equal(variable, value)
    change = np.abs(network.kernel - before).max((0, 1, 3, 4))  # per primitive
    assert change[1] > 1e-3
    assert change[[0, 2, 3]].max() < 1e-5  # only weight decay
    assert float(tuning.tuner.optimizer.learning_rate) == pytest.approx(0.0025)
    tuning.tune(1, skips)
    assert float(tuning.tuner.optimizer.learning_rate) == pytest.approx((0.0025 + 0.001) / 2)


def test_tuning_lowers_the_loss_at_its_mixture(dataset, tmp_path):
    trainer = built()
    tuning = Tuning(trainer, config(tmp_path), dataset, dataset.train, SelectionSettings(8, 0), 1)
    mixture = [np.tile(np.eye(4)[2], (2, 1)).astype("float32") for _ in range(2)]
    batches = functools.partial(evaluation_batches, dataset.train, dataset.preprocessing, 32)
    measure = measuring(trainer.network, batches)
    _, before = measure(mixture)
    tuning.tune(0, mixture)
    assert measure(mixture)[1] < 0.9 * before
