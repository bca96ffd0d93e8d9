"""Genotypes: validation, JSON, the zoo, and derivation against the reference's 40 cases."""

from __future__ import annotations

import ast
import dataclasses
import json
import pathlib
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_tf.spaces.cell import ALL_PRIMITIVES, PRIMITIVES, edges
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.genotype import (
    Genotype,
    RecurrentGenotype,
    abbreviated,
    cell_table,
    cells_in_words,
)
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "derive_cnn.json"
V2 = GENOTYPES["DARTS_V2"]
FAST = settings(max_examples=50, deadline=None)


@st.composite
def cells(draw):
    """The pairs and the concat of any discrete cell of up to five nodes."""
    nodes = draw(st.integers(1, 5))
    pairs = [
        (draw(st.sampled_from(ALL_PRIMITIVES[1:])), draw(st.integers(0, 1 + i // 2)))
        for i in range(2 * nodes)
    ]
    states = st.integers(2, 1 + nodes)
    return tuple(pairs), tuple(draw(st.lists(states, min_size=1, unique=True)))


@st.composite
def alphas(draw):
    """Alphas whose sums with small integers are exact, often with ties."""
    rows = len(edges(draw(st.integers(1, 5))))
    eighths = st.lists(st.integers(-40, 40), min_size=8, max_size=8)
    return np.array(draw(st.lists(eighths, min_size=rows, max_size=rows))) / 8


def changed(**fields) -> Genotype:
    return dataclasses.replace(V2, **fields)


# The cell


@given(normal=cells(), reduce=cells())
@FAST
def test_json_round_trip_gives_an_equal_genotype(normal, reduce):
    genotype = Genotype(*normal, *reduce)
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert set(json.loads(genotype.to_json())) == {
        *("normal", "normal_concat", "reduce", "reduce_concat")
    }


def test_genotype_is_hashable_and_takes_lists_and_numpy_integers():
    lists = Genotype(
        normal=[[primitive, np.int64(source)] for primitive, source in V2.normal],
        normal_concat=range(2, 6),
        reduce=[list(pair) for pair in V2.reduce],
        reduce_concat=[2, 3, 4, 5],
    )
    assert lists == V2
    assert {lists: 1}[V2] == 1
    assert type(lists.normal[0][1]) is int


def test_str_is_one_line_a_cell():
    assert str(V2).splitlines() == [
        "normal  sep_conv_3x3 0, sep_conv_3x3 1 | sep_conv_3x3 0, sep_conv_3x3 1 | "
        "sep_conv_3x3 1, skip_connect 0 | skip_connect 0, dil_conv_3x3 2 -> 2 3 4 5",
        "reduce  max_pool_3x3 0, max_pool_3x3 1 | skip_connect 2, max_pool_3x3 1 | "
        "max_pool_3x3 0, skip_connect 2 | skip_connect 2, max_pool_3x3 1 -> 2 3 4 5",
    ]


@pytest.mark.parametrize("genotype", [V2, RECURRENT_GENOTYPES["DARTS_V2"]], ids=["cnn", "rnn"])
def test_notebooks_show_a_picture(genotype):
    root = ElementTree.fromstring(genotype._repr_svg_())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "`->`" in type(genotype).__doc__  # what the short notation means


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"normal": [("sep_conv_3x4", 0)] * 8}, "normal.0.*Did you mean 'sep_conv_3x3'"),
        ({"normal": [("none", 0)] * 8}, "Expected the primitive of normal.0.*Received: .*'none'"),
        ({"reduce": [(3, 0)] * 8}, "Expected the primitive of reduce.0.*Received: .*3"),
        ({"reduce": [(["max_pool_3x3"], 0)] * 8}, "Expected the primitive of reduce.0"),
        ({"normal": V2.normal[:4] + (("skip_connect", 4),) * 4}, "normal.4.*0 to 3.*input=4"),
        ({"normal": [("skip_connect", -1)] * 8}, "0 to 1. Received: input=-1"),
        ({"normal": [("skip_connect", 1.0)] * 8}, "0 to 1. Received: input=1.0"),
        ({"normal": [("skip_connect", True)] * 8}, "0 to 1. Received: input=True"),
        ({"normal": V2.normal[:7]}, "Expected normal to hold two .*Received: 7 pairs"),
        ({"reduce": ()}, "Expected reduce to hold two .*Received: 0 pairs"),
        ({"reduce": "skip"}, "Expected reduce to hold two .*Received: 'skip'"),
        ({"normal": ["skip_connect", 0]}, "Expected normal.0. to be a .primitive, input. pair"),
        ({"normal_concat": ()}, "normal_concat to be a list of different nodes. Received: ()"),
        ({"normal_concat": (2, 2)}, "normal_concat to be a list of different nodes"),
        ({"normal_concat": 5}, "normal_concat to be a list of different nodes. Received: 5"),
        ({"normal_concat": ("2",)}, "normal_concat to be a list of different nodes"),
        ({"reduce_concat": (1, 2)}, "reduce_concat to hold nodes of the cell, 2 to 5. Received"),
        ({"reduce_concat": (5, 6)}, "reduce_concat to hold nodes of the cell, 2 to 5. Received"),
    ],
)
def test_impossible_cell_is_rejected_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message) as raised:
        changed(**fields)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expected JSON. Received: .* at line 1 column 1"),
        ('{"normal":\n oops}', "Expected JSON. Received: .* at line 2 column 2"),
        ("[" * 100_000, "nested too deep"),
        ("[1, 2]", "with the keys normal, normal_concat, .*Received: list"),
        ('{"normal": []}', "with the keys .*Received: .'normal'."),
        (V2.to_json().replace('"reduce"', '"reduction"'), "with the keys .*'reduction'"),
        (V2.to_json().replace(", 0]", ", NaN]"), "input=nan"),
        (V2.to_json().replace("skip_connect", "__import__('os')"), "Expected the primitive"),
    ],
)
def test_from_json_rejects_what_is_no_genotype(text, message):
    with pytest.raises(ValueError, match=message) as raised:
        Genotype.from_json(text)
    assert "\n" not in str(raised.value)


def test_genotype_module_never_evaluates_text():
    source = pathlib.Path(__file__).parents[2] / "darts_tf" / "spaces" / "genotype.py"
    names = {node.id for node in ast.walk(ast.parse(source.read_text())) if hasattr(node, "id")}
    assert not names & {"eval", "exec", "compile", "__import__", "pickle"}


# Files


def test_save_leaves_the_old_file_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "genotype.json"
    path.write_text("old")
    monkeypatch.setattr(pathlib.Path, "write_text", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        V2.save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# Derivation


def test_derive_agrees_with_the_reference_on_every_golden_case():
    cases = json.loads(GOLDEN.read_text())
    assert len(cases) == 40
    for case in cases:
        genotype = derive(case["alphas_normal"], case["alphas_reduce"])
        assert genotype.normal == tuple(map(tuple, case["normal"]))
        assert genotype.reduce == tuple(map(tuple, case["reduce"]))
        assert genotype.normal_concat == genotype.reduce_concat == tuple(case["concat"])


@given(alphas=alphas())
@FAST
def test_derive_takes_two_different_edges_a_node_and_never_none(alphas):
    genotype = derive(alphas, alphas)
    assert genotype.normal_concat == tuple(range(2, 2 + len(genotype.normal) // 2))
    for first, second in zip(genotype.normal[::2], genotype.normal[1::2], strict=True):
        assert first[1] != second[1]
        assert "none" not in (first[0], second[0])


@given(alphas=alphas(), shift=st.integers(-30, 30), row=st.integers(0, 1))
@FAST
def test_derive_ignores_a_constant_added_to_a_row(alphas, shift, row):
    shifted = alphas.copy()
    shifted[row] += shift
    assert derive(shifted, alphas) == derive(alphas, shifted) == derive(alphas, alphas)


def test_derive_counts_the_share_of_none_but_never_keeps_it():
    alphas = np.zeros((5, 8))
    alphas[2:, 4] = [1.0, 1.1, 1.2]  # the second node's edges: 2 > 1 > 0 ...
    alphas[4, 0] = 9.0  # ... but `none` takes nearly all of the strongest
    assert derive(alphas, alphas).normal == (
        *(("max_pool_3x3", 0), ("max_pool_3x3", 1)),  # ties: the first edge, the first operation
        *(("sep_conv_3x3", 1), ("sep_conv_3x3", 0)),
    )


def test_derive_survives_large_alphas_and_takes_other_primitives():
    alphas = np.array([[1e4, -1e4], [0.0, 1e4]])
    genotype = derive(alphas, alphas, primitives=("skip_connect", "sep_conv_5x5"))
    assert genotype.normal == (("skip_connect", 0), ("sep_conv_5x5", 1))


@pytest.mark.parametrize(
    ("alphas", "message"),
    [
        (np.zeros((14, 7)), r"shape \(edges, 8\). Received: alphas_reduce.shape=\(14, 7\)"),
        (np.zeros(14), r"Received: alphas_reduce.shape=\(14,\)"),
        (np.zeros((13, 8)), "Received: rows=13"),
        (np.zeros((0, 8)), "Received: rows=0"),
        (np.full((2, 8), np.nan), r"finite numbers. Received: alphas_reduce\[0, 0\]=nan"),
        (np.full((2, 8), np.inf), r"finite numbers. Received: alphas_reduce\[0, 0\]=inf"),
    ],
)
def test_derive_rejects_what_are_no_alphas(alphas, message):
    with pytest.raises(ValueError, match=message):
        derive(np.zeros((2, len(PRIMITIVES))), alphas)


def test_cells_have_one_table_for_people():
    genotype = GENOTYPES["DARTS_V2"]
    header, rows = cell_table(genotype.cells[0])
    assert header == ("node", "first edge", "second edge", "in the output")
    assert rows[-1] == ("node 5", "skip_connect from input 0", "dil_conv_3x3 from node 2", "yes")
    header, rows = cell_table(RecurrentGenotype((("tanh", 0), ("relu", 1)), (2,)).cells[0])
    assert header == ("node", "edge", "in the output")
    assert rows == [("node 1", "tanh from input 0", "no"), ("node 2", "relu from node 1", "yes")]


def test_metrics_keep_the_abbreviated_form_of_their_first_version():
    assert abbreviated(GENOTYPES["DARTS_V2"]) == (
        "normal  sep3 0, sep3 1 | sep3 0, sep3 1 | sep3 1, skip 0 | skip 0, dil3 2 -> 2 3 4 5\n"
        "reduce  max3 0, max3 1 | skip 2, max3 1 | max3 0, skip 2 | skip 2, max3 1 -> 2 3 4 5"
    )
    assert abbreviated(RecurrentGenotype([("tanh", 0)], [1])) == "tanh 0 -> 1"


@pytest.mark.parametrize("genotype", [*GENOTYPES.values(), *RECURRENT_GENOTYPES.values()])
def test_cells_in_words_have_every_edge_and_fit_a_terminal(genotype):
    lines = cells_in_words(genotype).splitlines()
    assert max(map(len, lines)) <= 80
    cells = {"normal", "reduce", "recurrent"} & set(vars(genotype))
    pairs = [pair for cell in cells for pair in getattr(genotype, cell)]
    words = " ".join(line.partition(" = ")[2] for line in lines if line.startswith("  node"))
    assert words.count(" from ") == len(pairs)
    assert all(words.count(f"{name} from") >= 1 for name, _ in pairs)


def test_cells_in_words_name_nodes_and_output():
    lines = cells_in_words(V2).splitlines()
    assert lines[:2] == [
        "normal cell",
        "  node 2 = sep_conv_3x3 from input 0 + sep_conv_3x3 from input 1",
    ]
    assert lines[5] == "  output = channels of nodes 2, 3, 4, 5"
