"""The search space: edges in the order of the alphas, and its published size."""

from __future__ import annotations

import itertools

import pytest

from darts_tf.spaces import cell


def test_primitives_are_the_papers_in_the_references_order():
    assert len(cell.PRIMITIVES) == 8
    assert cell.PRIMITIVES[0] == cell.NONE == "none"
    assert cell.ALL_PRIMITIVES[:8] == cell.PRIMITIVES
    assert len(set(cell.ALL_PRIMITIVES)) == 12


def test_edges_of_four_nodes_are_the_fourteen_in_order():
    assert cell.edges() == (
        *((0, 2), (1, 2)),
        *((0, 3), (1, 3), (2, 3)),
        *((0, 4), (1, 4), (2, 4), (3, 4)),
        *((0, 5), (1, 5), (2, 5), (3, 5), (4, 5)),
    )


def test_nodes_of_inverts_the_number_of_edges():
    for nodes in range(1, 40):
        assert cell.nodes_of(len(cell.edges(nodes))) == nodes


@pytest.mark.parametrize("rows", [-2, 0, 1, 3, 13, 15, 10**12])
def test_nodes_of_rejects_rows_of_no_cell(rows):
    with pytest.raises(ValueError, match=f"one row of alphas per edge.*Received: rows={rows}$"):
        cell.nodes_of(rows)


def test_count_cells_gives_the_size_of_the_papers_space():
    assert cell.count_cells() == 1_037_664_180


@pytest.mark.parametrize(("nodes", "primitives"), [(1, 3), (2, 2), (3, 1), (3, 2)])
def test_count_cells_agrees_with_enumeration(nodes, primitives):
    one_node = [
        [
            (first, second, operations)
            for first, second in itertools.combinations(range(2 + node), 2)
            for operations in itertools.product(range(primitives), repeat=2)
        ]
        for node in range(nodes)
    ]
    assert cell.count_cells(nodes, primitives) == len(set(itertools.product(*one_node)))
