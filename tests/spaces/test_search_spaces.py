"""Search spaces of DARTS' topology and of others: edges, counts, derivation and refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from darts_tf.costs.parts import Target
from darts_tf.costs.tables import CostTable, cell_costs
from darts_tf.errors import InputError
from darts_tf.layers.cells import SearchCell
from darts_tf.spaces.cell import PRIMITIVES, RECURRENT_PRIMITIVES, edges
from darts_tf.spaces.derivation import derive, derive_cell, derive_genotype, strengths
from darts_tf.spaces.genotype import EdgeGenotype, Genotype
from darts_tf.spaces.search_spaces import SPACES, Space, recurrent_space, space_of

FIVE = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "avg_pool_3x3")
EVERY_EDGE = {"inputs": 1, "edges_per_node": None, "allow_none": True, "output": "last"}
NAS_BENCH_201 = Space(3, ((FIVE,) * 6,), **EVERY_EDGE)


def test_space_of_one_input_has_its_edges():
    assert NAS_BENCH_201.edges == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert NAS_BENCH_201.rows_by_node == [slice(0, 1), slice(1, 3), slice(3, 6)]
    assert NAS_BENCH_201.columns == (5,)
    assert NAS_BENCH_201.shapes == ((6, 5),)
    assert NAS_BENCH_201.primitives == NAS_BENCH_201.all_primitives == FIVE


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_space_of_two_inputs_has_the_edges_of_darts(nodes):
    space = space_of(nodes)
    assert space.edges == edges(nodes)
    assert [space.rows[edge] for edge in space.edges] == list(range(len(space.edges)))
    targets = [{target for _, target in space.edges[into]} for into in space.rows_by_node]
    assert targets == [{2 + node} for node in range(nodes)]


def test_cells_with_an_operation_on_every_edge_are_counted():
    assert NAS_BENCH_201.cells() == 5**6 == 15_625
    without = Space(3, ((FIVE,) * 6,), **{**EVERY_EDGE, "allow_none": False})
    assert without.cells() == 4**6


@pytest.mark.parametrize("edges_per_node", [1, 2, 3, None])
@pytest.mark.parametrize("allow_none", [False, True])
def test_count_is_the_number_of_cells_that_can_be_derived(edges_per_node, allow_none):
    """Every choice of edges and operations of a cell of one input and two nodes."""
    names = ("none", "skip_connect", "sep_conv_3x3")
    space = Space(2, ((names,) * 3,), 1, edges_per_node, allow_none)
    kept = names if allow_none else names[1:]
    nodes = []
    for count in (1, 2):  # edges into each node
        most = count if edges_per_node is None else min(edges_per_node, count)
        chosen = itertools.combinations(range(count), most)
        nodes.append([(c, ops) for c in chosen for ops in itertools.product(kept, repeat=most)])
    assert space.cells() == len(list(itertools.product(*nodes)))


@pytest.mark.parametrize("relaxation", ["softmax", "sigmoid"])
def test_cell_with_an_operation_on_every_edge_is_the_argmax_of_each(relaxation):
    for seed in range(20):
        alphas = np.random.default_rng(seed).normal(size=(6, 5))
        pairs = derive_cell(NAS_BENCH_201, 0, alphas, relaxation=relaxation)
        sources = [0, 0, 1, 0, 1, 2]
        expected = [FIVE[column] for column in alphas.argmax(axis=1)]
        assert pairs == tuple(zip(expected, sources, strict=True))


def test_none_is_derived_where_it_is_allowed():
    alphas = np.zeros((6, 5))
    alphas[::2, 0] = alphas[1::2, 2] = 1.0
    kept = [name for name, _ in derive_cell(NAS_BENCH_201, 0, alphas)]
    assert kept == ["none", "sep_conv_3x3"] * 3
    without = Space(3, ((FIVE,) * 6,), **{**EVERY_EDGE, "allow_none": False})
    assert "none" not in dict(derive_cell(without, 0, alphas))
    assert strengths(without, 0, alphas)[:, 0].max() < 0 < strengths(NAS_BENCH_201, 0, alphas).min()


def test_skip_connections_are_limited_in_any_topology():
    alphas = np.zeros((6, 5))
    alphas[:, 1] = np.arange(1, 7)  # skip connections, ever stronger
    alphas[:, 2] = 0.5
    names = [name for name, _ in derive_cell(NAS_BENCH_201, 0, alphas, max_skips=2)]
    assert names == ["sep_conv_3x3"] * 4 + ["skip_connect"] * 2


def test_recurrent_cells_keep_one_edge_per_node():
    space = recurrent_space(3)
    assert space.cells() == 24 * 4**2  # 4 activations of 1, 2 and 3 states
    alphas = np.random.default_rng(0).normal(size=(6, 5))
    weights = np.exp(alphas) / np.exp(alphas).sum(1, keepdims=True)
    pairs = []
    for rows in (slice(0, 1), slice(1, 3), slice(3, 6)):
        source, column = np.unravel_index(weights[rows, 1:].argmax(), weights[rows, 1:].shape)
        pairs.append((RECURRENT_PRIMITIVES[1 + column], source))
    assert derive_cell(space, 0, alphas) == tuple(pairs)


@pytest.mark.parametrize("name", SPACES)
def test_derivation_in_a_space_is_that_of_its_candidates(name):
    space = SPACES[name]
    alphas = [np.random.default_rng(i).normal(size=shape) for i, shape in enumerate(space.shapes)]
    genotype = derive_genotype(space, alphas)
    if space.genotype_class is not Genotype:
        columns = alphas[0].argmax(axis=1)
        names = [row[column] for row, column in zip(*space.candidates, columns, strict=True)]
        assert genotype == EdgeGenotype(tuple(names))
        return
    assert genotype == derive(*alphas, edge_primitives=space.candidates)
    if space.primitives:  # the same on all edges
        assert genotype == derive(*alphas, primitives=space.primitives)


def test_cells_of_other_numbers_of_nodes_may_be_derived_together():
    normal, reduce = np.zeros((2, len(PRIMITIVES))), np.zeros((5, len(PRIMITIVES)))
    genotype = derive(normal, reduce)
    assert (genotype.normal_concat, genotype.reduce_concat) == ((2,), (2, 3))


@pytest.mark.parametrize(
    ("changed", "received"),
    [
        ({"inputs": 1}, "inputs=1"),
        ({"edges_per_node": None}, "edges_per_node=None"),
        ({"edges_per_node": 1}, "edges_per_node=1"),
        ({"allow_none": True}, "allow_none=True"),
        ({"output": "last"}, "output=last"),
    ],
)
def test_networks_and_genotypes_refuse_another_topology(changed, received):
    rows = 1 if changed.get("inputs") == 1 else 2
    space = Space(1, ((FIVE,) * rows,) * 2, **changed)
    says = f"Expected a space of normal and reduction cells .* Received: 2 kinds .*{received}"
    with pytest.raises(InputError, match=says):
        space.of_supernet()
    with pytest.raises(InputError, match=says):
        SearchCell(4, False, False, space)
    with pytest.raises(InputError, match=says):
        derive_genotype(space, [np.zeros((rows, 5))] * 2)
    with pytest.raises(InputError, match=says):
        cell_costs(CostTable("macs", {}, "none"), Target(8, 3, 8, 8), space)


def test_networks_refuse_a_single_kind_of_cell():
    with pytest.raises(InputError, match="Received: 1 kinds of cells with inputs=2"):
        Space(1, ((FIVE,) * 2,)).of_supernet()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"inputs": 3}, "1 or 2 inputs. Received: inputs=3"),
        ({"edges_per_node": 0}, "edges_per_node to be positive, or None"),
        ({"output": "first"}, "output to be one of concat, mean, last. Received: output='first'"),
        ({"nodes": 2}, r"primitives of the 5 edges of every cell. Received: \[2, 2\] edges"),
    ],
)
def test_topology_that_does_not_exist_is_refused(changed, says):
    with pytest.raises(InputError, match=says):
        Space(**{"nodes": 1, "candidates": ((FIVE,) * 2,) * 2, **changed})
