"""Cells with an operation on every edge: genotype, notation, texts, derivation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from darts_tf.errors import InputError
from darts_tf.spaces.cell import EDGE_PRIMITIVES
from darts_tf.spaces.collapse import describe_collapse, is_connected
from darts_tf.spaces.derivation import derive_genotype
from darts_tf.spaces.difference import changes, describe_changes
from darts_tf.spaces.genotype import (
    EdgeGenotype,
    Genotype,
    RecurrentGenotype,
    abbreviated,
    cell_table,
    cells_in_words,
)
from darts_tf.spaces.notation import edge_digits, parse, to_edge_notation, to_nni, to_python
from darts_tf.spaces.search_spaces import NAS_BENCH_201, SPACES, Space, edge_space
from darts_tf.spaces.zoo import GENOTYPES, load_genotype, short_name

NOTATION = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
OPERATIONS = (
    *("nor_conv_3x3", "none", "skip_connect"),
    *("skip_connect", "nor_conv_3x3", "avg_pool_3x3"),
)
GENOTYPE = EdgeGenotype(OPERATIONS)
SPACE = SPACES[NAS_BENCH_201]


def test_space_is_that_of_the_benchmark():
    assert SPACE.primitives == EDGE_PRIMITIVES
    assert SPACE.shapes == ((6, 5),)
    assert SPACE.edges == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert SPACE.cells() == 15_625
    assert SPACE.genotype_class is EdgeGenotype
    assert (SPACE.kinds, SPACE.output, SPACE.normalized_pools) == (("cell",), "last", False)


def test_operations_are_in_the_order_of_the_edges():
    (cell,) = GENOTYPE.cells
    edges = [(source, target) for _, source, target in cell.edges]
    assert edges == list(SPACE.edges)
    assert [name for name, *_ in cell.edges] == list(OPERATIONS)
    assert cell.concat == (3,)


def test_notation_is_that_of_the_benchmark():
    assert str(GENOTYPE) == NOTATION
    assert parse(f"{NOTATION}\n") == load_genotype(NOTATION) == GENOTYPE
    assert to_edge_notation(GENOTYPE) == f"{NOTATION}\n"


@pytest.mark.parametrize("seed", range(5))
def test_notation_and_json_restore_every_cell(seed, tmp_path):
    names = np.random.default_rng(seed).choice(EDGE_PRIMITIVES, 6)
    genotype = EdgeGenotype(tuple(map(str, names)))
    assert parse(str(genotype)) == parse(genotype.to_json()) == genotype
    genotype.save(tmp_path / "genotype.json")
    assert load_genotype(tmp_path) == load_genotype(tmp_path, recurrent=None) == genotype


def test_edges_of_a_node_may_be_in_any_order():
    assert parse("|none~0|+| skip_connect~1 | nor_conv_1x1~0 |") == EdgeGenotype(
        ("none", "nor_conv_1x1", "skip_connect")
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("|nor_conv_3x3~1|", r"node 1 to have one edge from each of the states 0. .*edges from 1$"),
        ("|none~0|+|none~0|", "node 2 to have one edge from each of the states 0, 1"),
        ("|none~0|+|none~0|none~0|", "node 2 .*edges from 0, 0$"),
        ("|none~0|+|none~0|none~x|", "node 2 .*edges from 0, x$"),
        ("|conv_3x3~0|", "the operation from 0 to 1 to be one of .*Received: .*'conv_3x3'"),
        ("|none~0|+none~0|none~1|", r"node 2 as \|OPERATION~STATE\|"),
        ("|none|", r"node 1 as \|OPERATION~STATE\|"),
        ("|none~0|+", r"node 2 as \|OPERATION~STATE\|"),
        ("|", r"node 1 as \|OPERATION~STATE\|"),
    ],
)
def test_wrong_notation_is_told_in_one_line(text, says):
    with pytest.raises(InputError, match=says) as error:
        load_genotype(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        ((), "an operation for every edge .*Received: 0"),
        (("none",) * 2, "1 for one node, 3 for two, 6 for three. Received: 2"),
        ("none", "Received: 'none'"),
        (("none", "none", "relu"), r"operations\[2\] to be one of"),
        (("none", "none", None), r"operations\[2\]"),
    ],
)
def test_invalid_operations_are_refused(operations, says):
    with pytest.raises(InputError, match=says):
        EdgeGenotype(operations)


def test_other_kinds_of_genotypes_have_no_such_notation():
    with pytest.raises(InputError, match="Received: a normal cell and a reduction cell"):
        to_edge_notation(GENOTYPES["DARTS_V2"])
    for write in (to_python, to_nni):
        with pytest.raises(InputError, match="Received: a cell"):
            write(GENOTYPE)
    with pytest.raises(InputError, match="Expected a recurrent cell, for text"):
        load_genotype(NOTATION, recurrent=True)


def test_keys_of_tables_are_indices_of_operations():
    assert edge_digits(GENOTYPE) == "301134"
    assert short_name(NOTATION) == "cell-301134"
    assert short_name("|max_pool_3x3~0|") == "cell-max_pool_3x3"
    with pytest.raises(InputError, match="operation to be one of"):
        edge_digits(EdgeGenotype(("max_pool_3x3",)))


def test_metrics_have_the_whole_notation():
    assert abbreviated(GENOTYPE) == NOTATION


def test_cell_in_words_leaves_out_edges_with_none():
    lines = cells_in_words(GENOTYPE).splitlines()
    assert lines[:5] == [
        "cell",
        "  node 1 = nor_conv_3x3 from input 0",
        "  node 2 = skip_connect from node 1",
        "  node 3 = skip_connect from input 0 + nor_conv_3x3 from node 1 + "
        "avg_pool_3x3 from node 2",
        "  output = node 3",
    ]
    assert "  node 1 = zero" in cells_in_words(EdgeGenotype(("none",))).splitlines()


def test_table_of_a_cell_has_all_edges():
    header, rows = cell_table(*GENOTYPE.cells)
    assert header == ("node", "first edge", "second edge", "third edge", "in the output")
    assert rows[0] == ("node 1", "nor_conv_3x3 from input 0", "", "", "no")
    assert rows[1] == ("node 2", "none from input 0", "skip_connect from node 1", "", "no")


def test_changed_edges_are_named():
    other = EdgeGenotype((*OPERATIONS[:5], "none"))
    (change,) = changes(GENOTYPE, other)
    assert str(change) == "cell node 3: avg_pool_3x3 from node 2 -> none from node 2"
    assert describe_changes(GENOTYPE, other).startswith("1 of 6 edges changed: ")
    with pytest.raises(InputError, match="the same nodes"):
        changes(GENOTYPE, GENOTYPES["DARTS_V2"])


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("333133", ""),
        ("111113", "the cell is 5 of 6 skip connections"),
        ("111444", "the cell has pools and skip connections alone, nothing that learns"),
        ("330000", "the output of the cell does not depend on its input"),
        ("033033", ""),
    ],
)
def test_degenerate_cells_are_described(digits, words):
    assert describe_collapse(EdgeGenotype(tuple(EDGE_PRIMITIVES[int(d)] for d in digits))) == words


def test_connection_is_that_of_a_search_of_all_paths():
    ways = [((0, 3),), ((0, 1), (1, 3)), ((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3))]
    for there in itertools.product((False, True), repeat=6):
        edges = {edge for edge, kept in zip(SPACE.edges, there, strict=True) if kept}
        names = ["skip_connect" if kept else "none" for kept in there]
        connected = any(edges >= set(way) for way in ways)
        assert is_connected(*EdgeGenotype(tuple(names)).cells) == connected


@pytest.mark.parametrize("relaxation", ["softmax", "sigmoid", "gumbel"])
def test_every_edge_keeps_its_strongest_operation(relaxation):
    for seed in range(10):
        alphas = np.random.default_rng(seed).normal(size=(6, 5))
        names = [EDGE_PRIMITIVES[column] for column in alphas.argmax(axis=1)]
        assert derive_genotype(SPACE, [alphas], relaxation) == EdgeGenotype(tuple(names))


def test_edge_alphas_do_not_change_the_operations():
    alphas, over = np.random.default_rng(0).normal(size=(6, 5)), np.arange(6.0)
    assert derive_genotype(SPACE, [alphas, over]) == derive_genotype(SPACE, [alphas])


def test_derivation_may_leave_none_out():
    space = edge_space(allow_none=False)
    alphas = np.zeros((6, 5))
    alphas[:, 0], alphas[:, 2] = 2.0, 1.0
    assert derive_genotype(SPACE, [alphas]) == EdgeGenotype(("none",) * 6)
    assert derive_genotype(space, [alphas]) == EdgeGenotype(("nor_conv_1x1",) * 6)


def test_skip_connections_are_limited():
    alphas = np.zeros((6, 5))
    alphas[:, 1], alphas[:, 3] = np.arange(1, 7), 0.5
    genotype = derive_genotype(SPACE, [alphas], max_skips=2)
    assert genotype.operations == ("nor_conv_3x3",) * 4 + ("skip_connect",) * 2


def test_derivation_needs_as_many_arrays_as_kinds_of_cells():
    with pytest.raises(InputError, match="Expected 1 or 2 arrays. Received: 4"):
        derive_genotype(SPACE, [np.zeros((6, 5))] * 4)


@pytest.mark.parametrize("name", SPACES)
def test_json_restores_a_space(name):
    assert Space.from_dict(SPACES[name].to_dict()) == SPACES[name]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"nodes": "3"}, "nodes to be an integer"),
        ({"candidates": [[["none"]] * 6]}, "another primitive beside none"),
        ({"candidates": [[["conv"]] * 6]}, "primitive to be one of"),
        ({"nodes": 2}, "primitives of the 3 edges"),
        ({"output": "first"}, "output to be one of"),
        ({"size": 1}, "Expected the fields nodes, candidates,"),
    ],
)
def test_damaged_spaces_are_refused(changed, says):
    with pytest.raises(InputError, match=says):
        Space.from_dict({**SPACE.to_dict(), **changed})


@pytest.mark.parametrize("kind", [Genotype, RecurrentGenotype])
def test_all_kinds_of_genotypes_are_made_of_pairs(kind):
    cells = {
        Genotype: [(("skip_connect", 0), ("skip_connect", 1))] * 2,
        RecurrentGenotype: [(("tanh", 0), ("relu", 1))],
    }[kind]
    genotype = kind.of_pairs(cells)
    assert [cell.pairs for cell in genotype.cells] == cells
    assert [cell.kind for cell in genotype.cells] == list(kind.kinds)
