"""Precision, compilation and threads change how a step runs, not what it computes."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from mostly_slow import mostly_slow
from numerics import assert_close, relative_error

from darts_tf.configs import SearchConfig
from darts_tf.runtime import execution
from darts_tf.search import images
from darts_tf.search.restarts import Restart

pytestmark = pytest.mark.usefixtures("one_node")  # which XLA compiles in half a minute


def trainer_of(**changed):
    settings = {"channels": 2, "cells": 3, "space": "one_node", **changed}
    config = SearchConfig(workdir="unused", **settings)
    keras.utils.set_random_seed(0)
    with execution.dtype_policy(config.precision):
        return images.build_trainer(config, classes=3, image_channels=3)


def batch(seed):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(8, 8, 8, 3)), tf.float32), tf.constant(
        rng.integers(0, 3, 8), tf.int32
    )


def gradients_of(trainer, wrap=lambda function: function):
    loss, gradients = wrap(trainer.arch_gradients)(batch(0), batch(1))
    return [np.asarray(t, "float64") for t in (loss, *gradients)]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) for n in ("first_order", "second_order")]
)
def test_xla_computes_the_same(name):
    trainer = trainer_of(arch_gradient=name)
    compiled = gradients_of(trainer, lambda f: tf.function(f, autograph=False, jit_compile=True))
    assert_close(compiled, gradients_of(trainer), 2e-3)


@pytest.mark.slow
def test_search_step_compiles_with_xla():
    settings = {"arch_gradient": "first_order"}
    plain, compiled = trainer_of(**settings), trainer_of(**settings, jit_compile="on")
    assert (plain.jit_compile, compiled.jit_compile) == (False, True)
    data = tf.data.Dataset.from_tensors((batch(0), batch(1)))
    for trainer in (plain, compiled):
        trainer.fit(data, epochs=1, shuffle=False, verbose=0)
    assert_close(values(compiled.network.alphas), values(plain.network.alphas), 1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "first_order",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("finite_difference", "second_order")),
    ],
)
def test_mixed_precision_keeps_the_architecture_gradient_in_float32(name):
    """It is near that of float32, and alphas, weights and statistics stay float32."""
    exact = gradients_of(trainer_of(arch_gradient=name))
    trainer = trainer_of(arch_gradient=name, precision="mixed_bfloat16")
    loss, gradients = trainer.arch_gradients(batch(0), batch(1))
    assert {g.dtype for g in gradients} == {tf.float32}
    assert trainer.network.compute_dtype == "bfloat16"
    assert {v.dtype for v in trainer.network.variables} == {"float32"}
    assert float(loss) == pytest.approx(float(exact[0]), rel=0.05)
    if name == "first_order":
        found = np.concatenate([np.ravel(g) for g in gradients])
        wanted = np.concatenate([np.ravel(g) for g in exact[1:]])
        cosine = found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted)
        assert cosine > 0.9


@pytest.mark.slow
def test_mixed_precision_trains_as_float32_does():
    losses = []
    for precision in ("float32", "mixed_bfloat16"):
        trainer = trainer_of(precision=precision, arch_gradient="first_order")
        data = tf.data.Dataset.from_tensors((batch(0), batch(1))).repeat(4)
        losses.append(trainer.fit(data, epochs=3, shuffle=False, verbose=0).history["loss"])
    assert losses[1][-1] < losses[1][0]
    assert relative_error(losses[1], losses[0]) < 0.1


@pytest.mark.slow
def test_alphas_stay_until_their_first_epoch():
    trainer = trainer_of(arch_gradient="first_order")
    data = tf.data.Dataset.from_tensors((batch(0), batch(1)))
    alphas, weights, logs = [], [], []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, log=None):
            alphas.append(values(trainer.network.alphas))
            weights.append(values(trainer.network.network_weights)[:1])
            logs.append(set(log))

    before = values(trainer.network.alphas)
    moves = Restart(SearchConfig(workdir="unused", epochs=3, arch_from_epoch=2))
    trainer.fit(data, epochs=3, callbacks=[moves, Watch()], shuffle=False, verbose=0)
    assert_close(alphas[1], before, 0)
    assert np.all(alphas[2][0] != before[0])
    assert np.all(weights[0][0] != weights[1][0])
    assert [("arch_loss" in log) for log in logs] == [False, False, True]


def test_compilation_is_automatic_where_a_gpu_is(monkeypatch):
    for gpu in (False, True):
        monkeypatch.setattr(execution, "has_gpu", lambda gpu=gpu: gpu)
        assert [execution.compiles(c) for c in ("auto", "on", "off")] == [gpu, True, False]


def test_batches_are_left_alone_without_a_gpu():
    batches = tf.data.Dataset.range(2)
    assert (execution.on_device(batches) is batches) == (not execution.has_gpu())


THREADS = """
import tensorflow as tf
from darts_tf.runtime.execution import prefer_parallel_operations
{first}
prefer_parallel_operations()
threading = tf.config.threading
print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
"""


def test_threads_that_the_user_has_chosen_are_kept(monkeypatch):
    for name in ("intra", "inter"):
        setter = f"set_{name}_op_parallelism_threads"
        monkeypatch.setattr(tf.config.threading, setter, lambda count: pytest.fail("was set"))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    execution.prefer_parallel_operations()


@mostly_slow(
    1,
    ("first", "environment", "unchanged"),
    [
        ("", {}, False),
        ("tf.ones(1)", {}, True),
        ("", {"TF_NUM_INTRAOP_THREADS": "3"}, True),
    ],
    ids=["fresh", "running", "chosen"],
)
def test_operations_run_in_parallel_unless_the_user_has_chosen(first, environment, unchanged):
    import os

    plain = {k: v for k, v in os.environ.items() if not k.startswith("TF_NUM")}
    run = subprocess.run(
        [sys.executable, "-c", THREADS.format(first=first)],
        check=True,
        capture_output=True,
        text=True,
        env={**plain, **environment},
    )
    intra, inter = map(int, run.stdout.split())
    assert (inter == 0) == unchanged
    if not unchanged:
        assert intra == -(-inter // execution.CHAINS)
