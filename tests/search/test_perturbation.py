"""Selection by perturbation: on accuracies in closed form, and on a supernet."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from darts_tf.layers.normalization import tracked_statistics
from darts_tf.models.mixture import measuring, mixed_by, projected
from darts_tf.models.supernet import Supernet
from darts_tf.search import perturbation
from darts_tf.search.perturbation import EDGE, NODE, Decision
from darts_tf.spaces.cell import PRIMITIVES, edges
from darts_tf.spaces.search_spaces import Space, space_of

NODES = 3
ROWS = len(edges(NODES))
SPACE = space_of(NODES)
EVEN = [np.full((ROWS, len(PRIMITIVES)), 1 / len(PRIMITIVES)) for _ in range(2)]


def worths(seed=0):
    """Returns random contributions of operations to the accuracy: (cells, edges, primitives)."""
    return np.random.default_rng(seed).permuted(np.linspace(0, 1, 2 * ROWS * 8)).reshape(2, ROWS, 8)


def measured_by(worth, calls=None):
    """Returns a measure whose accuracy sums the worths of all operations with positive factors."""

    def measure(mixture):
        if calls is not None:
            calls.append(mixture)
        present = np.stack(mixture) > 0
        return float((worth * present).sum()) / worth.sum(), 0.0

    return measure


def chosen(worth, seed=0):
    choice, measure = perturbation.nothing_decided(SPACE), measured_by(worth)
    for decisions in perturbation.rounds(SPACE, seed):
        for decision in decisions:
            choice, _ = perturbation.decide(choice, decision, EVEN, SPACE, measure)
    return choice


def best_by_hand(worth):
    """Returns the best operation of every edge, except `none`, on the two best edges per node."""
    cells = []
    for rows in worth:
        pairs = []
        for target in range(2, 2 + NODES):
            best = [
                (rows[i, 1:].max(), i) for i, edge in enumerate(edges(NODES)) if edge[1] == target
            ]
            for _, i in sorted(best, reverse=True)[:2]:
                pairs.append((PRIMITIVES[1 + int(rows[i, 1:].argmax())], edges(NODES)[i][0]))
        cells.append(tuple(pairs))
    return cells


@pytest.mark.parametrize("seed", range(4))
def test_selection_finds_what_is_worth_most(seed):
    """Expects the best cells for every seed: with additive worths the order does not matter."""
    worth = worths(seed)
    genotype = perturbation.genotype_of(chosen(worth, seed), SPACE)
    assert [genotype.normal, genotype.reduce] == best_by_hand(worth)
    assert genotype.normal_concat == (2, 3, 4)


def test_selection_keeps_what_the_net_cannot_do_without_rather_than_the_largest_alpha():
    worth = np.full((2, ROWS, 8), 0.01)
    worth[:, :, PRIMITIVES.index("sep_conv_3x3")] = 1.0
    mixture = [np.full((ROWS, 8), 0.01) for _ in range(2)]
    for part in mixture:
        part[:, PRIMITIVES.index("skip_connect")] = 0.93
    decision = Decision(0, EDGE, 2)
    choice, without = perturbation.decide(
        perturbation.nothing_decided(SPACE), decision, mixture, SPACE, measured_by(worth)
    )
    assert PRIMITIVES[choice.operations[0, 2]] == "sep_conv_3x3"
    assert "none" not in without
    assert min(without, key=without.get) == "sep_conv_3x3"
    words = perturbation.describe_decision(decision, choice, SPACE, without)
    assert words.startswith("normal edge 0 to 3: sep_conv_3x3 (accuracy without max_pool_3x3 ")


def test_edges_may_have_operations_of_their_own():
    """Selects in a space whose edges differ, so that each edge names its own columns."""
    space = Space(1, ((("skip_connect", "none"), ("dil_conv_3x3", "sep_conv_3x3")),) * 2)
    worth = np.array([[[3.0, 0.0], [1.0, 2.0]], [[0.0, 3.0], [2.0, 1.0]]])
    mixture = [np.full((2, 2), 0.5)] * 2

    def measure(parts):
        return float(np.sum(worth * parts)), 0.0

    choice = perturbation.nothing_decided(space)
    for decisions in perturbation.rounds(space, 0):
        for decision in decisions:
            choice, without = perturbation.decide(choice, decision, mixture, space, measure)
            assert "none" not in without
            assert perturbation.describe_decision(decision, choice, space, without)
    genotype = perturbation.genotype_of(choice, space)
    assert genotype.normal == (("skip_connect", 0), ("sep_conv_3x3", 1))
    assert genotype.reduce == (("dil_conv_3x3", 1), ("skip_connect", 0))


def test_equal_accuracies_are_told_apart_by_the_loss():
    def measure(mixture):
        return 0.5, 2.0 if mixture[1][4, 6] == 0 else 1.0

    decided = perturbation.nothing_decided(SPACE), Decision(1, EDGE, 4), EVEN, SPACE
    choice, _ = perturbation.decide(*decided, measure)
    assert choice.operations[1, 4] == 6
    choice, _ = perturbation.decide(*decided, lambda mixture: (0.5, 1.0))
    assert choice.operations[1, 4] == 1  # the first that is not `none`


def test_a_trial_masks_one_operation_and_leaves_the_rest():
    calls = []
    choice = perturbation.nothing_decided(SPACE)
    choice.operations[0, 0] = 4
    perturbation.decide(choice, Decision(0, EDGE, 3), EVEN, SPACE, measured_by(worths(), calls))
    assert len(calls) == 7
    for column, (normal, reduce) in enumerate(calls, 1):
        expected = EVEN[0].copy()
        expected[0] = np.eye(8)[4]
        expected[3, column] = 0
        np.testing.assert_array_equal(normal, expected)
        np.testing.assert_array_equal(reduce, EVEN[1])


def test_rounds_decide_everything_once_in_an_order_of_the_seed():
    rounds = perturbation.rounds(SPACE, 0)
    assert len(rounds) == ROWS + NODES
    assert all([d.cell for d in decisions] == [0, 1] for decisions in rounds)
    kinds = [{d.kind for d in decisions} for decisions in rounds]
    assert kinds == [{EDGE}] * ROWS + [{NODE}] * NODES
    for cell in range(2):
        mine = [decisions[cell] for decisions in rounds]
        assert sorted(d.index for d in mine[:ROWS]) == list(range(ROWS))
        assert sorted(d.index for d in mine[ROWS:]) == list(range(NODES))
    assert rounds == perturbation.rounds(SPACE, 0) != perturbation.rounds(SPACE, 1)


def test_mixture_of_all_choices_is_that_of_the_genotype():
    edge_shares = [np.full(ROWS, 0.3) for _ in range(2)]
    choice = chosen(worths())
    genotype = perturbation.genotype_of(choice, SPACE)
    found = perturbation.mixture_of(choice, [*EVEN, *edge_shares], SPACE)
    expected = projected(genotype, [*EVEN, *edge_shares], SPACE)
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.sum() == 2 * NODES
    for shares, kept in zip(found[2:], expected[2:], strict=True):
        np.testing.assert_allclose(shares, 0.3 * kept)


# On a supernet


@pytest.fixture(scope="module")
def supernet():
    primitives = ("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3")
    return Supernet(channels=2, cells=3, classes=3, nodes=1, primitives=primitives)


def drawn(seed, size=6):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 8, 8, 3)).astype("float32")
    return tf.constant(x), tf.constant(rng.integers(0, 3, size), tf.int32)


def test_own_mixture_changes_nothing(supernet):
    x, _ = drawn(0)
    with mixed_by(supernet.mixture()):
        given = supernet(x)
    np.testing.assert_allclose(given, supernet(x), atol=1e-6)


def test_a_mixture_is_that_of_its_alphas(supernet):
    """Compares a mixture with the alphas whose softmax it is."""
    x, _ = drawn(0)
    kept = [np.asarray(alphas) for alphas in supernet.alphas]
    shares = np.random.default_rng(1).dirichlet(np.ones(4), (2, 2)).astype("float32")
    with mixed_by(shares):
        given = supernet(x)
    for alphas, rows in zip(supernet.alphas, shares, strict=True):
        alphas.assign(np.log(rows))
    by_alphas = supernet(x)
    for alphas, value in zip(supernet.alphas, kept, strict=True):
        alphas.assign(value)
    np.testing.assert_allclose(given, by_alphas, atol=1e-5)
    assert np.abs(given - supernet(x)).max() > 1e-4


def test_measure_is_accuracy_and_loss_with_the_statistics_of_the_batches(supernet):
    batches = [drawn(0), drawn(1, size=4)]
    mixture = [np.array(part) for part in supernet.mixture()]
    mixture[0][1, 2] = 0
    before = [np.asarray(v).copy() for v in supernet.variables]
    accuracy, loss = measuring(supernet, lambda: batches)(mixture)
    right, losses = [], []
    for x, y in batches:
        with mixed_by(mixture), tracked_statistics(False):
            logits = supernet(x, training=True).numpy()
        shifted = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        losses += [-shifted[i, label] for i, label in enumerate(y.numpy())]
        right += list(logits.argmax(1) == y.numpy())
    assert accuracy == pytest.approx(np.mean(right))
    assert loss == pytest.approx(np.mean(losses), rel=1e-4)
    for variable, value in zip(supernet.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_measure_neither_drops_out_nor_draws():
    """Guards against measuring that changes the random numbers of the search."""
    dropping = Supernet(2, 3, nodes=1, op_dropout=0.9)
    plain = Supernet(2, 3, nodes=1)
    for variable, other in zip(
        plain.trainable_variables, dropping.trainable_variables, strict=True
    ):
        variable.assign(other)
    batches = [(tf.random.stateless_normal((8, 8, 8, 3), (1, 2)), tf.zeros(8, tf.int32))]
    mixture, before = plain.mixture(), np.asarray(dropping.seed_state).copy()
    losses = [measuring(each, lambda: batches)(mixture)[1] for each in (dropping, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    np.testing.assert_array_equal(dropping.seed_state, before)
    with mixed_by(mixture):  # tuned weights are trained with the mixture
        dropping(batches[0][0], training=True)
    assert np.any(np.asarray(dropping.seed_state) != before)
