"""The trainer against the numbers of the PyTorch reference, in float64."""

from __future__ import annotations

import pytest
import tensorflow as tf
from golden_data import (
    ALPHAS,
    FOLDER,
    OTHER_MOMENTA,
    SMALL_SEARCH,
    TRAJECTORY,
    Golden,
    reference_trainer,
    values,
)
from mostly_slow import mostly_slow
from numerics import assert_close

from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.models.supernet import Supernet

EXACT, DIFFERENCE = 1e-8, 1e-5
GOLDEN_NAMES = {  # gradients of an estimator, its loss, and the supported tolerance
    "first_order": ("first_order_{}", "loss_valid", EXACT),
    "second_order": ("second_order_exact_{}", "unrolled_loss_valid", EXACT),
    "finite_difference": (
        "second_order_finite_difference_{}",
        "unrolled_loss_valid",
        DIFFERENCE,
    ),
}


def assert_golden(estimate, golden, name):
    numbers, loss, tolerance = GOLDEN_NAMES[name]
    assert_close(estimate[0], golden[loss], EXACT)
    assert_close(estimate[1], golden.alphas(numbers), tolerance)


@pytest.mark.usefixtures("graph_optimizer")
@pytest.mark.parametrize(
    ("golden_search", "name"),
    [
        (SMALL_SEARCH, "second_order"),
        pytest.param(SMALL_SEARCH, "first_order", marks=pytest.mark.slow),
        *(
            pytest.param(search, name, marks=pytest.mark.slow)
            for search in OTHER_MOMENTA
            for name in ("first_order", "second_order")
        ),
    ],
    indirect=["golden_search"],
)
def test_arch_gradients_are_those_of_the_reference(golden_search, name):
    trainer = golden_search.trainer
    trainer.arch_gradient = name
    estimate = trainer.arch_gradients(golden_search.train, golden_search.valid)
    assert_golden(estimate, golden_search.golden, name)


@pytest.mark.slow
@pytest.mark.usefixtures("graph_optimizer")
@pytest.mark.parametrize("golden_search", [SMALL_SEARCH, *OTHER_MOMENTA], indirect=True)
def test_train_step_is_that_of_the_reference(golden_search, monkeypatch):
    """Compares the finite difference, and the alphas and weights after the step."""
    golden, supernet = golden_search.golden, golden_search.supernet
    trainer, estimates = golden_search.trainer, []
    trainer.arch_gradient = "finite_difference"
    estimate = trainer.arch_gradients
    record = lambda *batches: estimates.append(estimate(*batches)) or estimates[0]  # noqa: E731
    monkeypatch.setattr(trainer, "arch_gradients", record)
    before = values(supernet.alphas) + values(supernet.network_weights)
    trainer.train_step((golden_search.train, golden_search.valid))
    assert_golden(estimates[0], golden, "finite_difference")
    after = values(supernet.alphas) + values(supernet.network_weights)
    weights = golden_search.ours(golden.section("weights_after_step"))
    expected = golden.alphas("{}_after_step") + weights
    assert_close(after, expected, EXACT)
    moved, should = ([a - b for a, b in zip(x, before, strict=True)] for x in (after, expected))
    assert_close(moved, should, DIFFERENCE)


@pytest.mark.usefixtures("float64")
@mostly_slow(1, "name", ["finite_difference", "first_order", "second_order"])
def test_trajectory_is_that_of_the_reference(name):
    """Compares alphas, loss and the weights' norm after each of 20 steps.

    Steps have momentum, decay and clipping, and the learning rate decays.
    """
    golden = Golden(FOLDER / f"{TRAJECTORY}.npz")
    meta, rates = golden.meta, golden["learning_rates"]
    assert meta["arch_adam_epsilon"] == 1e-8  # the default of Adam
    assert meta["steps"] == len(rates) == 20
    assert rates[-1] < rates[0] / 2
    supernet = Supernet(meta["channels"], meta["cells"], meta["classes"])
    trainer = reference_trainer(supernet, meta, rates[0], arch_gradient=name)
    load_reference_weights(
        supernet, {**golden.section("weights"), **{each: golden[each] for each in ALPHAS}}
    )
    step = tf.function(trainer.train_step, autograph=False)
    clipped = 0
    for i, rate in enumerate(rates):
        trainer.optimizer.learning_rate = rate
        trainer.reset_metrics()
        batches = [[tf.constant(golden[f"{k}_{h}"][i]) for k in "xy"] for h in ("train", "valid")]
        loss = step(batches)["loss"]
        norm = tf.linalg.global_norm(trainer.read(supernet.network_weights))
        for actual, which in zip(
            (*supernet.alphas, loss, norm), (*ALPHAS, "train_loss", "weights_norm"), strict=True
        ):
            assert_close(actual, golden[f"{name}/{which}"][i], EXACT)
        clipped += float(trainer.gradient_norms()["gradient_norm"]) > meta["grad_clip"]
    assert clipped > 10
