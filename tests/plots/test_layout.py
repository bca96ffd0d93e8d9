"""Layouts of cells: nothing overlaps, no edge goes through a vertex, left to right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from picture_strategies import genotypes, plan_of, recurrent_genotypes, sizes_of, traced

from darts_tf.errors import InputError
from darts_tf.plots import layout, sketches
from darts_tf.plots.layout import APART, LANES_APART, LEAST_CLIMB, arrange
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES

QUIET = settings(max_examples=15, deadline=None)


def check(plan):
    """Checks the properties of every layout."""
    layout, sizes = plan.layout, np.array(sizes_of(plan))
    centres = np.array(layout.centres)
    low, high = centres - sizes / 2, centres + sizes / 2
    assert (low >= -0.011).all()
    assert (high <= [layout.width + 0.011, layout.height + 0.011]).all()
    for a, b in itertools.combinations(range(len(sizes)), 2):
        apart = np.maximum(low[a] - high[b], low[b] - high[a])
        assert apart.max() > min(APART, LANES_APART) - 0.03, (a, b)
    ends = edges_of(plan)
    assert len(ends) == len(layout.routes)
    for (source, target), route in zip(ends, layout.routes, strict=True):
        xs = [x for x, _ in route]
        assert xs == sorted(xs)
        assert route[0] == pytest.approx((high[source, 0], centres[source, 1]), abs=0.011)
        assert route[-1] == pytest.approx((low[target, 0], centres[target, 1]), abs=0.011)
        points = traced(route)
        for v in range(len(sizes)):
            inside = (points > low[v] + 0.05).all(axis=1) & (points < high[v] - 0.05).all(axis=1)
            assert not inside.any(), (source, target, v)
    assert not jogs(layout)
    lanes = {
        (source, route[i], route[i + 1])
        for (source, _), route in zip(ends, layout.routes, strict=True)
        for i in range(2, len(route) - 2, 2)
    }
    for (source, a, b), (other, c, d) in itertools.combinations(lanes, 2):
        if source != other and a[0] < d[0] and c[0] < b[0]:
            assert abs(a[1] - c[1]) >= LANES_APART - 0.03
    inputs = plan.before or (plan.sketch.states - plan.sketch.nodes)
    assert (centres[:inputs, 0] <= centres[:, 0].min() + sizes[0, 0]).all()
    assert (low[-1, 0] > high[:-1, 0]).all()


def jogs(layout):
    """Returns the climbs between layers that are neither level nor of some height."""
    climbs = [
        abs(route[i][1] - route[i + 1][1])
        for route in layout.routes
        for i in range(1, len(route) - 1, 2)
    ]
    return [climb for climb in climbs if 0 < climb < LEAST_CLIMB]


def edges_of(plan):
    """Returns source and target of every edge of a plan."""
    sketch, before = plan.sketch, plan.before
    ends = [(i, before) for i in range(before)]
    for box, operation in zip(plan.boxes, sketch.operations, strict=True):
        ends += [(before + operation.source, box), (box, before + operation.target)]
    return ends + [(before + state, plan.boxes.stop) for state in sketch.concat]


@QUIET
@given(genotypes())
def test_layout_of_any_cell_is_readable(genotype):
    for sketch in sketches.of_genotype(genotype):
        check(plan_of(sketch))


@QUIET
@given(recurrent_genotypes())
def test_layout_of_any_recurrent_cell_is_readable(genotype):
    for sketch in sketches.of_genotype(genotype):
        check(plan_of(sketch))


@pytest.mark.parametrize("alphas", [(2, 14, 8), (2, 27, 8), (1, 36, 5)], ids=str)
def test_layout_of_a_supernet_is_readable(alphas):
    for sketch in sketches.of_alphas(np.random.default_rng(0).normal(size=alphas)):
        check(plan_of(sketch))


@pytest.mark.parametrize("name", GENOTYPES)
def test_layout_is_the_same_every_time(name):
    for sketch in sketches.of_genotype(GENOTYPES[name]):
        before = plan_of(sketch).layout
        arrange.cache_clear()
        assert plan_of(sketch).layout == before
        check(plan_of(sketch))


@pytest.mark.parametrize("name", RECURRENT_GENOTYPES)
def test_operations_lie_right_before_what_they_feed(name):
    (sketch,) = sketches.of_genotype(RECURRENT_GENOTYPES[name])
    plan = plan_of(sketch)
    check(plan)
    for box, operation in zip(plan.boxes, sketch.operations, strict=True):
        left, target = (plan.layout.centres[v][0] for v in (box, plan.before + operation.target))
        between = [x for x, _ in plan.layout.centres if left + 1 < x < target - 1]
        assert not between


@pytest.mark.parametrize("name", GENOTYPES)
def test_turned_layouts_are_the_same_from_top_to_bottom(name):
    for sketch in sketches.of_genotype(GENOTYPES[name]):
        layout = plan_of(sketch).layout
        turned = layout.turned()
        assert (turned.width, turned.height, turned.down) == (layout.height, layout.width, True)
        pairs = zip(layout.centres, turned.centres, strict=True)
        for (x, y), (across, up) in pairs:
            assert (across, up) == pytest.approx((layout.height - y, layout.width - x))
        for route, other in zip(layout.routes, turned.routes, strict=True):
            assert [y for _, y in other] == sorted((y for _, y in other), reverse=True)
            assert len(other) == len(route)
            assert other[0] == pytest.approx(
                (layout.height - route[0][1], layout.width - route[0][0])
            )


def crossings(layout):
    """Counts the crossings between adjacent layers, by the order of the edges' ends."""
    ends = {
        (a, b) for route in layout.routes for a, b in itertools.pairwise(route) if a[1] != b[1]
    } | {(a, b) for route in layout.routes for a, b in itertools.pairwise(route)}
    return sum(
        a[0] == c[0] and b[0] == d[0] and (a[1] - c[1]) * (b[1] - d[1]) < 0
        for (a, b), (c, d) in itertools.combinations(ends, 2)
    )


def test_edges_that_need_not_cross_do_not():
    """Arranges a ladder whose ends are listed in the wrong order."""
    sizes = ((20.0, 20.0),) * 9
    edges = ((0, 5), (1, 4), (2, 3), (5, 6), (4, 7), (3, 6), (6, 8), (7, 8))
    assert crossings(arrange(sizes, edges)) <= 1
    untangled = ((0, 5), (1, 4), (2, 3), (5, 6), (4, 6), (3, 7), (6, 8), (7, 8))
    assert crossings(arrange(sizes, untangled)) == 0


def test_cells_of_the_zoo_would_have_jogs_if_small_climbs_were_left(monkeypatch):
    plans = [plan_of(each) for name in GENOTYPES for each in sketches.of_genotype(GENOTYPES[name])]
    assert not any(jogs(plan.layout) for plan in plans)
    monkeypatch.setattr(layout, "LEAST_CLIMB", 0.0)
    arrange.cache_clear()
    plans = [plan_of(each) for name in GENOTYPES for each in sketches.of_genotype(GENOTYPES[name])]
    arrange.cache_clear()
    assert sum(len(jogs(plan.layout)) for plan in plans) > 5


def test_climbs_that_cannot_be_level_are_high_enough():
    """Arranges a vertex that two others, which must not overlap, both lead to."""
    layout = arrange(((4.0, 1.0),) * 4, ((0, 2), (1, 2), (2, 3)))
    climbs = [abs(layout.centres[v][1] - layout.centres[2][1]) for v in (0, 1)]
    assert not jogs(layout)
    assert min(climbs) == 0 or min(climbs) >= LEAST_CLIMB
    assert sum(climbs) >= APART + 1


def test_edges_of_a_vertex_share_their_lanes():
    sizes = ((20.0, 20.0),) * 6
    long = arrange(sizes, ((0, 1), (1, 2), (2, 3), (3, 4), (0, 3), (0, 4), (4, 5))).routes
    assert long[4][:4] == long[5][:4]


@pytest.mark.parametrize("edges", [((0, 1), (1, 0)), ((0, 0),), ((0, 2),), ((-1, 1),)])
def test_what_has_no_layers_is_refused(edges):
    with pytest.raises(InputError, match="Expected edges"):
        arrange(((20.0, 20.0),) * 2, edges)


def test_a_graph_without_edges_has_a_layout():
    layout = arrange(((20.0, 20.0),) * 3, ())
    assert layout.routes == ()
    assert layout.centres[2][0] > layout.centres[0][0] == layout.centres[1][0]
