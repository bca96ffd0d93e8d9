"""Closed forms of costs, against layers that are built."""

from __future__ import annotations

import pytest
from mostly_slow import mostly_slow

from darts_tf.costs import formulas
from darts_tf.costs.parts import Target, all_parts
from darts_tf.models import counting
from darts_tf.spaces.cell import ALL_PRIMITIVES
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import GENOTYPES

TARGETS = {
    "gray": Target(4, 3, 9, 8, image_channels=1, classes=7),
    "odd channels": Target(5, 5, 11, 13),
    "imagenet": Target(6, 4, 65, 64, stem="imagenet", classes=11),
}


@pytest.mark.parametrize("metric", ["params", "macs"])
@mostly_slow(1, "name", TARGETS)
def test_every_part_costs_what_its_layer_does(name, metric):
    parts = all_parts(TARGETS[name], primitives=ALL_PRIMITIVES)
    found = formulas.cost_table(metric, parts).costs
    assert found == dict(counting.cost_table(metric, parts).costs)
    assert any(found.values())


def test_networks_cost_what_papers_say():
    """Liu et al. 2019, tables 1 and 3, as counted by the authors' code."""
    costs = formulas.network_costs(Target(36, 20, 32, 32), GENOTYPES["DARTS_V2"])
    assert costs == (3_349_342, 528_359_040)
    mobile = Target(48, 14, 224, 224, stem="imagenet", classes=1000)
    params, _ = formulas.network_costs(mobile, GENOTYPES["DARTS_V2"])
    assert params == pytest.approx(4.7e6, rel=0.02)


def test_an_operation_without_a_formula_is_not_guessed(monkeypatch):
    monkeypatch.setattr("darts_tf.spaces.cell.ALL_PRIMITIVES", (*ALL_PRIMITIVES, "own"))
    pairs = (("own", 0), ("skip_connect", 1))
    genotype = Genotype(pairs, (2,), pairs, (2,))
    assert formulas.network_costs(Target(4, 3, 8, 8), genotype) is None
