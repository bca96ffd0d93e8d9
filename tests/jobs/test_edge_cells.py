"""Whole jobs in the space of NAS-Bench-201: search, derivation, training, test and export."""

from __future__ import annotations

import numpy as np
import pytest
from given_data import colored_arrays

import darts_tf
from darts_tf.configs import SearchConfig
from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.data import make_dataset
from darts_tf.errors import InputError
from darts_tf.models.counting import count_params
from darts_tf.search.images import plan_images
from darts_tf.spaces.genotype import EdgeGenotype
from darts_tf.spaces.search_spaces import NAS_BENCH_201

ARRAYS = colored_arrays(40)
SPACE = {"preset": "tiny", "space": NAS_BENCH_201, "batch_size": 8, "verbose": 0}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_budget_that_no_cell_meets_is_refused_before_the_search(tmp_path):
    config = SearchConfig(
        workdir=tmp_path, preset="tiny", space=NAS_BENCH_201, budget="params=100", batch_size=8
    )
    with pytest.raises(InputError, match="a budget of params=.* or more"):
        plan_images(config, make_dataset(ARRAYS))


def test_plan_derives_within_a_budget(tmp_path):
    settings = {"preset": "tiny", "space": NAS_BENCH_201, "batch_size": 8, "budget_channels": 4}
    config = SearchConfig(workdir=tmp_path, budget="params=6k", **settings)
    plan = plan_images(config, make_dataset(ARRAYS))
    trainer = plan.build()
    trainer.network.alphas[0].assign(np.eye(5)[[3] * 6])  # six 3x3 convolutions, too many
    genotype = plan.derive(trainer.network.alphas)
    assert isinstance(genotype, EdgeGenotype)
    classes = len(np.unique(ARRAYS[1]))
    network = darts_tf.build_network(genotype, 4, 1, classes)
    assert (
        count_params(network)
        <= 6000
        < count_params(darts_tf.build_network(EdgeGenotype(("nor_conv_3x3",) * 6), 4, 1, classes))
    )


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS.maps[-1])
def test_search_training_and_export_work_together(estimator):
    found = darts_tf.search_cells(
        ARRAYS, **SPACE, epochs=2, arch_gradient=estimator, discretisation_gap=True
    )
    assert isinstance(found.genotype, EdgeGenotype)
    assert found.config.cells == 1
    assert np.isfinite(found.history["arch_loss"]).all()
    assert found.plot_supernet()._repr_svg_() != found.plot()._repr_svg_()
    smaller = darts_tf.derive_cells(found, budget="params=30k", max_skips=1, verbose=0)
    assert smaller.operations.count("skip_connect") <= 1
    trained = darts_tf.train_network(found, preset="tiny", verbose=0, drop_path=0.1)
    assert trained.network.genotype == found.genotype
    assert trained.evaluate()["test_images"] > 0
    exported = trained.export(formats=["tflite"])
    assert exported.report["genotype"] == {"operations": list(found.genotype.operations)}
    assert "<svg" in trained.report().read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"partial_channels": 2},
        {"relaxation": "sigmoid"},
        {"relaxation": "gumbel"},
        {"perturb": "random", "op_dropout": 0.2, "regularizer": "beta-decay"},
        {"stages": ("1:5:0", "2:3:0.2")},
        {"selection": "perturbation", "selection_epochs": 1},
        {"cost": "macs", "stop_skips": 5, "stop_eigenvalue": True},
        {"restart_every": 1, "epochs": 3, "stop_operations": 0.4},
    ],
)
def test_variants_of_searches_derive_a_cell(settings):
    found = darts_tf.search_cells(ARRAYS, **SPACE, arch_gradient="first_order", **settings)
    assert isinstance(found.genotype, EdgeGenotype)
    assert "Skip connections in the cell" in found.report().read_text()
