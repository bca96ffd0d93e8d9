"""Searches whose weights start anew while the alphas go on, on very little data."""

from __future__ import annotations

import functools
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from kill_and_resume import assert_same_run
from replica_trainers import batches, made, mirrored
from stop_callbacks import Terminate
from stopped_searches import assert_stopped_ends_as_whole

from darts_tf.configs import SearchConfig, TextSearchConfig
from darts_tf.data import load_dataset, split_halves
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs.alphas import load_history
from darts_tf.runs.confidence import confidence_of, contributions, load_confidence
from darts_tf.runs.metrics import read_metrics
from darts_tf.runtime.signals import Interrupted
from darts_tf.search.darts import DARTS
from darts_tf.search.images import build_trainer, plan_images, search_images
from darts_tf.search.restarts import check_warmup, restart_weights
from darts_tf.spaces.derivation import derive_genotype
from darts_tf.spaces.search_spaces import NAS_BENCH_201, SPACES
from darts_tf.spaces.zoo import load_genotype
from darts_tf.training.loop import Stepper
from darts_tf.training.schedules import rate_at

pytestmark = pytest.mark.usefixtures("one_node")

EVERYTHING = {
    **{"relaxation": "gumbel", "regularizer": "beta-decay", "op_dropout": 0.5},
    **{"partial_channels": 2, "restart_warmup": 1},
}


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=32)


def config(folder, **fields):
    settings = {
        **{"arch_gradient": "first_order", "epochs": 6, "batch_size": 8, "space": "one_node"},
        **{"restart_every": 2},
    }
    return SearchConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


class Recorded(keras.callbacks.Callback):
    """Callback that records, before every step, the weights, and whether the alphas move."""

    def __init__(self):
        super().__init__()
        self.weights, self.moves, self.alphas, self.velocities = [], [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        network = self.model.network
        self.weights.append([v.numpy() for v in network.network_weights])
        self.velocities.append([v.numpy() for v in self.model.optimizer.momentums])
        self.alphas.append([v.numpy() for v in network.alphas])
        self.moves.append(self.model.moves_alphas)


@pytest.fixture(scope="module")
def restarted(dataset, tmp_path_factory):
    folder, recorded = tmp_path_factory.mktemp("restarted") / "run", Recorded()
    traces, step = [], DARTS.train_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DARTS, "train_step", lambda *args: traces.append(1) or step(*args))
        search_images(config(folder, restart_warmup=1), dataset, callbacks=(recorded,))
    return folder, recorded, len(traces)


def distance(ones, others):
    return np.mean([np.abs(a - b).mean() for a, b in zip(ones, others, strict=True)])


def test_weights_start_anew_and_alphas_go_on(restarted):
    """Two steps an epoch: step 4 is the first after the restart."""
    _, recorded, _ = restarted
    weights, alphas = recorded.weights, recorded.alphas
    moved = distance(weights[3], weights[2])
    assert distance(weights[4], weights[3]) > 3 * moved
    assert distance(weights[4], weights[0]) > 3 * moved  # other initial values
    for ours, first in zip(weights[4], weights[0], strict=True):
        assert ours.shape == first.shape
        if first.std() > 0:
            assert ours.std() == pytest.approx(first.std(), rel=0.6)
        else:
            np.testing.assert_array_equal(ours, first)
    assert not any(velocity.any() for velocity in recorded.velocities[4])
    assert any(velocity.any() for velocity in recorded.velocities[3])
    assert 0 < distance(alphas[4], alphas[3]) < 0.01


def test_first_steps_of_every_start_leave_the_alphas(restarted):
    _, recorded, _ = restarted
    assert recorded.moves == [False, True, True, True] * 3
    for step in (0, 4, 8):
        for before, after in zip(recorded.alphas[step], recorded.alphas[step + 1], strict=True):
            np.testing.assert_array_equal(before, after)


def test_confidence_is_stored_when_there_are_enough_sets_of_weights(restarted):
    """Two epochs a set: the third set begins in the fifth epoch."""
    folder, *_ = restarted
    lines = read_metrics(folder)
    assert ["undecided" in line for line in lines] == [False] * 4 + [True] * 2
    genotype = load_genotype(folder / files.GENOTYPE)
    found = load_confidence(folder, genotype)
    assert (found.starts, found.resamples) == (3, 200)
    space = SPACES["one_node"]
    parts = contributions(load_history(folder), 2)
    expected = confidence_of(genotype, parts, lambda alphas: derive_genotype(space, alphas))
    assert found == expected
    assert lines[-1]["undecided"] == found.undecided
    assert lines[-1]["confidence"] == pytest.approx(np.mean(found.all_shares))


def test_metrics_have_the_number_of_restarts_and_rates_start_again(restarted):
    lines = read_metrics(restarted[0])
    assert [line["restart"] for line in lines] == [0, 0, 1, 1, 2, 2]
    assert [line["learning_rate"] for line in lines] == pytest.approx([0.025, 0.013] * 3)
    assert sorted(load_history(restarted[0])) == list(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_stopped_search_ends_as_one_that_was_not(restarted, dataset, tmp_path, epoch):
    """Stops in the epoch before a restart, in the warm-up after it, and later."""
    stopped, settings = tmp_path / "stopped", {"restart_warmup": 1}
    with pytest.raises(Interrupted):
        search_images(config(stopped, **settings), dataset, callbacks=(Terminate(epoch, 0),))
    search_images(config(stopped, **settings, resume=True), dataset)
    assert_same_run(stopped, restarted[0])


@pytest.mark.slow
def test_more_epochs_are_more_restarts(restarted, dataset, tmp_path):
    folder = tmp_path / "run"
    search_images(config(folder, restart_warmup=1, epochs=2), dataset)
    search_images(config(folder, restart_warmup=1, resume=True), dataset)
    assert_same_run(folder, restarted[0])


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["second_order", "finite_difference"])
def test_every_kind_of_search_is_resumed_exactly(dataset, tmp_path, estimator):
    settings = {**EVERYTHING, "arch_gradient": estimator}
    assert_stopped_ends_as_whole(tmp_path, dataset, config, epoch=2, **settings)


def test_restart_is_the_same_in_every_process_and_leaves_the_rest(tmp_path):
    settings = config(tmp_path, perturb="random")
    keras.utils.set_random_seed(0)
    trainer = build_trainer(settings, 10, 1)
    network = trainer.network
    network.perturb_radius.assign(0.2)
    trainer.optimizer.iterations.assign(7)
    statistics = [v for v in network.non_trainable_variables if v.name == "moving_mean"]
    values = []
    for seed, number, chaos in ((3, 1, 0), (3, 1, 1), (3, 2, 2), (4, 1, 3)):
        random.seed(chaos)
        for variable in statistics:
            variable.assign(np.full(variable.shape, 5.0))
        state, alphas = random.getstate(), [a.numpy() for a in network.alphas]
        restart_weights(trainer, seed, number)
        assert random.getstate() == state
        for before, after in zip(alphas, network.alphas, strict=True):
            np.testing.assert_array_equal(before, after)
        values.append(np.concatenate([v.numpy().ravel() for v in network.network_weights]))
        assert float(network.perturb_radius) == pytest.approx(0.2)
        assert not any(v.numpy().any() for v in statistics)
    assert int(trainer.optimizer.iterations) == 7
    np.testing.assert_array_equal(values[0], values[1])
    assert (values[0] != values[2]).mean() > 0.9
    assert (values[0] != values[3]).mean() > 0.9


@pytest.mark.parametrize("space", ["one_node", pytest.param(NAS_BENCH_201, marks=pytest.mark.slow)])
def test_restart_lets_stopped_operations_learn_again(tmp_path, space):
    trainer = build_trainer(config(tmp_path, space=space, stop_operations=0.4), 10, 1)
    stop = trainer.operation_stop
    for variable, value in ((stop.agreement, 0.5), (stop.counted, 3.0), (stop.active, 0.0)):
        variable.assign(np.full(variable.shape, value))
    assert float(stop.stopped()) > 0
    restart_weights(trainer, seed=3, number=1)
    for variable, expected in ((stop.agreement, 0), (stop.counted, 0), (stop.active, 1)):
        np.testing.assert_array_equal(variable.numpy(), expected)


@pytest.mark.parametrize("estimator", [pytest.param("second_order", marks=pytest.mark.slow)])
def test_replicas_restart_as_one_device(estimator):
    """Before the restart the devices' trainers differ in nothing but rounding; after it as well."""
    found = []
    for strategy in (tf.distribute.get_strategy(), mirrored(2)):
        trainer = made(strategy, estimator)
        steps = Stepper(trainer, trainer.train_step)
        for number in (0, 1):
            if number:
                restart_weights(trainer, seed=3, number=number)
                copies = [v.value for v in trainer.network.network_weights]
                for copy in copies if strategy.num_replicas_in_sync > 1 else ():
                    first, second = strategy.experimental_local_results(copy)
                    np.testing.assert_array_equal(first, second)
            steps(iter(batches(strategy, seed=number)))
        found.append(np.concatenate([v.numpy().ravel() for v in trainer.trained_variables()]))
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)


def test_halves_of_every_start_are_others_and_what_is_held_out_follows(dataset, tmp_path):
    settings = config(tmp_path)
    feed = plan_images(settings, dataset).feed
    assert [feed.renewed(epoch) for epoch in range(6)] == [True, False] * 3

    def images(batches):
        return {bytes(image.tobytes()) for x, _ in batches for image in x.numpy()}

    halves = [split_halves(dataset.train, settings.seed, number) for number in (0, 1)]
    shared = [len(images_of(a) & images_of(b)) for a, b in zip(*halves, strict=True)]
    assert max(shared) < 16
    for number in (0, 1):
        expected = dataset.preprocessing.normalize(halves[number][1].images).numpy()
        held_out = np.concatenate([x.numpy() for x, _ in feed.test(2 * number + 1)])
        np.testing.assert_array_equal(held_out, expected)
        assert len(list(feed.train(start=(2 * number, 0)))) == 4  # up to the next restart
        assert len(list(feed.train(start=(2 * number + 1, 1)))) == 1


def images_of(split):
    return {image.tobytes() for image in split.images}


def test_batches_after_a_restart_come_from_their_halves(dataset, tmp_path):
    settings = config(tmp_path, crop_padding=0)
    feed = plan_images(settings, dataset).feed
    for number in (0, 1):
        halves = split_halves(dataset.train, settings.seed, number)
        known = [
            {row.tobytes() for row in dataset.preprocessing.normalize(half.images).numpy()}
            for half in halves
        ]
        for pair in feed.train(start=(2 * number, 0)):
            for (x, _), half in zip(pair, known, strict=True):
                assert {row.tobytes() for row in x.numpy()} <= half


def test_restart_traces_no_step_again(restarted):
    """Two traces: steps with and without an update of the alphas."""
    assert restarted[2] == 2


def test_schedule_starts_again_after_every_restart():
    settings = SearchConfig(workdir="unused", epochs=6, restart_every=3, schedule_per="step")
    rates = [rate_at(settings, epoch, step, 2) for epoch in range(6) for step in range(2)]
    once = SearchConfig(workdir="unused", epochs=3, schedule_per="step")
    expected = [rate_at(once, epoch, step, 2) for epoch in range(3) for step in range(2)]
    assert rates == expected * 2


@pytest.mark.parametrize("kind", [SearchConfig, TextSearchConfig])
def test_settings_that_cannot_be_are_refused(kind, dataset, tmp_path):
    make = functools.partial(kind, workdir=tmp_path / "run")
    with pytest.raises(InputError, match="restart_every to be positive"):
        make(restart_every=0)
    with pytest.raises(
        InputError, match="below the 2 steps of an epoch. Received: restart_warmup=2"
    ):
        check_warmup(make(restart_warmup=2), 2)


def test_warm_up_of_a_whole_epoch_writes_nothing(dataset, tmp_path):
    with pytest.raises(InputError, match="restart_warmup to be below the 2 steps"):
        search_images(config(tmp_path / "run", restart_warmup=2), dataset)
    assert not (tmp_path / "run").exists()
