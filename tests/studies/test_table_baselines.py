"""Baselines on a table: exact expectations, the algorithms written another way, budgets, errors."""

from __future__ import annotations

import collections
import math

import numpy as np
import pytest

from darts_tf.configs.budgets import Allowance
from darts_tf.errors import InputError
from darts_tf.spaces import truth
from darts_tf.spaces.truth import CELLS, Trained, digits_of, index_of
from darts_tf.studies import table_baselines
from darts_tf.studies.table_baselines import (
    DIGITS,
    METHODS,
    accuracies,
    chosen_cells,
    conducted,
    evolution,
    mutated,
)


def made_up(noise=0.0, seed=0):
    """Returns a table whose accuracies are a sum over edges and pairs of edges, and noise."""
    random = np.random.default_rng(seed)
    alone, pairs = random.normal(size=(6, 5)), random.normal(size=(6, 6, 5, 5)) / 4
    score = sum(alone[e][DIGITS[e]] for e in range(6))
    score += sum(pairs[e, f][DIGITS[e], DIGITS[f]] for e in range(6) for f in range(e))
    runs = score[:, None] + noise * random.normal(size=(CELLS, 3))
    runs = 50 + 40 * np.tanh(runs / 5)
    runs[::2, 2] = np.nan
    return Trained(runs, seconds=random.uniform(500, 3000, CELLS))


TABLE = made_up()


def test_random_search_finds_what_order_statistics_expect():
    """Compares with Σ P(the best of n cells is the i-th of all) accuracy_i, in closed form."""
    trials, seeds = 100, 400
    chosen = chosen_cells("random", TABLE, [Allowance("trials", trials)], range(seeds))[0]
    ascending = np.sort(TABLE.accuracy)

    def log_choices(n, k):
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    all_choices = log_choices(CELLS, trials)
    chances = np.zeros(CELLS)
    for place in range(trials - 1, CELLS):
        chances[place] = math.exp(log_choices(place, trials - 1) - all_choices)
    assert chances.sum() == pytest.approx(1)
    expected = chances @ ascending
    deviation = math.sqrt(chances @ (ascending - expected) ** 2)
    assert TABLE.accuracy[chosen].mean() == pytest.approx(
        expected, abs=4 * deviation / math.sqrt(seeds)
    )
    assert TABLE.accuracy[chosen].std() == pytest.approx(deviation, rel=0.2)


class Draws:
    """Random integers that are noted."""

    def __init__(self, seed):
        self.random, self.drawn = np.random.default_rng(seed), []

    def integers(self, most):
        self.drawn.append((most, int(self.random.integers(most))))
        return self.drawn[-1][1]

    def choice(self, *args, **options):
        return self.random.choice(*args, **options)


def test_evolution_is_algorithm_1():
    """Follows ageing and tournaments with a queue, from the integers that were drawn."""
    draws = Draws(0)
    asking = evolution(draws, population=8, sample=3)
    queue, tried = collections.deque(), set()
    index = next(asking)
    for number in range(200):
        assert index not in tried
        tried.add(index)
        queue.append((index, float(TABLE.accuracy[index])))
        if len(queue) > 8:
            queue.popleft()
        before = len(draws.drawn)
        index = asking.send(float(TABLE.accuracy[index]))
        drawn = draws.drawn[before:]
        if number < 7:
            assert not drawn
            continue
        assert [most for most, _ in drawn[:3]] == [8] * 3
        parent = max((queue[place] for _, place in drawn[:3]), key=lambda trial: trial[1])[0]
        changes = drawn[3:]
        assert len(changes) % 2 == 0
        digits = [int(digit) for digit in digits_of(parent)]
        for (edges, edge), (others, step) in zip(changes[::2], changes[1::2], strict=True):
            assert (edges, others) == (6, 4)
            digits[edge] = (digits[edge] + 1 + step) % 5
        assert digits_of(index) == "".join(map(str, digits))


def test_mutation_reaches_all_neighbours_and_nothing_else():
    class Given:
        def __init__(self, *values):
            self.values = list(values)

        def integers(self, most):
            return self.values.pop(0)

    cell = index_of("032140")
    children = [mutated(cell, Given(edge, step)) for edge in range(6) for step in range(4)]
    distances = (DIGITS[:, children] != DIGITS[:, [cell]]).sum(0)
    assert len(set(children)) == 24
    assert set(distances) == {1}


def test_digits_are_those_of_the_index():
    for index in (0, 1, 4321, CELLS - 1):
        assert "".join(map(str, DIGITS[:, index])) == digits_of(index)


def test_process_is_the_textbooks():
    """Compares mean and variance after several additions with the formulas by an inverse."""
    random = np.random.default_rng(1)
    cells = [int(cell) for cell in random.choice(CELLS, 12, replace=False)]
    values = TABLE.accuracy[cells] / 10
    process = table_baselines._Process(cells[:5], values[:5], 0.6, 0.01)
    for cell, value in zip(cells[5:], values[5:], strict=True):
        process.add(cell, value)
    mean, deviation = process.predicted()
    distance = (DIGITS[:, cells, None] != DIGITS[:, None, :]).sum(0)
    between = 0.6**distance
    inverse = np.linalg.inv(between[:, cells] + 0.01 * np.eye(12))
    standardized = (values - values.mean()) / values.std()
    np.testing.assert_allclose(mean, between.T @ inverse @ standardized, atol=1e-4)
    variance = 1 - np.einsum("tc,ts,sc->c", between, inverse, between)
    np.testing.assert_allclose(deviation**2, variance, atol=1e-5)


@pytest.mark.parametrize("similarity", [0.3, 0.6])
def test_fit_finds_how_alike_neighbours_are(similarity):
    """Draws values of a process with known similarity, and fits them."""
    random = np.random.default_rng(0)
    cells = random.choice(625, 200, replace=False)  # which differ on four edges only
    distance = (DIGITS[:, cells, None] != DIGITS[:, None, cells]).sum(0)
    factor = np.linalg.cholesky(similarity**distance + 1e-2 * np.eye(200))
    fitted = table_baselines._fitted(cells, factor @ random.normal(size=200))
    assert fitted.covariances[1] == similarity


@pytest.mark.parametrize(("method", "seeds"), [("evolution", 20), ("bayesian", 2)])
def test_methods_that_learn_find_better_cells_than_random(method, seeds):
    table, trials = made_up(noise=0.05), {"evolution": 80, "bayesian": 50}[method]
    (random,), (learnt,) = (
        chosen_cells(name, table, [Allowance("trials", trials)], range(seeds))
        for name in ("random", method)
    )
    assert np.median(table.ranks[learnt]) < np.median(table.ranks[random]) / 2


@pytest.mark.parametrize("method", METHODS)
def test_trials_are_a_function_of_the_seed_and_never_twice(method):
    first, again, other = (
        conducted(method, TABLE, Allowance("trials", 25), seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.cells, again.cells)
    assert len({*first.cells.tolist()}) == 25
    assert set(first.cells) != set(other.cells)


@pytest.mark.parametrize("method", METHODS)
def test_budget_of_seconds_ends_before_the_training_that_would_exceed_it(method):
    most = 40_000.0
    trials = conducted(method, TABLE, Allowance("seconds", most), 0)
    longer = conducted(method, TABLE, Allowance("trials", len(trials.cells) + 1), 0)
    np.testing.assert_array_equal(longer.cells[:-1], trials.cells)
    np.testing.assert_allclose(trials.seconds, np.cumsum(TABLE.seconds[trials.cells]))
    assert trials.seconds[-1] <= most < longer.seconds[-1]


def test_result_is_the_cell_that_looked_best_within_the_budget():
    table = made_up(noise=0.5)
    trials = conducted("random", table, Allowance("trials", 60), 0)
    for cell, seen in zip(trials.cells, trials.seen, strict=True):
        assert seen in table.runs[cell]  # one training, not the mean
    for count in (1, 7, 60):
        best = trials.cells[np.argmax(trials.seen[:count])]
        assert trials.chosen(Allowance("trials", count)) == best
        assert trials.chosen(Allowance("seconds", float(trials.seconds[count - 1]))) == best
    assert trials.chosen(Allowance("seconds", trials.seconds[0] - 1)) is None


def test_budgets_of_one_search_are_those_of_several():
    budgets = [Allowance("seconds", most) for most in (90_000, 20_000)]
    both = chosen_cells("evolution", TABLE, budgets, (0, 5))
    for budget, chosen in zip(budgets, both, strict=True):
        np.testing.assert_array_equal(chosen, chosen_cells("evolution", TABLE, [budget], (0, 5))[0])


def test_whole_table_can_be_tried():
    trials = conducted("random", TABLE, Allowance("trials", 2 * CELLS), 0)
    assert len(trials.cells) == CELLS


def test_accuracies_are_means_of_the_chosen_cells():
    cells = np.array([1, 5, 9])
    mean, deviation = accuracies({"own": TABLE}, cells)["own"]
    values = TABLE.accuracy[cells]
    assert mean == pytest.approx(sum(values) / 3)
    assert deviation == pytest.approx(math.sqrt(sum((values - mean) ** 2) / 2))


@pytest.mark.parametrize(
    ("method", "trained", "allowance", "message"),
    [
        ("hyperband", TABLE, ("trials", 5), "^Expected method to be one of random, evolution, bay"),
        ("random", TABLE, ("epochs", 5), "^Expected a budget in trials or in seconds .*: epochs$"),
        ("random", Trained(TABLE.runs), ("trials", 5), "^Expected a table with the seconds"),
        ("random", TABLE, ("seconds", 9.0), "^Expected a budget of at least one .*: 9 seconds$"),
    ],
)
def test_impossible_requests_are_refused(method, trained, allowance, message):
    with pytest.raises(InputError, match=message):
        chosen_cells(method, trained, [Allowance(*allowance)], (0,))


PUBLISHED = {
    # test accuracies of cells chosen by validation after 12 epochs, from the authors' tables
    "random": {"cifar10": (93.75, 0.35), "cifar100": (71.24, 1.05), "imagenet16-120": (44.87, 1.1)},
    "evolution": {
        **{"cifar10": (94.30, 0.19), "cifar100": (72.81, 0.71), "imagenet16-120": (46.39, 0.32)},
    },
}
TRIALS = {"random": 100, "evolution": 500}


@pytest.mark.parametrize("method", PUBLISHED)
def test_baselines_reach_the_published_accuracies_as_validation_does(method, monkeypatch, tmp_path):
    """Searches on CIFAR-10, where the table's networks learnt from half of the images."""
    if not truth.is_installed():
        pytest.skip(f"needs the extra nasbench ({truth.PACKAGE})")
    monkeypatch.setattr(truth, "cache_folder", lambda: tmp_path)
    table = truth.nas_bench_201()
    allowance = Allowance("trials", TRIALS[method])
    chosen = chosen_cells(method, table["cifar10"], [allowance], range(40))[0]
    for name, (mean, deviation) in accuracies(table, chosen).items():
        published, spread = PUBLISHED[method][name]
        below = {"cifar10": 2.76}.get(name, 0.0)  # as the best cell is: see the tests of the truth
        assert mean == pytest.approx(published - below, abs=0.7 if method == "evolution" else 0.35)
        assert spread / 2.5 < deviation < 2.5 * spread
