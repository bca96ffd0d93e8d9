"""Whole searches with other relaxations, regularisers and perturbations, on very little data."""

from __future__ import annotations

import numpy as np
import pytest
from stopped_searches import assert_stopped_ends_as_whole

from darts_tf.configs import SearchConfig
from darts_tf.data import load_dataset
from darts_tf.runs.alphas import load_alphas
from darts_tf.runs.metrics import read_metrics
from darts_tf.search.images import search_images
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.search_spaces import SPACES

pytestmark = pytest.mark.usefixtures("one_node")

DRNAS = {"relaxation": "dirichlet", "arch_gradient": "second_order"}
EVERYTHING = {"relaxation": "gumbel", "regularizer": "beta-decay", "op_dropout": 0.5}
CHOICES = (
    {"relaxation": "sigmoid", "partial_channels": 2},
    {"perturb": "random", "op_dropout": 0.3},
    {"relaxation": "dirichlet"},
)


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits", limit=32)


def config(folder, **fields):
    settings = {"arch_gradient": "first_order", "epochs": 2, "batch_size": 8, "space": "one_node"}
    return SearchConfig.from_preset("tiny", workdir=folder, **{**settings, **fields})


@pytest.mark.parametrize(
    "choice",
    [CHOICES[0], *(pytest.param(choice, marks=pytest.mark.slow) for choice in CHOICES[1:])],
    ids=lambda choice: "-".join(choice),
)
def test_search_with_the_choice_ends_with_its_genotype(dataset, tmp_path, choice):
    folder = tmp_path / "run"
    genotype = search_images(config(folder, epochs=1, **choice), dataset)
    alphas = load_alphas(folder)
    assert all(np.isfinite(a).all() for a in alphas)
    names = SPACES["one_node"].candidates
    relaxation = choice.get("relaxation", "softmax")
    assert derive(*alphas, relaxation=relaxation, edge_primitives=names) == genotype
    (line,) = read_metrics(folder)
    assert np.isfinite([line["loss"], line["arch_loss"], line["valid_loss"]]).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "choice", [EVERYTHING, DRNAS, {"space": "s4"}], ids=["gumbel", "dirichlet", "noise"]
)
def test_random_search_that_was_stopped_ends_as_one_that_was_not(dataset, tmp_path, choice):
    """Stops in the second epoch, whose temperature, rates and draws differ from the first's."""
    message = "after step 1 of 2 of epoch 2"
    assert_stopped_ends_as_whole(tmp_path, dataset, config, message=message, **choice)
