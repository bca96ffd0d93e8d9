"""Genotypes to choose from: every one is as likely, mutations change one thing, texts and back."""

from __future__ import annotations

import collections
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_tf.spaces.cell import NONE, count_cells
from darts_tf.spaces.genotype import EdgeGenotype
from darts_tf.spaces.mutation import choices, genotype_of, mutated, random_genotype, values_of
from darts_tf.spaces.zoo import GENOTYPES

SEEDS = st.integers(0, 2**32 - 1)


def test_choices_are_the_space_that_a_search_derives_from():
    assert math.prod(len(each) for each in choices().values()) == count_cells() ** 2


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_genotype_survives_values(seed):
    genotype = random_genotype(seed)
    values = values_of(genotype)
    assert genotype_of(values) == genotype
    assert all(value in choices()[name] for name, value in values.items())
    assert set(values) == set(choices())


def test_published_cell_has_values_whatever_the_order_of_its_inputs():
    genotype = genotype_of(values_of(GENOTYPES["DARTS_V2"]))
    for cell in ("normal", "reduce"):
        nodes, published = (getattr(g, cell) for g in (genotype, GENOTYPES["DARTS_V2"]))
        for i in range(0, 8, 2):
            assert set(nodes[i : i + 2]) == set(published[i : i + 2])


def test_random_genotypes_are_spread_evenly():
    """Chi square of every choice on its own, with a bound that chance passes once in 10,000."""
    drawn = [values_of(random_genotype(seed)) for seed in range(2000)]
    for name, values in choices().items():
        counts = collections.Counter(each[name] for each in drawn)
        expected = len(drawn) / len(values)
        square = sum((counts[value] - expected) ** 2 for value in values) / expected
        freedom = len(values) - 1
        assert square < freedom + 4 * math.sqrt(2 * freedom) + 8, name


@settings(max_examples=100, deadline=None)
@given(SEEDS, SEEDS)
def test_mutation_changes_one_input_or_one_operation(seed, other):
    genotype = random_genotype(seed)
    child = mutated(genotype, np.random.default_rng(other))
    lost = gained = 0
    for cell in ("normal", "reduce"):
        before, after = (getattr(each, cell) for each in (genotype, child))
        for i in range(0, 8, 2):
            (a, b), (c, d) = before[i : i + 2], after[i : i + 2]
            assert c[1] < d[1]
            assert NONE not in (c[0], d[0])
            difference = len({a, b} - {c, d})
            lost += difference
            gained += len({c, d} - {a, b})
            (gone, come) = ({a, b} - {c, d}, {c, d} - {a, b})
            if difference:
                (old,), (new,) = gone, come
                assert (old[0] == new[0]) != (old[1] == new[1])
    assert (lost, gained) == (1, 1)


def test_mutations_reach_everything():
    random, genotype = np.random.default_rng(0), random_genotype(0)
    seen = collections.defaultdict(set)
    for _ in range(3000):
        genotype = mutated(genotype, random)
        for name, value in values_of(genotype).items():
            seen[name].add(value)
    assert {name: set(values) for name, values in choices().items()} == seen


@settings(max_examples=50, deadline=None)
@given(SEEDS, SEEDS)
def test_cell_with_an_operation_on_every_edge_survives_values_and_mutates_one(seed, other):
    genotype = random_genotype(seed, genotype_class=EdgeGenotype)
    values = values_of(genotype)
    assert genotype_of(values) == genotype
    within = choices(genotype_class=EdgeGenotype)
    assert math.prod(map(len, within.values())) == 15_625
    assert all(value in within[name] for name, value in values.items())
    child = mutated(genotype, np.random.default_rng(other))
    pairs = zip(genotype.operations, child.operations, strict=True)
    assert sum(before != after for before, after in pairs) == 1
