"""The recurrent search in the state of the PyTorch reference's golden numbers."""

from __future__ import annotations

import functools

import keras
import tensorflow as tf
from golden_data import FOLDER, Golden
from numerics import floatx

from darts_tf.models.recurrent_supernet import RecurrentSupernet
from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.search.language_darts import LanguageDARTS

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def trainer_at(golden, arch_gradient="second_order", **settings) -> LanguageDARTS:
    """Returns a compiled trainer with the weights, alphas and states of the golden file."""
    meta = golden.meta
    network = RecurrentSupernet(meta["vocab"], meta["units"], **settings)
    load_reference_weights(network, {**golden.section("weights"), "alphas": golden["alphas"]})
    trainer = LanguageDARTS(
        network,
        batch_size=meta["batch"],
        time_steps=meta["steps"],
        arch_gradient=arch_gradient,
        weight_decay=meta["weight_decay"],
        clip_norm=meta["clip"],
    )
    trainer.compile(keras.optimizers.SGD(meta["eta"]), keras.optimizers.Adam(3e-3), LOSS)
    for name in ("train", "valid"):
        trainer.hidden[name].assign(golden[f"hidden_{name}"])
    return trainer


def batch(golden, name):
    """Returns tokens and targets."""
    return tuple(tf.constant(golden[f"{which}_{name}"], tf.int32) for which in "xy")


def batches(golden):
    """Returns a batch of the training text and one of the validation text."""
    return batch(golden, "train"), batch(golden, "valid")


@functools.cache
def golden_search() -> Golden:
    """Returns the golden file of the search."""
    return Golden(FOLDER / "rnn_search.npz")


@functools.cache
def shared_trainer() -> LanguageDARTS:
    """Returns a trainer shared by all tests that change only its estimator."""
    with floatx("float64"):
        return trainer_at(golden_search())
