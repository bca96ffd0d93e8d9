"""Derivation within a budget, against every cell there is."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_tf.configs.budgets import Budget
from darts_tf.costs.pareto import derive_within
from darts_tf.costs.parts import Target, all_parts
from darts_tf.costs.tables import CellCosts, cell_costs
from darts_tf.errors import InputError
from darts_tf.models.counting import cost_table
from darts_tf.spaces.cell import CELLS, PRIMITIVES, edges, nodes_of
from darts_tf.spaces.derivation import derive, strengths
from darts_tf.spaces.genotype import EdgeGenotype, Genotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space, edge_space, space_of

FEW = ("skip_connect", "none", "sep_conv_3x3")
FAST = settings(max_examples=examples(60), deadline=None)


@st.composite
def problems(draw):
    """Alphas, with ties, those of edges or none, and costs of any sign of order."""
    nodes = draw(st.integers(1, 2))
    rows, columns = len(edges(nodes)), len(FEW)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.sampled_from([1, 3, 1000]))
    alphas = list(random.integers(-2 * steps, 2 * steps, (2, rows, columns)) / steps)
    if draw(st.booleans()):
        alphas += list(random.integers(-steps, steps, (2, rows)) / steps)
    most = draw(st.sampled_from([2, 9, 10**7]))
    tables = random.integers(0, most, (2, rows, columns))
    return alphas, CellCosts("macs", int(random.integers(0, 5)), tables, space_of(nodes, FEW))


def strengths_by_node(cell, alphas, over, primitives):
    """For each node an array (inputs, primitives but `none`)."""
    space = space_of(nodes_of(len(alphas)), primitives)
    weights = strengths(space, CELLS.index(cell), alphas, over)
    weights = np.delete(weights, primitives.index("none"), axis=1)
    sizes = [2 + node for node in range(nodes_of(len(weights)))]
    return np.split(weights, np.cumsum(sizes)[:-1])


def every_cell(cell: str, alphas, over):
    """All pairs of all cells of one kind, with their strength."""
    of_nodes = []
    for rows in strengths_by_node(cell, alphas, over, FEW):
        kept = [name for name in FEW if name != "none"]
        choices = itertools.product(range(len(kept)), repeat=2)
        of_nodes.append(
            [
                (((kept[p], i), (kept[q], j)), rows[i, p] + rows[j, q])
                for (i, j), (p, q) in itertools.product(
                    itertools.combinations(range(len(rows)), 2), list(choices)
                )
            ]
        )
    for nodes in itertools.product(*of_nodes):
        yield sum((pairs for pairs, _ in nodes), ()), sum(strength for _, strength in nodes)


def every_genotype(alphas, costs):
    """The strength and cost of each."""
    over = alphas[2:] or (None, None)
    cells = [
        list(every_cell(cell, alphas[i], over[i])) for i, cell in enumerate(("normal", "reduce"))
    ]
    for (normal, first), (reduce, second) in itertools.product(*cells):
        concat = tuple(range(2, 2 + len(normal) // 2))
        genotype = Genotype(normal, concat, reduce, concat)
        yield first + second, costs.total(genotype), genotype


def strength_of(genotype, alphas):
    over = alphas[2:] or (None, None)
    total = 0.0
    for i, cell in enumerate(("normal", "reduce")):
        of_nodes = strengths_by_node(cell, alphas[i], over[i], FEW)
        kept = [name for name in FEW if name != "none"]
        for k, (name, source) in enumerate(getattr(genotype, cell)):
            total += of_nodes[k // 2][source, kept.index(name)]
    return total


@given(problem=problems(), share=st.floats(0, 1))
@FAST
def test_no_cell_within_the_budget_is_stronger(problem, share):
    alphas, costs = problem
    found = [(strength, cost) for strength, cost, _ in every_genotype(alphas, costs)]
    least, most = (pick(cost for _, cost in found) for pick in (min, max))
    budget = Budget("macs", math.floor(least + share * (most - least)))
    best = max(strength for strength, cost in found if cost <= budget.most)
    genotype = derive_within(budget, costs, *alphas)
    assert costs.total(genotype) <= budget.most
    assert strength_of(genotype, alphas) == pytest.approx(best, rel=1e-12)


@given(problem=problems(), share=st.floats(0, 1), most=st.integers(0, 4))
@FAST
def test_limit_on_skips_holds_within_the_budget_and_no_cell_is_stronger(problem, share, most):
    alphas, costs = problem
    found = [
        (strength, cost)
        for strength, cost, genotype in every_genotype(alphas, costs)
        if skips_of(genotype) <= most
    ]
    plain = costs.total(derive(*alphas, primitives=FEW, max_skips=most))
    least = min(cost for _, cost in found)
    budget = Budget("macs", math.floor(least + share * (plain - 1 - least)))
    if budget.most < least:
        return
    best = max(strength for strength, cost in found if cost <= budget.most)
    genotype = derive_within(budget, costs, *alphas, max_skips=most)
    assert costs.total(genotype) <= budget.most
    assert skips_of(genotype) <= most
    assert strength_of(genotype, alphas) == pytest.approx(best, rel=1e-12)


def skips_of(genotype):
    return sum(name == "skip_connect" for name, _ in genotype.normal)


@given(problem=problems())
@FAST
def test_budget_that_does_not_bind_changes_nothing(problem):
    alphas, costs = problem
    plain = derive(*alphas, primitives=FEW)
    assert derive_within(Budget("macs", costs.total(plain)), costs, *alphas) == plain
    assert derive_within(Budget("macs", 10**12), costs, *alphas) == plain


@given(problem=problems())
@FAST
def test_least_budget_is_told_and_is_enough(problem):
    alphas, costs = problem
    least = min(cost for _, cost, _ in every_genotype(alphas, costs))
    if least == 0:
        return
    with pytest.raises(InputError, match=f"a budget of macs={least} or more, .* macs={least - 1}$"):
        derive_within(Budget("macs", least - 1), costs, *alphas)
    assert costs.total(derive_within(Budget("macs", least), costs, *alphas)) == least


def test_stronger_edge_of_a_node_comes_first():
    alphas = np.zeros((2, 2, 3))
    alphas[:, 1, 0] = 1.0
    costs = CellCosts("macs", 0, np.tile([[1, 0, 9]], (2, 2, 1)), space_of(1, FEW))
    alphas[:, 0, 2] = 5.0  # the strongest, and too dear
    genotype = derive_within(Budget("macs", 4), costs, *alphas)
    assert genotype.normal == genotype.reduce == (("skip_connect", 1), ("skip_connect", 0))


@pytest.mark.parametrize("share", [0.99, 0.8, 0.6, 0.4, 0.2])
def test_paper_space_is_searched_at_once(share):
    """All costs differ, as latencies do; the result is never worse than random cells."""
    random = np.random.default_rng(0)
    alphas = random.normal(size=(2, 14, 8))
    tables = random.integers(10**4, 10**7, (2, 14, 8))
    costs = CellCosts("latency", 10**6, tables, SPACES[DARTS])
    plain = costs.total(derive(*alphas))
    budget = Budget("latency", int(share * plain))
    genotype = derive_within(budget, costs, *alphas)
    assert costs.total(genotype) <= budget.most
    drawn = (derive(*random.normal(size=(2, 14, 8))) for _ in range(300))
    for other in drawn:
        if costs.total(other) <= budget.most:
            assert _strength(other, alphas) < _strength(genotype, alphas)


def _strength(genotype, alphas):
    total = 0.0
    for cell, table in zip(("normal", "reduce"), alphas, strict=True):
        of_nodes = strengths_by_node(cell, table, None, PRIMITIVES)
        for k, (name, source) in enumerate(getattr(genotype, cell)):
            total += of_nodes[k // 2][source, PRIMITIVES.index(name) - 1]
    return total


@pytest.mark.parametrize("metric", ["macs", "params", "bytes"])
def test_networks_cost_less_the_smaller_the_budget(metric):
    target = Target(8, 5, 16, 16)
    costs = cell_costs(cost_table(metric, all_parts(target)), target)
    alphas = np.random.default_rng(1).normal(size=(2, 14, 8))
    plain = costs.total(derive(*alphas))
    totals = [
        costs.total(derive_within(Budget(metric, int(share * plain)), costs, *alphas))
        for share in (1, 0.9, 0.8, 0.7)
    ]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] <= 0.7 * plain


def test_alphas_that_are_not_finite_are_refused():
    costs = CellCosts("macs", 0, np.ones((2, 2, 3), int), space_of(1, FEW))
    with pytest.raises(InputError, match="Expected finite numbers. Received: alphas_reduce"):
        derive_within(Budget("macs", 9), costs, np.zeros((2, 3)), np.full((2, 3), np.nan))


@pytest.mark.parametrize("seed", range(4))
def test_columns_may_stand_for_other_primitives_on_every_edge(seed):
    """Columns dealt out anew on each edge, with their costs, stand for the same cells."""
    random = np.random.default_rng(seed)
    alphas = list(random.normal(size=(2, 9, 4)))
    names = np.array(("none", "skip_connect", "sep_conv_3x3", "max_pool_3x3"))
    costs = CellCosts("macs", 7, random.integers(1, 99, (2, 9, 4)), space_of(3, names.tolist()))
    orders = random.permuted(np.tile(np.arange(4), (2, 9, 1)), axis=2)
    dealt = [np.take_along_axis(a, order, 1) for a, order in zip(alphas, orders, strict=True)]
    tables = zip(costs.tables, orders, strict=True)
    tables = [np.take_along_axis(table, order, 1) for table, order in tables]
    candidates = tuple(tuple(map(tuple, names[order].tolist())) for order in orders)
    anew = CellCosts("macs", 7, tables, Space(3, candidates))
    plain = derive(*alphas, primitives=tuple(names))
    assert anew.total(plain) == costs.total(plain)
    budget = Budget("macs", costs.total(plain) * 2 // 3)
    for most in (None, 1):
        expected = derive_within(budget, costs, *alphas, max_skips=most)
        assert derive_within(budget, anew, *dealt, max_skips=most) == expected
        assert expected != plain


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("allow_none", [True, False])
def test_no_cell_with_an_operation_on_every_edge_is_stronger(seed, allow_none):
    """All 5 ** 3 cells of two nodes, within budgets from the least cost to the most."""
    random = np.random.default_rng(seed)
    space = edge_space(2, allow_none=allow_none)
    alphas, tables = [random.normal(size=(3, 5))], [random.integers(0, 9, (3, 5))]
    costs = CellCosts("macs", 3, tables, space)
    weights = strengths(space, 0, alphas[0])
    found = []
    for columns in itertools.product(range(0 if allow_none else 1, 5), repeat=3):
        names = tuple(space.primitives[column] for column in columns)
        rows = range(3)
        found.append((weights[rows, columns].sum(), costs.total(EdgeGenotype(names)), names))
    for budget in sorted({cost for _, cost, _ in found}):
        genotype = derive_within(Budget("macs", budget), costs, *alphas)
        best = max((strength, names) for strength, cost, names in found if cost <= budget)
        assert costs.total(genotype) <= budget
        assert genotype == EdgeGenotype(best[1])
    least = min(cost for _, cost, _ in found)
    with pytest.raises(InputError, match=f"a budget of macs={least} or more"):
        derive_within(Budget("macs", least - 1), costs, *alphas)
