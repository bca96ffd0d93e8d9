"""Differences between two genotypes."""

from __future__ import annotations

import collections
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_tf.errors import InputError
from darts_tf.spaces.cell import PRIMITIVES, RECURRENT_PRIMITIVES
from darts_tf.spaces.difference import SAME, Change, changes, describe_changes
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

OPERATIONS = [name for name in PRIMITIVES if name != "none"]
ACTIVATIONS = [name for name in RECURRENT_PRIMITIVES if name != "none"]


@st.composite
def cells(draw, nodes=4):
    pairs = []
    for node in range(nodes):
        inputs = st.integers(0, node + 1)
        for source in draw(st.lists(inputs, min_size=2, max_size=2, unique=True)):
            pairs.append((draw(st.sampled_from(OPERATIONS)), source))
    return tuple(pairs)


genotypes = st.builds(Genotype, cells(), st.just((2, 3, 4, 5)), cells(), st.just((2, 3, 4, 5)))


@st.composite
def recurrent(draw, nodes=5):
    pairs = [
        (draw(st.sampled_from(ACTIVATIONS)), draw(st.integers(0, node))) for node in range(nodes)
    ]
    return RecurrentGenotype(tuple(pairs), tuple(range(1, nodes + 1)))


def edges(genotype):
    """Edges by cell and node, in no order."""
    if isinstance(genotype, RecurrentGenotype):
        return collections.Counter(
            ("recurrent", node, pair) for node, pair in enumerate(genotype.recurrent, 1)
        )
    return collections.Counter(
        (cell, 2 + place // 2, pair)
        for cell in ("normal", "reduce")
        for place, pair in enumerate(getattr(genotype, cell))
    )


@given(st.one_of(st.tuples(genotypes, genotypes), st.tuples(recurrent(), recurrent())))
def test_changes_lead_from_one_genotype_to_the_other_and_none_is_idle(pair):
    before, after = pair
    differences = changes(before, after)
    gone = collections.Counter((c.cell, c.node, c.before) for c in differences)
    come = collections.Counter((c.cell, c.node, c.after) for c in differences)
    assert edges(before) - gone + come == edges(after)
    assert gone == edges(before) - edges(after)
    assert not gone & come


@given(genotypes)
def test_order_of_a_nodes_edges_is_no_change(genotype):
    swapped = [pair for i in range(0, 8, 2) for pair in reversed(genotype.normal[i : i + 2])]
    assert changes(genotype, dataclasses.replace(genotype, normal=tuple(swapped))) == ()
    assert describe_changes(genotype, genotype) == SAME


@given(genotypes, genotypes)
def test_an_edge_is_told_beside_one_of_its_own_input_where_there_is_one(before, after):
    by_node = collections.defaultdict(list)
    for change in changes(before, after):
        by_node[change.cell, change.node].append(change)
    for group in by_node.values():
        shared = {c.before[1] for c in group} & {c.after[1] for c in group}
        assert {c.before[1] for c in group if c.before[1] == c.after[1]} == shared


def test_words_name_cell_node_and_both_edges():
    before = GENOTYPES["DARTS_V1"]
    (operation, source), *others = before.normal
    assert (operation, source) == ("sep_conv_3x3", 1)
    after = dataclasses.replace(before, normal=(("skip_connect", 1), *others))
    assert changes(before, after) == (
        Change("normal", 2, ("sep_conv_3x3", 1), ("skip_connect", 1)),
    )
    assert describe_changes(before, after) == (
        "1 of 16 edges changed: "
        "normal node 2: sep_conv_3x3 from input 1 -> skip_connect from input 1"
    )


def test_words_of_many_changes_stay_short():
    before, after = GENOTYPES["DARTS_V1"], GENOTYPES["AmoebaNet"]
    with pytest.raises(InputError, match="the same nodes"):
        changes(before, after)  # five nodes a cell
    text = describe_changes(before, GENOTYPES["DARTS_V2"], most=2)
    count = len(changes(before, GENOTYPES["DARTS_V2"]))
    assert text.startswith(f"{count} of 16 edges changed: normal node 3: ")
    assert text.endswith(f"; and {count - 2} more")
    assert text.count(" -> ") == 2


def test_genotypes_of_two_kinds_are_refused():
    cell = next(iter(RECURRENT_GENOTYPES.values()))
    with pytest.raises(InputError, match="the same nodes"):
        changes(GENOTYPES["DARTS_V1"], cell)
    with pytest.raises(InputError, match="the same nodes"):
        changes(cell, GENOTYPES["DARTS_V1"])
