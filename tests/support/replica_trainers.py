"""Searches on parts of the processor, for comparison with one device."""

from __future__ import annotations

import functools
import threading

import keras
import numpy as np
import tensorflow as tf
from golden_data import values
from numerics import floatx

from darts_tf.data.pipeline import WHOLE
from darts_tf.layers.normalization import BatchNormalization
from darts_tf.models.supernet import Supernet
from darts_tf.runtime.distribution import distributed
from darts_tf.search.darts import DARTS
from darts_tf.training.optimizers import SGD, Adam

SMALL = ("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3")
IMAGES = 16


@functools.cache
def mirrored(count: int) -> tf.distribute.Strategy:
    """Returns a strategy over parts of the processor.

    TensorFlow numbers the collectives of each strategy from the same start. Two strategies in a
    process therefore need different starts, as in TensorFlow's own tests.
    """
    tf.distribute.MirroredStrategy._collective_key_base += 100_000
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


def settled_statistics(primitives) -> list[np.ndarray]:
    """Returns statistics of a batch, with which a frozen new network gives sensible numbers."""
    keras.utils.set_random_seed(0)
    network = Supernet(2, 3, 3, nodes=1, primitives=primitives)
    for layer in network._flatten_layers():
        if isinstance(layer, BatchNormalization):
            layer.momentum = 0.0
    ((images, _), _) = next(iter(batches(tf.distribute.get_strategy())))
    network(images, training=True)
    return values(moving(network))


def moving(network) -> list:
    """Returns the running statistics."""
    return [variable for variable in network.variables if variable.name.startswith("moving")]


def made(strategy, estimator: str, *, frozen: bool = False, primitives=SMALL, **settings) -> DARTS:
    """Returns a trainer with synchronized or frozen normalizations, equal for all strategies."""
    statistics = settled_statistics(primitives) if frozen else []
    keras.utils.set_random_seed(0)
    with strategy.scope():
        network = Supernet(2, 3, 3, nodes=1, primitives=primitives)
        for layer in network._flatten_layers():
            if frozen and isinstance(layer, BatchNormalization):
                layer.trainable = False
        trainer = DARTS(network, estimator, sync_batch_norm=not frozen, **settings)
        trainer.compile(
            optimizer=SGD(0.025, 0.9),
            arch_optimizer=Adam(3e-3, 0.5, 0.999),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        )
        rng = np.random.default_rng(1)
        for alphas in network.alphas:
            alphas.assign(rng.normal(size=alphas.shape))
        for velocity in trainer.optimizer.momentums:
            velocity.assign(0.4 * rng.normal(size=velocity.shape))
        for variable, value in zip(moving(network) if frozen else [], statistics, strict=True):
            variable.assign(value)
    return trainer


def widened(trainer: DARTS, estimator: str, **settings) -> DARTS:
    """Returns a copy of a trainer in float64, for one device."""
    with floatx("float64"):
        wide = made(tf.distribute.get_strategy(), estimator, **settings)
    for variable, narrow in zip(wide.state(), trainer.state(), strict=True):
        variable.assign(narrow.numpy())
    return wide


def batches(strategy, images: int = IMAGES, seed: int = 0):
    """Returns a pair of global batches, distributed over the strategy's devices."""
    rng, dtype = np.random.default_rng(seed), keras.config.floatx()
    drawn = [
        (rng.normal(size=(images, 8, 8, 3)).astype("float32"), rng.integers(0, 3, images))
        for _ in range(2)
    ]

    def make(part=WHOLE):
        first, here, replicas = part

        def pieces():
            for replica in range(first, first + here):
                rows = slice(images * replica // replicas, images * (replica + 1) // replicas)
                yield tuple((x[rows].astype(dtype), y[rows]) for x, y in drawn)

        spec = tf.TensorSpec((None, 8, 8, 3), dtype), tf.TensorSpec((None,), tf.int64)
        return tf.data.Dataset.from_generator(pieces, output_signature=(spec, spec))

    return distributed(strategy, make)


def stepped(trainer, batch) -> dict[str, list[np.ndarray]]:
    """Runs a step; returns architecture gradients, weights, alphas, states and metrics.

    Asserts that all replicas have the gradients of the first.
    """
    strategy, arrays, estimates = trainer.distribute_strategy, [], threading.local()
    estimate = trainer.arch_gradients

    def remember(*arguments):  # every replica is a separate thread
        estimates.latest = estimate(*arguments)
        return estimates.latest

    def step(batch):
        trainer.train_step(batch)
        return estimates.latest

    trainer.arch_gradients = remember
    result = strategy.run(step, args=(batch,))
    trainer.arch_gradients = estimate
    loss, gradients = tf.nest.map_structure(strategy.experimental_local_results, result)
    for copies in [loss, *gradients]:
        arrays.append(np.asarray(copies[0]))
        for copy in copies[1:]:
            np.testing.assert_array_equal(np.asarray(copy), arrays[-1])
    return {
        "valid loss": arrays[:1],
        "gradients": arrays[1:],
        "weights": values(trainer.network.network_weights),
        "alphas": values(trainer.network.alphas),
        "velocities": values(trainer.optimizer.momentums),
        "metrics": [np.asarray(value) for _, value in sorted(trainer.results().items())],
    }


def distance(actual: list, expected: list) -> float:
    """Returns the norm of the difference of lists of arrays, relative to the expected norm."""
    off = sum(np.square(a - e).sum() for a, e in zip(actual, expected, strict=True))
    return float(np.sqrt(off / sum(np.square(e).sum() for e in expected)))
