"""Closed forms of costs, against layers that are built."""

from __future__ import annotations

import pytest
from mostly_slow import mostly_slow

from darts_tf.costs import formulas
from darts_tf.costs.formulas import network_costs
from darts_tf.costs.parts import Target, all_parts
from darts_tf.layers.primitives import Primitive
from darts_tf.models.counting import layer_of, size_of
from darts_tf.spaces.cell import ALL_PRIMITIVES
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import edge_space, space_of
from darts_tf.spaces.zoo import GENOTYPES, ZOO

TARGETS = {
    "gray": Target(4, 3, 9, 8, image_channels=1, classes=7),
    "odd channels": Target(5, 5, 11, 13),
    "imagenet": Target(6, 4, 65, 64, stem="imagenet", classes=11),
}


@mostly_slow(1, "name", TARGETS)
def test_every_part_costs_what_its_layer_does(name):
    """Stems and classifiers count no products themselves: `test_counting` has plain NumPy do it."""
    parts = all_parts(TARGETS[name], space_of(primitives=ALL_PRIMITIVES))
    for part in [*parts, *all_parts(TARGETS[name], edge_space())]:
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


PUBLISHED = {
    # by the papers' authors: parameters in millions, at the sizes of the papers
    "PCDARTS_IMAGENET": (None, 5.3),
    "DRNAS": (4.1, None),
    "DRNAS_IMAGENET": (None, 5.7),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_newer_cells_of_the_zoo_have_the_published_parameters(name):
    targets = Target(36, 20, 32, 32), Target(48, 14, 224, 224, "imagenet", 1000)
    for target, millions in zip(targets, PUBLISHED[name], strict=True):
        if millions:
            params, _ = network_costs(target, GENOTYPES[name])
            assert round(params / 1e6, 1) == millions
    known = ZOO[name].cifar10_params, ZOO[name].imagenet_params
    assert known == PUBLISHED[name]


def test_networks_of_drnas_have_the_parameters_and_macs_of_the_authors_code():
    on_cifar = network_costs(Target(36, 20, 32, 32), GENOTYPES["DRNAS"])
    on_imagenet = network_costs(
        Target(48, 14, 224, 224, "imagenet", 1000), GENOTYPES["DRNAS_IMAGENET"]
    )
    assert (on_cifar[0], round(on_cifar[1] / 1e6, 2)) == (4_099_294, 635.14)
    assert (on_imagenet[0], round(on_imagenet[1] / 1e6, 2)) == (5_726_368, 624.41)
