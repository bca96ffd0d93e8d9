"""The expected cost of a search, against enumeration and finite differences."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close

from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.costs.tables import CellCosts
from darts_tf.search.cost_penalty import cost_penalty, expected_cost
from darts_tf.search.darts import DARTS
from darts_tf.spaces.cell import CELLS, edges
from darts_tf.spaces.search_spaces import Space, edge_space, space_of

FEW = ("skip_connect", "none", "sep_conv_3x3")
ROWS = edges(2)
DRAW = np.random.default_rng(0)
COSTS = CellCosts("macs", 1000, DRAW.integers(0, 10**4, (2, len(ROWS), len(FEW))), space_of(2, FEW))
ALPHAS = [tf.constant(array) for array in DRAW.normal(size=(2, len(ROWS), len(FEW)))]
OVER_EDGES = [tf.constant(array) for array in DRAW.normal(size=(2, len(ROWS)))]


def shares(alphas):
    """Returns the softmax of the primitives that can be derived, all except `none`."""
    exponentials = np.exp(np.delete(np.asarray(alphas), FEW.index("none"), 1))
    return exponentials / exponentials.sum(1, keepdims=True)


def mean_of_all_cells(costs, alphas):
    """Enumerates the pairs of edges of each node, all equally likely, and weighs primitives."""
    total = costs.constant
    tables = (np.delete(table, FEW.index("none"), 1) for table in costs.tables)
    for table, array in zip(tables, alphas, strict=True):
        for node in (2, 3):
            rows = [row for row, (_, target) in enumerate(ROWS) if target == node]
            pairs = list(itertools.combinations(rows, 2))
            for pair in pairs:
                total += sum(shares(array)[row] @ table[row] for row in pair) / len(pairs)
    return total


def test_expected_cost_is_the_mean_of_all_cells():
    assert float(expected_cost(COSTS, ALPHAS)) == pytest.approx(mean_of_all_cells(COSTS, ALPHAS))


def test_cells_may_have_primitives_of_their_own():
    """Compares a reduction cell without `none` with one whose `none` is never sampled."""
    kept = [0, 2]
    candidates = ((FEW,) * len(ROWS), (tuple(FEW[i] for i in kept),) * len(ROWS))
    tables = (COSTS.tables[0], COSTS.tables[1][:, kept])
    costs = CellCosts("macs", 1000, tables, Space(2, candidates))
    alphas = [ALPHAS[0], tf.gather(ALPHAS[1], kept, axis=1)]
    assert_close(expected_cost(costs, alphas), expected_cost(COSTS, ALPHAS), 1e-14)


def test_edges_that_weigh_alike_change_nothing():
    over = [tf.ones_like(array) for array in OVER_EDGES]
    assert_close(expected_cost(COSTS, [*ALPHAS, *over]), expected_cost(COSTS, ALPHAS), 1e-14)


def test_edge_that_weighs_all_is_drawn_twice():
    over = [tf.where(tf.range(5) % 5 == 3, 99.0, 0.0) for _ in range(2)]
    over = [tf.cast(array, tf.float64) for array in over]
    last = over[0].numpy()[2:]
    assert last.argmax() == 1
    found = float(expected_cost(COSTS, [*ALPHAS, *over]))
    by_hand = COSTS.constant
    for cell, table in enumerate(COSTS.tables):
        kept = np.delete(table, FEW.index("none"), 1)
        each = (shares(ALPHAS[cell]) * kept).sum(1)
        by_hand += each[0] + each[1] + 2 * each[3]
    assert found == pytest.approx(by_hand)


def gradients_of(penalty, alphas):
    with tf.GradientTape() as tape:
        tape.watch(alphas)
        value = penalty(alphas)
    return tape.gradient(value, alphas)


@pytest.mark.parametrize("over", [[], OVER_EDGES], ids=["plain", "with edges"])
def test_gradient_is_that_of_differences(over):
    weight, point = 0.7, [*ALPHAS, *over]
    gradients = gradients_of(cost_penalty(COSTS, weight), point)
    equal = [tf.zeros_like(array) for array in ALPHAS]
    reference = float(expected_cost(COSTS, equal))

    def penalty(at):
        return weight * float(expected_cost(COSTS, at)) / reference

    for which, gradient in enumerate(gradients):
        for place in np.ndindex(*gradient.shape):
            step = np.zeros(gradient.shape)
            step[place] = 1e-5
            sides = [
                penalty([a + sign * step if k == which else a for k, a in enumerate(point)])
                for sign in (1, -1)
            ]
            assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(float(gradient[place]), abs=1e-9)


def test_none_cannot_make_the_penalty_small():
    gradients = gradients_of(cost_penalty(COSTS, 1.0), ALPHAS)
    for gradient in gradients:
        assert_close(gradient[:, FEW.index("none")], np.zeros(len(ROWS)), 0)
        assert np.abs(np.asarray(gradient)).max() > 1e-3


class Toy(keras.Model):
    """A model with only the attributes of a supernet that a trainer uses."""

    def __init__(self):
        super().__init__()
        noise = keras.initializers.RandomNormal(seed=1)
        shapes = {name: table.shape for name, table in zip(CELLS, COSTS.tables, strict=True)}
        self.alphas = [
            self.add_weight(shape=shape, initializer=noise, name=name)
            for name, shape in shapes.items()
        ]
        self.kernel = self.add_weight(shape=(4, 3), initializer=noise, name="kernel")
        self.network_weights = [self.kernel]
        self.built = True

    def call(self, x, training=False):
        mixed = tf.add_n([tf.reduce_sum(tf.nn.softmax(a) ** 2) for a in self.alphas])
        return tf.matmul(x, tf.convert_to_tensor(self.kernel)) * mixed


def trainer(estimator, penalty):
    keras.utils.set_random_seed(0)
    toy = DARTS(Toy(), estimator, arch_penalty=penalty, arch_weight_decay=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    toy.compile(keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.SGD(1.0), loss)
    return toy


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_penalty_is_added_to_the_gradient_of_every_estimator(estimator):
    random = np.random.default_rng(0)
    batches = [
        (tf.constant(random.normal(size=(6, 4)), tf.float32), tf.constant([0, 1, 2, 0, 1, 2]))
        for _ in range(2)
    ]
    penalty = cost_penalty(COSTS, 0.5)
    plain, with_penalty = (trainer(estimator, given) for given in (None, penalty))
    before = [tf.convert_to_tensor(a) for a in plain.network.alphas]
    more = gradients_of(penalty, before)
    assert max(float(tf.reduce_max(tf.abs(g))) for g in more) > 1e-3
    for each in (plain, with_penalty):
        each.train_step(tuple(batches))
    pairs = zip(with_penalty.network.alphas, plain.network.alphas, more, strict=True)
    for moved, moved_by_loss, slope in pairs:
        assert_close(moved - moved_by_loss, -slope, 1e-5)
    descended = (float(each.arch_loss.result()) for each in (with_penalty, plain))
    assert next(descended) - next(descended) == pytest.approx(float(penalty(before)), rel=1e-5)


def test_expected_cost_of_cells_with_every_edge_is_the_mean_over_operations():
    space, alphas = edge_space(2), np.random.default_rng(3).normal(size=(3, 5))
    table = np.random.default_rng(4).integers(0, 99, (3, 5))
    costs = CellCosts("macs", 10, (table,), space)
    weights = np.exp(alphas) / np.exp(alphas).sum(1, keepdims=True)
    mean = 10 + sum(
        np.prod([weights[row, column] for row, column in enumerate(columns)])
        * sum(table[row, column] for row, column in enumerate(columns))
        for columns in itertools.product(range(5), repeat=3)
    )
    assert float(expected_cost(costs, [tf.constant(alphas)])) == pytest.approx(mean)
