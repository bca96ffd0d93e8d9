"""Baselines of a search on a table of trained cells: what they would have found at which cost.

A baseline chooses a cell, is told the accuracy of one of its trainings, pays the seconds of that
training, and chooses the next. At the end the cell with the highest accuracy that was seen is its
result. Nothing is trained, so that a hundred seeds take seconds.

A method is a generator: it yields the index of a cell and is sent the accuracy seen. None tries a
cell twice. Hyperband is not among them: it compares short trainings with long ones, and the table
knows the accuracies of whole trainings alone.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Generator, Mapping, Sequence

import numpy as np
from scipy.linalg import solve_triangular

from darts_tf.configs.budgets import Allowance
from darts_tf.errors import InputError, unknown_name
from darts_tf.spaces.cell import EDGE_PRIMITIVES
from darts_tf.spaces.truth import CELLS, EDGES, Trained, Truth

Method = Generator[int, float, None]
"""Yields the index of the next cell, and is sent the accuracy of its training in percent."""

POPULATION, SAMPLE = 10, 3
"""Trials in the population of evolution, and those that compete to be a parent, as in NAS-Bench-201
(Dong and Yang 2020, section 5)."""

FIRST = 10
"""Random trials before a Gaussian process chooses."""

CONFIDENCE = 2.6
"""Standard deviations of the upper confidence bound, as in `oracles.BayesianOracle`."""

GRID = tuple(itertools.product((0.3, 0.45, 0.6, 0.75, 0.9), (1e-3, 1e-2, 1e-1)))
"""Similarities of cells that differ on one edge, and variances of the noise, to choose from."""

DIGITS = np.indices((len(EDGE_PRIMITIVES),) * len(EDGES), np.int8).reshape(len(EDGES), CELLS)
"""The digits of all cells, `(edges, CELLS)`."""


def random_search(random: np.random.Generator) -> Method:
    """Draws cells evenly (Li and Talwalkar 2019)."""
    for index in random.permutation(CELLS):
        yield int(index)


def evolution(
    random: np.random.Generator, population: int = POPULATION, sample: int = SAMPLE
) -> Method:
    """Regularised evolution (Real et al. 2019, algorithm 1).

    The population is the last `population` trials. A child differs from the best of `sample` of
    them, drawn with replacement, in the operation of one edge.

    Args:
        random: source of all draws.
        population: number of trials that live, and that are drawn at random at first.
        sample: number of trials that compete to be a parent.
    """
    living: collections.deque[tuple[float, int]] = collections.deque(maxlen=population)
    tried = np.zeros(CELLS, bool)
    for index in random.choice(CELLS, population, replace=False):
        tried[index] = True
        living.append(((yield int(index)), int(index)))
    while not tried.all():
        competing = [living[random.integers(len(living))] for _ in range(sample)]
        _, child = max(competing, key=lambda trial: trial[0])
        while tried[child]:  # a child that has been tried has children in its place
            child = mutated(child, random)
        tried[child] = True
        living.append(((yield child), child))


def mutated(index: int, random: np.random.Generator) -> int:
    """Returns a cell with another operation on one edge, both drawn evenly."""
    edge, step = random.integers(len(EDGES)), 1 + random.integers(len(EDGE_PRIMITIVES) - 1)
    place = len(EDGE_PRIMITIVES) ** (len(EDGES) - 1 - edge)
    digit = index // place % len(EDGE_PRIMITIVES)
    return int(index + ((digit + step) % len(EDGE_PRIMITIVES) - digit) * place)


def bayesian(
    random: np.random.Generator, first: int = FIRST, confidence: float = CONFIDENCE
) -> Method:
    """Chooses the highest upper confidence bound by a Gaussian process over all cells.

    The process models -log(100 - accuracy), in standard deviations of what was seen. Its
    covariance is ρ^d for cells that differ on d edges. ρ and the noise are those of the highest
    marginal likelihood, chosen again whenever the number of trials has doubled (Rasmussen and
    Williams 2006, sections 2.2 and 5.4).

    Args:
        random: source of all draws.
        first: number of random trials at first, 2 or more.
        confidence: standard deviations above the mean.
    """
    cells = [int(index) for index in random.choice(CELLS, first, replace=False)]
    seen = []
    for index in cells:
        seen.append(_modelled((yield index)))
    refit = 0
    while len(cells) < CELLS:
        if len(cells) >= refit:
            process, refit = _fitted(cells, np.array(seen)), 2 * len(cells)
        mean, deviation = process.predicted()
        bound = mean + confidence * deviation
        bound[cells] = -np.inf
        index = int(bound.argmax())
        cells.append(index)
        seen.append(_modelled((yield index)))
        process.add(index, seen[-1])


def _modelled(accuracy: float) -> float:
    """Returns what a Gaussian process models of an accuracy; finite for 100 % too."""
    return -np.log(100.5 - accuracy)


METHODS: dict[str, Callable[..., Method]] = {
    "random": random_search,
    "evolution": evolution,
    "bayesian": bayesian,
}
"""Methods by name: functions of a random generator and of their own settings."""


class _Process:
    """Gaussian process over all cells, to which trials are added one by one.

    With K the covariance of the trials, L its Cholesky factor, k the covariance of the trials with
    all cells and y the values of the trials, the mean is kᵀ K⁻¹ y = (L⁻¹ k)ᵀ L⁻¹ y and the variance
    1 - Σ (L⁻¹ k)² (Rasmussen and Williams 2006, algorithm 2.1). A new trial is one more row of L
    and L⁻¹ k, which adds one term to both sums.

    Args:
        cells: indices of the first trials.
        values: their values.
        similarity: ρ, covariance of cells that differ on one edge.
        noise: variance of a trial's noise.
    """

    def __init__(self, cells: Sequence[int], values: np.ndarray, similarity: float, noise: float):
        self.covariances = _covariances(similarity)
        self.noise = noise
        self.values = list(values)
        between = self.covariances[_distances(cells)]
        factor = np.linalg.cholesky(between[:, cells] + noise * np.eye(len(cells)))
        rows = solve_triangular(
            factor, np.column_stack([between, values, np.ones(len(cells))]), lower=True
        )
        self.along = rows.astype(np.float32)
        self.count = len(cells)
        self.explained = np.square(self.along[:, :CELLS]).sum(0)
        self.sums = self.along[:, CELLS:].T @ self.along[:, :CELLS]

    def add(self, index: int, value: float) -> None:
        """Adds a trial."""
        if self.count == len(self.along):
            self.along = np.vstack([self.along, np.empty_like(self.along)])
        before = self.along[: self.count]
        row = before[:, index]
        target = np.append(self.covariances[_distances([index])[0]], [value, 1.0])
        new = (target - row @ before) / np.sqrt(1 + self.noise - row @ row)
        self.along[self.count] = new
        self.count += 1
        self.values.append(value)
        self.explained += new[:CELLS] ** 2
        self.sums += new[CELLS:, None] * new[:CELLS]

    def predicted(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation of all cells, `(cells,)` each.

        They are in standard deviations of the trials, above their mean.
        """
        of_values, of_ones = self.sums
        mean = (of_values - np.mean(self.values) * of_ones) / (np.std(self.values) or 1.0)
        return mean, np.sqrt(np.maximum(1 - self.explained, 0))


def _covariances(similarity: float) -> np.ndarray:
    """Returns the covariance of two cells by the number of edges on which they differ."""
    return similarity ** np.arange(1.0 + len(EDGES))


def _distances(cells: Sequence[int]) -> np.ndarray:
    """Returns the number of edges on which cells differ from all, `(len(cells), CELLS)`."""
    return sum((digits[cells, None] != digits for digits in DIGITS), np.int8(0))


def _fitted(cells: Sequence[int], values: np.ndarray) -> _Process:
    """Returns the process of the highest marginal likelihood of a grid."""
    distances = _distances(cells)[:, cells]
    standardized = (values - values.mean()) / (values.std() or 1.0)

    def evidence(similarity, noise):
        covariance = _covariances(similarity)[distances] + noise * np.eye(len(cells))
        factor = np.linalg.cholesky(covariance)
        whitened = solve_triangular(factor, standardized, lower=True)
        return -0.5 * whitened @ whitened - np.log(np.diag(factor)).sum()

    return _Process(cells, values, *max(GRID, key=lambda pair: evidence(*pair)))


@dataclasses.dataclass(frozen=True, eq=False)
class Trials:
    """Cells that a baseline tried, in that order.

    Attributes:
        cells: index of each cell, `(trials,)`.
        seen: accuracy of the training of each cell in percent, `(trials,)`.
        seconds: time that had been spent when each training ended, `(trials,)`.
    """

    cells: np.ndarray
    seen: np.ndarray
    seconds: np.ndarray

    def chosen(self, allowance: Allowance) -> int | None:
        """Returns the cell that looked best in the trials within a budget; None without trials."""
        spent = self.seconds if allowance.unit == "seconds" else 1 + np.arange(len(self.cells))
        count = np.searchsorted(spent, allowance.most, "right")
        return int(self.cells[self.seen[:count].argmax()]) if count else None


def conducted(method: str, trained: Trained, allowance: Allowance, seed: int, **settings) -> Trials:
    """Lets a method try cells until its budget is spent.

    Every training shows one of the cell's runs, drawn evenly.

    Args:
        method: a key of `METHODS`.
        trained: accuracies and times on the data set that is searched on.
        allowance: budget in trials, or in seconds of training; a training that would end after it
            is not begun.
        seed: of all draws.
        settings: of the method.

    Raises:
        InputError: an unknown method, a budget in epochs, or a table without times.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if allowance.unit not in ("trials", "seconds"):
        raise InputError(
            "Expected a budget in trials or in seconds of training: a table has whole trainings. "
            f"Received: {allowance.unit}"
        )
    if trained.seconds is None:
        raise InputError("Expected a table with the seconds of trainings. Received: none")
    random = np.random.default_rng(seed)
    asking = METHODS[method](random, **settings)
    counts = np.isfinite(trained.runs).sum(1)
    cells, seen, seconds, spent = [], [], [], 0.0
    answer = None
    while len(cells) < CELLS:
        index = asking.send(answer)
        spent += float(trained.seconds[index])
        over = spent if allowance.unit == "seconds" else len(cells) + 1
        if over > allowance.most:
            break
        answer = float(trained.runs[index, random.integers(counts[index])])
        cells.append(index)
        seen.append(answer)
        seconds.append(spent)
    asking.close()
    return Trials(np.array(cells, int), np.array(seen), np.array(seconds))


def chosen_cells(
    method: str,
    trained: Trained,
    allowances: Sequence[Allowance],
    seeds: Sequence[int],
    **settings,
) -> np.ndarray:
    """Returns the cells that a method chooses with several budgets and seeds.

    Args:
        method: a key of `METHODS`.
        trained: accuracies and times on the data set that is searched on.
        allowances: budgets of the same unit.
        seeds: one run for each.
        settings: of the method.

    Returns:
        Indices of cells, `(budgets, seeds)`.

    Raises:
        InputError: see `conducted`; or a budget that is too small for a single training.
    """
    largest = max(allowances, key=lambda allowance: allowance.most)
    chosen = []
    for seed in seeds:
        trials = conducted(method, trained, largest, seed, **settings)
        chosen.append([trials.chosen(allowance) for allowance in allowances])
        if None in chosen[-1]:
            raise InputError(
                "Expected a budget of at least one training. Received: "
                f"{min(a.most for a in allowances):,g} {largest.unit}"
            )
    return np.array(chosen).T


def accuracies(truth: Truth, cells: np.ndarray) -> Mapping[str, tuple[float, float]]:
    """Returns mean and standard deviation of the accuracies of cells, by data set in percent.

    Args:
        truth: the table.
        cells: indices, two or more.
    """
    values = {name: trained.accuracy[cells] for name, trained in truth.items()}
    return {name: (float(each.mean()), float(each.std(ddof=1))) for name, each in values.items()}
