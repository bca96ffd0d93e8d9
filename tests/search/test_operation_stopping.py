"""Operations that stop learning: the rule, cosines against NumPy, steps of a search."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from numerics import assert_close, floatx
from stopped_searches import assert_stopped_ends_as_whole, tiny_config
from tiny_searches import TRAIN, VALID, spread_alphas, tiny

from darts_tf.configs import SearchConfig
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.layers.mixed_op import MixedOp
from darts_tf.runs.metrics import read_metrics
from darts_tf.search.darts import DARTS
from darts_tf.search.operation_stopping import judged, operation_groups

NAMES = ("skip_connect", "dil_conv_3x3", "sep_conv_3x3")


def test_rule_compares_the_mean_of_every_so_many_cosines():
    """Simulated with lists; steps without a gradient are not counted."""
    rng = np.random.default_rng(0)
    cosines, seen = rng.uniform(np.linspace(-0.8, 0.8, 6), 1, (30, 6)), rng.random((30, 6)) < 0.8
    state = tf.zeros(6, tf.float64), tf.zeros(6, tf.float64), tf.ones(6, tf.float64)
    kept, active = [[] for _ in range(6)], [1] * 6
    for cosine, counts in zip(cosines, seen, strict=True):
        state = judged(*state, tf.constant(cosine), tf.constant(counts), 0.35, 4)
        for i in np.flatnonzero(counts):
            kept[i].append(cosine[i])
            if len(kept[i]) == 4:
                active[i] *= np.mean(kept[i]) >= 0.35
                kept[i] = []
        np.testing.assert_array_equal(state[2], active)
        assert_close(state[0], [sum(each) for each in kept], 1e-12, 1e-12)
    assert 0 < sum(active) < 6


def made(stop=0.5, steps=1, dtype="float64", **changed):
    with floatx(dtype):
        network = tiny("softmax", primitives=NAMES, **changed)
        trainer = DARTS(
            *(network, "first_order"),
            **{"stop_operations": stop, "stop_operations_steps": steps, "weight_decay": 0.1},
            clip_norm=0.5,
        )
        trainer.compile(
            *(keras.optimizers.SGD(0.1, 0.9), keras.optimizers.SGD(0.0)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    spread_alphas(network)
    return trainer


def weights_by_operation(network):
    """Returns for every operation the places of its weights: (position, index) pairs.

    Written for the layouts of built-in primitives, independently of `grouped_weights`.
    """
    positions = {id(weight): i for i, weight in enumerate(network.network_weights)}
    operations = []
    for mixed in (layer for layer in network._flatten_layers() if isinstance(layer, MixedOp)):
        for op in mixed.ops:
            for edge in range(op.groups if op.trainable_variables else 0):
                wide = slice(edge * op.channels, (edge + 1) * op.channels)
                operations.append(
                    [
                        (positions[id(w)], (edge,) if w.shape[0] == op.groups else (..., wide, 0))
                        for w in op.trainable_variables
                    ]
                )
    return operations


def of_operation(arrays, places):
    return np.concatenate([np.ravel(arrays[i][index]) for i, index in places])


def gradients_of(trainer, batch):
    weights = [tf.constant(w) for w in values(trainer.weights_to_train)]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = trainer.loss_at(weights, trainer.read(trainer.network.alphas), batch)
    return [np.array(g) for g in tape.gradient(loss, weights)]


def test_operations_whose_gradients_disagree_stop_and_others_learn_on():
    trainer = made(stop=0.2)
    places = weights_by_operation(trainer.network)
    assert len(places) == sum(group.operations for group in operation_groups(trainer.network))
    before = values(trainer.weights_to_train)
    train, valid = (gradients_of(trainer, batch) for batch in (TRAIN, VALID))
    cosines = []
    for place in places:
        t, v = of_operation(train, place), of_operation(valid, place)
        cosines.append(t @ v / np.sqrt(t @ t * (v @ v)))
    results = trainer.train_step((TRAIN, VALID))
    active = np.asarray(trainer.operation_stop.active)
    np.testing.assert_array_equal(active, np.array(cosines) >= 0.2)
    assert 0 < float(results["stopped_operations"]) == (1 - active).sum() < len(places)
    for place, learns in zip(places, active, strict=True):
        for i, index in place:
            train[i][index] *= learns
    norm = np.sqrt(sum((g**2).sum() for g in train))  # without what has stopped
    assert norm > 0.5
    expected = [w - 0.1 * (0.5 / norm * g + 0.1 * w) for w, g in zip(before, train, strict=True)]
    for place, learns in zip(places, active, strict=True):
        for i, index in place:
            expected[i][index] = expected[i][index] if learns else before[i][index]
    assert_close(values(trainer.weights_to_train), expected, 1e-5)
    check_that_nothing_changes_where_a_step_is_not_finite(trainer)
    check_that_what_has_stopped_stays(trainer, places)


def check_that_nothing_changes_where_a_step_is_not_finite(trainer):
    before = values(trainer.variables)
    trainer.train_step(((TRAIN[0] * np.nan, TRAIN[1]), VALID))
    for variable, value in zip(trainer.variables, before, strict=True):
        if not variable.name.startswith("skipped"):
            np.testing.assert_array_equal(variable, value)


def check_that_what_has_stopped_stays(trainer, places):
    """Also in steps that do not move the alphas."""
    active, before = np.asarray(trainer.operation_stop.active), values(trainer.weights_to_train)
    trainer.moves_alphas = False
    trainer.train_step((TRAIN, VALID))
    after = values(trainer.weights_to_train)
    np.testing.assert_array_equal(trainer.operation_stop.active, active)
    pairs = [[of_operation(arrays, place) for arrays in (before, after)] for place in places]
    np.testing.assert_array_equal([not np.array_equal(*pair) for pair in pairs], active > 0)


@pytest.mark.slow
def test_graph_has_few_operations_for_each_mixed_operation():
    """Groups of one layout and shape share a function."""
    trainer = made(cells=6, nodes=2)
    groups = trainer.operation_stop.groups
    weights = sum(len(group.positions) for group in groups)

    def operations(stop):
        trainer.operation_stop = stop
        graph = tf.function(lambda: trainer.train_step((TRAIN, VALID)), autograph=False)
        return len(graph.get_concrete_function().graph.get_operations())

    with_stop, without = operations(trainer.operation_stop), operations(None)
    assert with_stop - without < 4 * weights + 10 * len(groups) + 100


@pytest.mark.parametrize("estimator", ["second_order", "finite_difference"])
def test_unrolled_estimators_are_refused(estimator):
    message = f"arch_gradient=first_order. Received: arch_gradient={estimator}"
    with pytest.raises(InputError, match=message):
        DARTS(tiny("softmax"), estimator, stop_operations=0.4)
    with pytest.raises(InputError, match=message):
        SearchConfig(workdir="run", stop_operations=0.4, arch_gradient=estimator)


@pytest.mark.slow
@pytest.mark.usefixtures("one_node")
def test_search_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    dataset = load_dataset("digits", limit=48)
    settings = {"method": "oles", "epochs": 3, "stop_operations_steps": 2}
    whole = assert_stopped_ends_as_whole(tmp_path, dataset, tiny_config, **settings)
    stopped = [line["stopped_operations"] for line in read_metrics(whole)]
    assert stopped == sorted(stopped)
    assert stopped[-1] > 0
