"""Turns and batch statistics that several benchmarks share."""

from __future__ import annotations

import keras
import numpy as np

from darts_tf.export.tflite.measuring import WARM_UP
from darts_tf.layers.normalization import BatchNormalization


def test_in_turns_alternates_between_functions(script):
    called = []
    calls = {name: lambda name=name: called.append(name) for name in "ab"}
    times = script("measuring").in_turns(calls, runs=5, turn=3, shares=(10, 50))
    assert "".join(called[2 * WARM_UP :]) == "aaabbb" * 2
    assert set(times) == {"a", "b"}
    for quantiles in times.values():
        assert list(quantiles) == ["p10", "p50"]
        assert 0 < quantiles["p10"] <= quantiles["p50"]


def test_take_batch_statistics_normalizes_by_the_batch(script):
    own = BatchNormalization()
    network = keras.Sequential([keras.layers.BatchNormalization(momentum=0.9), own])
    momentum = own.momentum
    x = np.random.default_rng(0).normal(3.0, 2.0, (64, 1, 1, 5)).astype(np.float32)
    network(x)
    script("measuring").take_batch_statistics(network, x)
    y = np.asarray(network(x, training=False))
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-2)
    assert (network.layers[0].momentum, own.momentum) == (0.9, momentum)
