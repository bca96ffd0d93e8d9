"""Language models and their bilevel step against the PyTorch reference, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from golden_data import FOLDER, Golden
from numerics import assert_close
from recurrent_golden import batches, golden_search, shared_trainer

from darts_tf.models.language_model import build_language_model
from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.spaces.zoo import RECURRENT_GENOTYPES

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def trainer():
    return shared_trainer()


def continued(trainer):
    """Returns both batches with their hidden states."""
    pairs = zip(("train", "valid"), batches(golden_search()), strict=True)
    return [trainer.continued(name, batch) for name, batch in pairs]


def test_evaluation_model():
    golden = Golden(FOLDER / "rnn_eval_darts_v2.npz")
    model = build_language_model(
        RECURRENT_GENOTYPES[golden.meta["genotype"]], golden.meta["vocab"], golden.meta["units"]
    )
    load_reference_weights(model, golden.section("weights"))
    logits, state = model(golden["x"], initial_state=golden["hidden"], return_state=True)
    assert_close(tf.nn.log_softmax(logits), golden["log_prob"], 1e-10)
    assert_close(state, golden["hidden_after"], 1e-10)


def test_supernet(trainer):
    golden, (x, _) = golden_search(), continued(trainer)
    outputs = trainer.call(x[0], training=True)
    assert_close(tf.nn.log_softmax(outputs["logits"]), golden["log_prob"], 1e-10)
    assert_close(outputs["state"], golden["hidden_after_train"], 1e-10)


def test_first_order_gradient(trainer, monkeypatch):
    monkeypatch.setattr(trainer, "arch_gradient", "first_order")
    loss, gradients = trainer.arch_gradients(*continued(trainer))
    assert_close(loss, golden_search()["loss_valid"], 1e-10)
    assert_close(gradients, [golden_search()["first_order_alphas"]], 1e-8)


def test_finite_difference_with_the_clipping_of_the_reference(trainer, monkeypatch):
    """Repeats a flaw of the reference, whose virtual model does not update the shared matrix.

    Embedding and classifier share that matrix. The state dict of the virtual model has it twice,
    and loads the old value last. Here the matrix is updated.
    """
    step, held = trainer.virtual_step, []

    @tf.custom_gradient
    def kept(moved):
        return tf.identity(held[0]), lambda upstream: upstream

    def virtual_step(weights, gradients):
        assert trainer.weights_to_train[0] is trainer.network.embedding
        held.append(weights[0])
        first, *others = step(weights, gradients)
        return [kept(first), *others]

    monkeypatch.setattr(trainer, "arch_gradient", "finite_difference")
    monkeypatch.setattr(trainer, "virtual_step", virtual_step)
    _, gradients = trainer.arch_gradients(*continued(trainer))
    expected = golden_search()["second_order_finite_difference_alphas"]
    assert_close(gradients, [expected], 1e-5)


def test_exact_gradient_is_the_slope_of_the_unrolled_loss(trainer):
    """Compares with a central difference along a direction, with a clipped virtual step."""
    train, valid = continued(trainer)
    train, valid = (*train, tf.constant(4.0)), (*valid, tf.constant(4.0))
    weights = trainer.read(trainer.weights_to_train)
    (alphas,) = trainer.read(trainer.network.alphas)
    loss = trainer.loss_of(valid)
    gradients = tf.linalg.global_norm(_train_gradients(loss, weights, alphas, train))
    assert gradients > trainer.clip_norm

    def unrolled(alphas):
        step = trainer.virtual_step(weights, _train_gradients(loss, weights, alphas, train))
        return float(loss(step, [alphas], valid))

    _, (exact,) = trainer.arch_gradients(train, valid)
    direction = np.random.default_rng(0).normal(size=alphas.shape)
    direction /= np.linalg.norm(direction)
    step = 1e-5 * direction
    slope = (unrolled(alphas + step) - unrolled(alphas - step)) / 2e-5
    assert slope == pytest.approx(float(np.vdot(exact, direction)), rel=1e-5, abs=1e-8)


def _train_gradients(loss, weights, alphas, batch):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        value = loss(weights, [alphas], batch)
    return tape.gradient(value, weights)
