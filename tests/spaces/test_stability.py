"""Edges that cells share, compared with the paper's space in closed form and with enumerations."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.spaces.mutation import random_genotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space, recurrent_space, space_of
from darts_tf.spaces.stability import (
    describe_stability,
    expected_shared,
    shared_by_pairs,
    shared_edges,
)
from darts_tf.spaces.zoo import GENOTYPES


def test_shared_edges_have_equal_ends_and_operations_in_any_order():
    first = GENOTYPES["DARTS_V2"]
    assert shared_edges(first, first) == 16
    pairs = list(first.normal)
    pairs[0:2] = pairs[1::-1]  # another order of a node's edges
    assert shared_edges(first, dataclasses.replace(first, normal=pairs)) == 16
    pairs[2] = ("skip_connect", pairs[2][1])
    assert shared_edges(first, dataclasses.replace(first, normal=pairs)) == 15
    swapped = dataclasses.replace(first, normal=first.reduce, reduce=first.normal)
    assert shared_edges(first, swapped) < 4
    assert shared_by_pairs([first, first, swapped])[0] == 16
    assert len(shared_by_pairs([first] * 4)) == 6


def test_random_cells_of_the_papers_space_share_one_and_a_half_edges():
    """Two of n inputs with one of 7 operations: two cells share 4/(7n) edges of a node."""
    closed = 2 * sum(4 / (7 * n) for n in (2, 3, 4, 5))
    assert (
        expected_shared(SPACES[DARTS]) == pytest.approx(closed) == pytest.approx(1.4667, abs=1e-4)
    )


def test_random_cells_share_the_expected_number_of_edges():
    cells = [random_genotype(seed) for seed in range(150)]
    assert np.mean(shared_by_pairs(cells)) == pytest.approx(1.4667, abs=0.06)


def all_cells(space: Space) -> list[frozenset]:
    """Returns all derivable cells of a space with one kind of cells, as sets of edges."""
    nodes = []
    for target, into in enumerate(space.rows_by_node):
        rows = range(into.start, into.stop)
        kept = space.edges_per_node or len(rows)
        names = [
            [name for name in space.candidates[0][row] if space.allow_none or name != "none"]
            for row in range(into.stop)
        ]
        nodes.append(
            [
                frozenset((target, row, name) for row, name in zip(chosen, operations, strict=True))
                for chosen in itertools.combinations(rows, kept)
                for operations in itertools.product(*(names[row] for row in chosen))
            ]
        )
    return [frozenset().union(*parts) for parts in itertools.product(*nodes)]


@pytest.mark.parametrize(
    "space",
    [
        recurrent_space(3, ("none", "tanh", "relu")),
        Space(2, (space_of(2, ("none", "skip_connect", "max_pool_3x3")).candidates[0],)),
        Space(2, ((("none", "skip_connect"),) * 2 + (("skip_connect", "max_pool_3x3"),) * 3,)),
        Space(2, ((("none", "skip_connect"),) * 3,), 1, edges_per_node=None, allow_none=True),
    ],
)
def test_expected_number_is_the_mean_over_all_pairs_of_cells(space):
    cells = all_cells(space)
    mean = np.mean([len(a & b) for a in cells for b in cells])
    assert expected_shared(space) == pytest.approx(mean)


def test_words_compare_with_random_cells():
    first = GENOTYPES["DARTS_V2"]
    pairs = [("skip_connect", 0), ("skip_connect", 1)] * 4
    other = dataclasses.replace(first, reduce=pairs)
    shared = shared_edges(first, other)
    assert describe_stability([first, other], SPACES[DARTS]) == (
        f"cells of two seeds share {shared}.0 of 16 edges on average; two random cells share 1.5"
    )
    spread = describe_stability([first, first, other], SPACES[DARTS])
    assert f"on average, {shared} to 16; two random" in spread
    assert describe_stability([first], SPACES[DARTS]) == ""


def test_recurrent_cells_are_compared_too():
    first = RecurrentGenotype((("tanh", 0), ("relu", 1)), (1, 2))
    second = RecurrentGenotype((("tanh", 0), ("relu", 0)), (1, 2))
    assert shared_edges(first, second) == 1
