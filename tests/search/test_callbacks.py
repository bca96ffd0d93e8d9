"""Indicators measured after every epoch of a search, and the end of an early-stopped search."""

from __future__ import annotations

import dataclasses
import types

import keras
import numpy as np
import pytest
from numerics import assert_close

from darts_tf.configs import SearchConfig, TextSearchConfig
from darts_tf.data import load_dataset
from darts_tf.models.mixture import projected
from darts_tf.models.supernet import Supernet
from darts_tf.register import forget, register_space
from darts_tf.runs import checkpoints, files
from darts_tf.runs.alphas import load_alphas, load_history
from darts_tf.runs.metrics import read_metrics
from darts_tf.search import images
from darts_tf.search.callbacks import warn_of_collapse
from darts_tf.search.eigenvalues import hessian_products
from darts_tf.search.indicators import INDICATORS, Measure, Probes, asked_of_cells, asked_of_text
from darts_tf.spaces.collapse import BOUNDED
from darts_tf.spaces.derivation import derive, mean_entropy
from darts_tf.spaces.zoo import load_genotype

PRIMITIVES = ("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3")
SKIP = PRIMITIVES.index("skip_connect")


# Indicators


@pytest.fixture(scope="module")
def supernet():
    network = Supernet(channels=2, cells=3, classes=3, nodes=2, primitives=PRIMITIVES)
    for alphas in network.alphas:
        alphas.assign(np.random.default_rng(5).normal(size=alphas.shape))
    return network


def test_skips_and_entropies_are_those_of_the_alphas(supernet):
    probes = Probes(product=None)
    genotype = supernet.genotype()
    found = INDICATORS["skips"](supernet, probes) | INDICATORS["entropy"](supernet, probes)
    for i, cell in enumerate(("normal", "reduce")):
        pairs = getattr(genotype, cell)
        assert found[f"skips_{cell}"] == sum(name == "skip_connect" for name, _ in pairs)
        assert found[f"entropy_{cell}"] == pytest.approx(mean_entropy(supernet.alphas[i]))


def test_eigenvalue_is_that_of_the_product(supernet):
    size = sum(np.size(alphas) for alphas in supernet.alphas)
    matrix = np.diag(np.linspace(-3, 2, size))
    probes = Probes(product=lambda vector: matrix @ vector)
    found = INDICATORS["eigenvalue"](supernet, probes)
    assert found == {"eigenvalue": pytest.approx(2, rel=2e-3)}


def test_gap_is_between_the_mixture_and_the_genotype(supernet):
    seen = []

    def measure(mixture):
        seen.append([np.asarray(part) for part in mixture])
        return (0.75, 1.0) if len(seen) == 1 else (0.5, 2.0)

    found = INDICATORS["discretisation_gap"](supernet, Probes(None, measure))
    assert found == {"discretised_accuracy": 0.5, "discretisation_gap": 0.25}
    before, after = seen
    for ours, expected in zip(before, supernet.mixture(), strict=True):
        np.testing.assert_array_equal(ours, expected)
    for rows, pairs in zip(
        after, (supernet.genotype().normal, supernet.genotype().reduce), strict=True
    ):
        assert rows.sum() == len(pairs) == 4
        assert set(np.unique(rows)) == {0, 1}
        assert not rows[:, 0].any()


def test_projected_mixture_weighs_kept_edges_as_a_whole():
    network = Supernet(4, 3, 3, nodes=2, primitives=PRIMITIVES, partial_channels=2)
    mixture = network.mixture()
    normal, _, edges_normal, edges_reduce = projected(network.genotype(), mixture, network.space)
    assert edges_normal.tolist() == normal.sum(1).tolist()
    assert edges_reduce.sum() == 4


def test_indicators_are_asked_for_by_settings():
    config = SearchConfig(workdir="run")
    assert asked_of_cells(config) == ["skips", "entropy"]
    for name in ("eigenvalue", "stop_eigenvalue"):
        asked = asked_of_cells(dataclasses.replace(config, **{name: True}))
        assert asked == ["skips", "entropy", "eigenvalue"]
    assert "discretisation_gap" in asked_of_cells(
        dataclasses.replace(config, discretisation_gap=True)
    )
    assert asked_of_text(TextSearchConfig(workdir="run", eigenvalue=True)) == [
        "entropy",
        "eigenvalue",
    ]


def test_measure_adds_what_is_asked_for_to_the_metrics(supernet):
    measure = Measure(["skips", "entropy"], Probes(product=None))
    measure.set_model(types.SimpleNamespace(network=supernet))
    logs = {"loss": 1.0}
    measure.on_epoch_end(0, logs)
    names = {f"{kind}_{cell}" for kind in ("skips", "entropy") for cell in ("normal", "reduce")}
    assert set(logs) == {"loss", *names}


def test_collapse_is_warned_of(caplog):
    genotype = load_genotype("DARTS_V2")
    warn_of_collapse(genotype)
    assert caplog.messages == []
    normal = [("skip_connect", 0), ("skip_connect", 1)] * 4
    warn_of_collapse(dataclasses.replace(genotype, normal=normal))
    assert "the normal cell is 8 of 8 skip connections: this search has collapsed" in caplog.text
    caplog.clear()
    warn_of_collapse(dataclasses.replace(genotype, normal=normal), "macs=1M")
    assert caplog.messages == [f"the normal cell is 8 of 8 skip connections: {BOUNDED}"]


# Whole searches


class LikeSkips(keras.callbacks.Callback):
    """Makes a search collapse after an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        """Sets the alphas so that only skip connections are derived from the next epoch on."""
        if epoch == self.epoch:
            alphas = self.model.network.alphas[0]
            alphas.assign(9 * np.tile(np.eye(4)[SKIP], (2, 1)))


@pytest.fixture(scope="module")
def small():
    """Registers a space with cells of one node and returns its name."""
    register_space("small", nodes=1, primitives=PRIMITIVES)
    yield "small"
    forget("space", "small")


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=32)


def config(folder, **fields):
    settings = {"arch_gradient": "first_order", "epochs": 5, "batch_size": 8, "stop_skips": 1}
    settings["space"] = "small"
    return SearchConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


@pytest.fixture(scope="module")
def stopped(small, dataset, tmp_path_factory):
    """Runs a search with all indicators, which collapses in its third epoch."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    settings = config(folder, eigenvalue=True, discretisation_gap=True)
    return folder, settings, images.search_images(settings, dataset, callbacks=(LikeSkips(1),))


def test_stopped_search_keeps_the_last_good_epoch(stopped):
    folder, _, genotype = stopped
    lines, kept_alphas = read_metrics(folder), load_history(folder)
    assert [line["epoch"] for line in lines] == [0, 1, 2] == list(kept_alphas)
    assert lines[2]["skips_normal"] == 2
    kept = max(line["epoch"] for line in lines if line["skips_normal"] <= 1)
    assert kept < 2
    assert genotype == derive(*kept_alphas[kept], primitives=PRIMITIVES)
    assert load_genotype(folder / files.GENOTYPE) == genotype
    for ours, expected in zip(load_alphas(folder), kept_alphas[kept], strict=True):
        np.testing.assert_array_equal(ours, expected)
    log = (folder / files.LOG).read_text()
    assert "the search was stopped after epoch 3: the normal cell has 2 skip connections" in log
    assert f"the genotype is that of epoch {kept + 1}" in log


def test_stopped_search_does_not_go_on(stopped, dataset):
    folder, settings, genotype = stopped
    before = (folder / files.METRICS).read_bytes()
    newest = checkpoints.newest(folder / files.CHECKPOINTS)
    again = images.search_images(dataclasses.replace(settings, resume=True), dataset)
    assert again == genotype
    assert (folder / files.METRICS).read_bytes() == before
    assert checkpoints.newest(folder / files.CHECKPOINTS) == newest


def test_watched_search_writes_all_indicators(stopped):
    folder, *_ = stopped
    for line in read_metrics(folder):
        assert np.isfinite(line["eigenvalue"])
        assert 0 <= line["entropy_normal"] <= np.log(4) + 1e-6
        assert 0 <= line["discretised_accuracy"] <= 1
        assert {"entropy_reduce", "skips_reduce", "discretisation_gap"} <= set(line)


def test_history_is_that_of_the_checkpoints(stopped):
    """Compares the alphas of the last epoch, which the callback did not change."""
    folder, *_ = stopped
    arrays = checkpoints.read(checkpoints.newest(folder / files.CHECKPOINTS)[0])[2]
    for alphas in load_history(folder)[2]:
        assert any(a.shape == alphas.shape and np.array_equal(a, alphas) for a in arrays)


@pytest.mark.slow
def test_eigenvalue_and_gap_are_of_the_alphas_images(small, dataset, tmp_path):
    """Compares with the trainer's own losses and accuracies on these images."""
    settings = config(tmp_path, eigenvalue=True)
    keras.utils.set_random_seed(0)
    trainer = images.build_trainer(settings, 10, 1)
    half = dataset.train
    probes = images.probes_of(trainer, settings, lambda _: (half, half), dataset.preprocessing)
    mixture = [np.asarray(part) for part in trainer.network.mixture()]
    x = dataset.preprocessing.normalize(half.images)
    logits = np.asarray(trainer.network(x, training=True))  # uses the statistics of the batch
    accuracy, _ = probes.measure(mixture)
    assert accuracy == pytest.approx(np.mean(logits.argmax(1) == half.labels))
    vector = np.random.default_rng(0).normal(size=16)
    batch = x[:8], half.labels[:8]

    def loss(alphas):
        return trainer.loss_at(trainer.read(trainer.weights_to_train), alphas, batch)

    expected = hessian_products(loss, trainer.network.alphas)(vector)
    assert_close(probes.product(vector), expected, 1e-4)


def test_limit_on_skips_is_that_of_the_genotype_and_not_of_what_is_counted(
    small, dataset, tmp_path
):
    """Runs a search that collapses and is not stopped."""
    folder = tmp_path / "run"
    settings = config(folder, stop_skips=None, max_skips=1, epochs=2)
    genotype = images.search_images(settings, dataset, callbacks=(LikeSkips(0),))
    assert read_metrics(folder)[1]["skips_normal"] == 2
    assert sum(name == "skip_connect" for name, _ in genotype.normal) == 1
    assert load_genotype(folder / files.GENOTYPE) == genotype
    alphas = load_alphas(folder)
    assert genotype == derive(*alphas, primitives=PRIMITIVES, max_skips=1)


@pytest.mark.slow
def test_selection_by_perturbation_ends_a_search(small, dataset, tmp_path):
    folder, rounds = tmp_path / "run", []
    fields = {"selection": "perturbation", "selection_epochs": 0, "epochs": 1, "stop_skips": None}
    settings = config(folder, **fields)
    genotype = images.search_images(settings, dataset, report_selection=rounds.append)
    assert [line["round"] for line in rounds] == [1, 2, 3]
    assert load_genotype(folder / files.GENOTYPE) == genotype
    assert (folder / files.SELECTION).is_dir()
    assert "normal node 2: inputs" in (folder / files.LOG).read_text()
    again = images.search_images(dataclasses.replace(settings, resume=True), dataset)
    assert again == genotype
