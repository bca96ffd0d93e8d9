"""Mixed edges and cells compared with explicit sums over single primitives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from call_primitive import applied
from mostly_slow import mostly_slow
from numerics import assert_close
from numpy_reference import Reference, named_by_reference

from darts_tf.layers.cells import Cell, SearchCell, preprocess
from darts_tf.layers.mixed_op import MixedOp
from darts_tf.layers.primitives import PRIMITIVES as LAYERS
from darts_tf.layers.primitives import FactorizedReduce, Identity, ReLUConvBN
from darts_tf.spaces.cell import PRIMITIVES, edges
from darts_tf.spaces.search_spaces import space_of
from darts_tf.spaces.zoo import GENOTYPES

CHANNELS = 4
SIZE = (7, 6)

pytestmark = pytest.mark.usefixtures("float64")


def drawn(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(0.3, 1.0, shape), "float64")


def softmaxed(rows, seed=3):
    return tf.nn.softmax(drawn(rows, len(PRIMITIVES), seed=seed))


def mixed_op(stride, rows, primitives=PRIMITIVES):
    mixed = MixedOp(CHANNELS, stride, rows, primitives)
    mixed.build((None, None, None, CHANNELS))
    return mixed


def single(op, name, edge, stride, rows):
    """Makes the primitive of one edge, with that edge's part of all weights."""
    alone = LAYERS[name](CHANNELS, stride, False)
    alone.build((None, None, None, CHANNELS))
    for ours, together in zip(alone.trainable_variables, op.trainable_variables, strict=True):
        axis = 2 if together.name.startswith("depthwise") else 0
        ours.assign(np.split(np.asarray(together), rows, axis)[edge])
    return alone


def explicit_mix(mixed, stride, x, weights, edge):
    """Computes eq. 2 for one edge: the weighted sum over primitives."""
    rows = mixed.edges
    return sum(
        weight * applied(single(op, name, edge, stride, rows), x, training=True)
        for op, name, weight in zip(mixed.ops, mixed.primitives, weights[edge], strict=True)
    )


@pytest.mark.parametrize("stride", [1, 2])
@mostly_slow((1,), "rows", [1, 3])
def test_mixed_op_is_the_weighted_sum_over_primitives(stride, rows):
    mixed, weights, x = mixed_op(stride, rows), softmaxed(rows), drawn(2, *SIZE, CHANNELS)
    outputs = mixed(x, weights, training=True)
    assert len(outputs) == rows
    for edge, output in enumerate(outputs):
        assert_close(output, explicit_mix(mixed, stride, x, weights, edge), 1e-12)


def test_mixed_op_gives_none_its_share():
    mixed, x = mixed_op(1, 1, ("none", "skip_connect")), drawn(2, *SIZE, CHANNELS)
    (output,) = mixed(x, tf.constant([[0.75, 0.25]], "float64"))
    assert_close(output, 0.25 * x, 1e-15)


def test_mixed_op_keeps_one_pool_and_its_statistics_for_all_edges():
    mixed = mixed_op(1, 3)
    pools = [op for op in mixed.ops if hasattr(op, "kind")]
    assert [op.norm.moving_mean.shape for op in pools] == [(CHANNELS,)] * 2


def explicit_cell(cell, s0, s1, weights):
    """Computes a search cell edge by edge, in the order of the alphas."""
    states = [
        applied(layer, s, training=True)
        for layer, s in ((cell.preprocess0, s0), (cell.preprocess1, s1))
    ]
    for node in range(cell.nodes):
        total = 0.0
        for row, (source, target) in enumerate(edges(cell.nodes)):
            if target == node + 2:
                leaving = [r for r, edge in enumerate(edges(cell.nodes)) if edge[0] == source]
                stride = 2 if cell.reduction and source < 2 else 1
                mine = tf.gather(weights, leaving)
                edge = leaving.index(row)
                total += explicit_mix(cell.mixed[source], stride, states[source], mine, edge)
        states.append(total)
    return tf.concat(states[2:], -1)


@mostly_slow((1, 2), ("reduction", "previous"), [(False, False), (False, True), (True, False)])
def test_search_cell_adds_the_mixed_edges_of_every_node(reduction, previous):
    cell = SearchCell(CHANNELS, reduction, previous, space_of(2))
    s1 = drawn(2, 6, 6, 5, seed=1)
    s0 = drawn(2, 12, 12, 3) if previous else drawn(2, 6, 6, 3)
    cell.build(s0.shape, s1.shape)
    weights = softmaxed(len(edges(2)))
    y = cell(s0, s1, weights, training=True)
    assert y.shape == (2, *[3 if reduction else 6] * 2, 8)
    assert_close(y, explicit_cell(cell, s0, s1, weights), 1e-12)


def test_search_cell_reads_alphas_node_by_node_with_inputs_ascending():
    """With only scaled skips, the nodes are known sums of the two inputs."""
    cell = SearchCell(CHANNELS, False, False, space_of(3, ("none", "skip_connect")))
    s0, s1 = drawn(2, 4, 4, 3), drawn(2, 4, 4, 5, seed=1)
    cell.build(s0.shape, s1.shape)
    a = np.arange(1.0, 10) / 10
    y = cell(s0, s1, tf.constant(np.stack([1 - a, a], 1)), training=True)
    first, second = (
        np.asarray(applied(layer, s, training=True))
        for layer, s in ((cell.preprocess0, s0), (cell.preprocess1, s1))
    )
    two = a[0] * first + a[1] * second
    three = a[2] * first + a[3] * second + a[4] * two
    four = a[5] * first + a[6] * second + a[7] * two + a[8] * three
    assert_close(y, np.concatenate([two, three, four], -1), 1e-12)


def test_preprocess_halves_what_comes_from_before_a_reduction():
    assert type(preprocess(CHANNELS, True, affine=False)) is FactorizedReduce
    assert type(preprocess(CHANNELS, False, affine=False)) is ReLUConvBN
    assert preprocess(CHANNELS, False, affine=True).affine


def discrete(pairs, concat, reduction=False, previous=False):
    cell = Cell(pairs, concat, CHANNELS, reduction, previous)
    s0 = drawn(2, 12, 12, 3) if previous else drawn(2, 6, 6, 3)
    s1 = drawn(2, 6, 6, 5, seed=1)
    cell.build(s0.shape, s1.shape)
    return cell, s0, s1


@pytest.mark.parametrize("kind", ["normal", "reduce"])
@mostly_slow((0, 3), "name", GENOTYPES)
def test_cell_computes_what_the_reference_does(name, kind):
    genotype = GENOTYPES[name]
    pairs, concat = getattr(genotype, kind), getattr(genotype, f"{kind}_concat")
    reduction, previous = kind == "reduce", kind == "normal"
    cell, s0, s1 = discrete(pairs, concat, reduction, previous)
    weights = {}
    for i in (0, 1):
        weights |= named_by_reference(f"cell.preprocess{i}", getattr(cell, f"preprocess{i}"))
    for i, op in enumerate(cell.ops):
        weights |= named_by_reference(f"cell._ops.{i}", op)
    reference = Reference(weights, training=True)
    expected = reference.cell("cell", pairs, concat, s0.numpy(), s1.numpy(), reduction, previous)
    assert_close(cell(s0, s1, training=True), expected, 1e-12)


ALL_SKIPS = tuple(("skip_connect", source) for source in (0, 1, 1, 2))


def test_drop_path_spares_identities_alone():
    """If everything else is dropped, only the outputs of identities remain."""
    pairs = (("skip_connect", 0), ("sep_conv_3x3", 1), ("max_pool_3x3", 0), ("skip_connect", 2))
    cell, s0, s1 = discrete(pairs, (2, 3))
    assert cell.droppable == [1, 2]
    dropped = cell(s0, s1, *[tf.zeros((2, 1, 1, 1), "float64")] * 2, training=True)
    first = applied(cell.preprocess0, s0, training=True)
    assert_close(dropped, tf.concat([first, first], -1), 1e-12)


def test_drop_path_drops_a_skip_that_reduces():
    cell, s0, s1 = discrete(ALL_SKIPS, (2, 3), reduction=True)
    assert [type(op) for op in cell.ops] == [*[FactorizedReduce] * 3, Identity]
    assert cell.droppable == [0, 1, 2]
    tenfold = cell(
        s0, s1, *[tf.fill((2, 1, 1, 1), tf.constant(10.0, "float64"))] * 3, training=True
    )
    plain = cell(s0, s1, training=True)
    assert_close(tenfold, 10 * plain, 1e-12)


def test_concat_chooses_the_order_of_the_output():
    cell, s0, s1 = discrete(ALL_SKIPS, (3, 2))
    other = Cell(ALL_SKIPS, (2, 3), CHANNELS, False, False)
    other.build(s0.shape, s1.shape)
    for mine, theirs in zip(other.variables, cell.variables, strict=True):
        mine.assign(theirs)
    three, two = tf.split(cell(s0, s1), 2, -1)
    assert_close(other(s0, s1), tf.concat([two, three], -1), 1e-15)
