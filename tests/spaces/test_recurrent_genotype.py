"""The space of recurrent cells, and derivation against the reference's 40 cases."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from golden_data import FOLDER

from darts_tf.spaces import cell
from darts_tf.spaces.derivation import derive_recurrent


def test_derivation_is_that_of_the_reference():
    cases = json.loads((FOLDER / "derive_rnn.json").read_text())
    assert len(cases) == 40
    for case in cases:
        genotype = derive_recurrent(case["alphas"])
        assert [list(pair) for pair in genotype.recurrent] == case["recurrent"]
        assert list(genotype.concat) == case["concat"]


def test_none_takes_its_share_but_is_never_derived():
    alphas = np.zeros((3, 5))
    alphas[:, 0] = [9, 0, 9]
    alphas[1, 3] = 0.1
    alphas[2, 1] = 1  # more than 0.1, but the rest of its softmax is at `none`
    assert derive_recurrent(alphas).recurrent == (("tanh", 0), ("sigmoid", 0))


def test_of_equals_the_first_wins():
    assert derive_recurrent(np.zeros((6, 5))).recurrent == (("tanh", 0),) * 3


@pytest.mark.parametrize(
    ("alphas", "message"),
    [
        (np.zeros((35, 5)), "36 for eight, and so on. Received: rows=35"),
        (np.zeros((36, 4)), r"shape \(edges, 5\). Received: alphas.shape=\(36, 4\)"),
        (np.full((1, 5), np.nan), r"finite numbers. Received: alphas\[0, 0\]=nan"),
    ],
)
def test_alphas_of_no_cell_are_refused(alphas, message):
    with pytest.raises(ValueError, match=message):
        derive_recurrent(alphas)


def test_space_has_the_published_size():
    assert cell.count_recurrent_cells() == 2_642_411_520
    assert len(cell.recurrent_edges()) == 36


def test_count_agrees_with_enumeration():
    nodes = [[*itertools.product(range(2), range(1 + node))] for node in range(3)]
    expected = len(set(itertools.product(*nodes)))
    assert cell.count_recurrent_cells(3, 2) == expected


def test_nodes_of_inverts_the_number_of_edges():
    for nodes in range(1, 20):
        assert cell.recurrent_nodes_of(len(cell.recurrent_edges(nodes))) == nodes
