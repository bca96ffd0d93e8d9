"""The trainer against the numbers of the PyTorch reference, in float64."""

from __future__ import annotations

import pytest
from golden_data import OTHER_MOMENTA, SEARCHES, SMALL_SEARCH, values
from numerics import assert_close

pytestmark = pytest.mark.usefixtures("graph_optimizer")

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
golden_searches = pytest.mark.parametrize("golden_search", SEARCHES, indirect=True)


def assert_golden(estimate, golden, name):
    numbers, loss, tolerance = GOLDEN_NAMES[name]
    assert_close(estimate[0], golden[loss], EXACT)
    assert_close(estimate[1], golden.alphas(numbers), tolerance)


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


@golden_searches
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
    assert_close(moved, should, 1e-5)  # Keras keeps Adam's beta in float32, whatever the dtype
