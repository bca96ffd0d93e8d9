"""Signs of collapse: skip connections, entropies, and degenerate cells in words."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest

from darts_tf.configs import SearchConfig
from darts_tf.spaces.cell import PRIMITIVES, edges
from darts_tf.spaces.collapse import COLLAPSED, count_skips, describe_collapse
from darts_tf.spaces.derivation import derive, mean_entropy
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

ROWS = len(edges())
SKIP, SEP = PRIMITIVES.index("skip_connect"), PRIMITIVES.index("sep_conv_3x3")


def with_skips(count: int, other: str = "sep_conv_3x3") -> Genotype:
    normal = [("skip_connect" if i < count else other, i % 2) for i in range(8)]
    nodes = (2, 3, 4, 5)
    return Genotype(normal, nodes, GENOTYPES["DARTS_V2"].reduce, nodes)


def test_entropy_of_undecided_edges_is_the_logarithm_of_their_operations():
    assert mean_entropy(np.full((5, 8), 3.0)) == pytest.approx(math.log(8))


def test_entropy_is_the_mean_over_edges():
    shares = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    expected = -np.mean(np.sum(shares * np.log(shares), axis=1))
    assert mean_entropy(np.log(shares) + 7) == pytest.approx(expected)


def test_entropy_of_decided_edges_is_nothing():
    assert mean_entropy(1e4 * np.eye(5)) == 0


def test_many_skips_are_said_in_words():
    assert describe_collapse(with_skips(4)) == ""
    assert describe_collapse(with_skips(6)) == "the normal cell is 6 of 8 skip connections"


def test_remedies_are_settings_of_a_search():
    fields = {field.name for field in dataclasses.fields(SearchConfig)}
    flags = re.findall(r"--([a-z-]+)", COLLAPSED)
    assert len(flags) == 3
    assert {flag.replace("-", "_") for flag in flags} <= fields


def test_a_normal_cell_that_learns_nothing_is_said_in_words():
    assert "nothing that learns" in describe_collapse(with_skips(3, "avg_pool_3x3"))


def test_a_linear_recurrent_cell_is_said_in_words():
    assert "linear" in describe_collapse(
        RecurrentGenotype([("identity", 0), ("identity", 1)], (1, 2))
    )


DEGENERATE = {"OLES_CIFAR100": "the normal cell is 5 of 8 skip connections"}
"""Published cells that resemble those of a collapsed search."""


@pytest.mark.parametrize("name", [*GENOTYPES, *RECURRENT_GENOTYPES])
def test_few_published_cells_are_degenerate(name):
    for zoo in (GENOTYPES, RECURRENT_GENOTYPES):
        if name in zoo:
            assert describe_collapse(zoo[name]) == DEGENERATE.get(name, "")


# Limits at derivation


def drawn_alphas(seed: int) -> np.ndarray:
    """Returns random alphas of a cell that prefers skip connections."""
    alphas = np.random.default_rng(seed).normal(size=(ROWS, len(PRIMITIVES)))
    alphas[:, SKIP] += 3
    return alphas


def by_hand(alphas: np.ndarray, most: int) -> list[tuple[str, int]]:
    """The rule of P-DARTS, written otherwise: with probabilities that are struck out."""
    odds = np.exp(alphas) / np.exp(alphas).sum(1, keepdims=True)
    odds[:, 0] = 0
    while True:
        chosen = []
        for target in range(2, 6):
            rows = [i for i, edge in enumerate(edges()) if edge[1] == target]
            rows.sort(key=lambda i: -odds[i].max())
            chosen += [(i, int(odds[i].argmax())) for i in rows[:2]]
        skips = [i for i, k in chosen if k == SKIP]
        if len(skips) <= most:
            return [(PRIMITIVES[k], edges()[i][0]) for i, k in chosen]
        odds[min(skips, key=lambda i: odds[i, SKIP]), SKIP] = 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", range(4))
def test_derivation_leaves_the_strongest_skips(seed, most):
    alphas, reduce = drawn_alphas(seed), drawn_alphas(seed + 100)
    free, limited = derive(alphas, reduce), derive(alphas, reduce, max_skips=most)
    assert count_skips(free.normal) > most
    assert count_skips(limited.normal) <= most
    assert list(limited.normal) == by_hand(alphas, most)
    assert limited.reduce == free.reduce


def test_a_limit_that_is_kept_changes_nothing():
    alphas = drawn_alphas(0)
    free = derive(alphas, alphas)
    assert derive(alphas, alphas, max_skips=count_skips(free.normal)) == free


def test_the_weakest_skip_takes_the_next_best_operation_of_its_edge():
    """Two nodes of two and three edges: the limit moves one operation and no edge."""
    alphas = np.full((5, len(PRIMITIVES)), -20.0)
    alphas[:, SKIP] = [3.0, 2.0, 4.0, 5.0, -20.0]
    alphas[:, SEP] = [1.0, 1.0, 1.0, 1.0, -20.0]
    alphas[4] = 0.0
    before, after = (derive(alphas, alphas, max_skips=most).normal for most in (4, 3))
    assert before == tuple(("skip_connect", i) for i in (0, 1, 1, 0))
    assert after == (("skip_connect", 0), ("sep_conv_3x3", 1), *before[2:])


def test_a_limit_holds_with_weights_of_edges():
    alphas = drawn_alphas(1)
    weights = np.random.default_rng(2).normal(size=ROWS)
    cell = derive(alphas, alphas, weights, weights, max_skips=1)
    assert count_skips(cell.normal) <= 1


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_skips": -1}, "max_skips to be zero or more, or None. Received: -1"),
        ({"max_skips": 1.5}, "max_skips to be zero or more, or None. Received: 1.5"),
        ({"max_skips": True}, "max_skips to be zero or more"),
        (
            {"max_skips": 1, "primitives": ("none", "skip_connect")},
            "other operations than skip_connect to choose from",
        ),
    ],
)
def test_a_limit_that_cannot_be_is_refused(limits, message):
    columns = len(limits.get("primitives", PRIMITIVES))
    alphas = np.zeros((ROWS, columns))
    with pytest.raises(ValueError, match=message):
        derive(alphas, alphas, **limits)
