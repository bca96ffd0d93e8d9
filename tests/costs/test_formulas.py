"""Closed forms of costs, against layers that are built."""

from __future__ import annotations

import pytest
from mostly_slow import mostly_slow

from darts_tf.costs import formulas
from darts_tf.costs.parts import Target, all_parts
from darts_tf.layers.primitives import Primitive
from darts_tf.models.counting import layer_of, size_of
from darts_tf.spaces.cell import ALL_PRIMITIVES
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import GENOTYPES

TARGETS = {
    "gray": Target(4, 3, 9, 8, image_channels=1, classes=7),
    "odd channels": Target(5, 5, 11, 13),
    "imagenet": Target(6, 4, 65, 64, stem="imagenet", classes=11),
}


@mostly_slow(1, "name", TARGETS)
def test_every_part_costs_what_its_layer_does(name):
    """Stems and classifiers count no products themselves: `test_counting` has plain NumPy do it."""
    for part in all_parts(TARGETS[name], primitives=ALL_PRIMITIVES):
        cost, layer = formulas.part_cost(part), layer_of(part)
        if layer is None:
            assert cost == (0, 0, 0, 0)
            continue
        weights = layer.trainable_variables
        kernels = [weight for weight in weights if weight.name not in ("gamma", "beta")]
        assert (cost.params, cost.kernels) == (size_of(weights), len(kernels))
        if isinstance(layer, Primitive):
            size = part.height, part.width
            assert (cost.macs, cost.elementwise) == (layer.macs(*size), layer.elementwise(*size))


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
