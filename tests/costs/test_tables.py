"""Costs of networks as sums over parts, against counts of whole networks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mostly_slow import mostly_slow

from darts_tf.costs.formulas import METRICS
from darts_tf.costs.parts import Target, all_parts, parts_of
from darts_tf.costs.tables import cell_costs, network_cost
from darts_tf.errors import InputError
from darts_tf.models.counting import cost_table, count_macs, count_params
from darts_tf.models.network import build_network
from darts_tf.spaces.cell import edges
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.search_spaces import space_of
from darts_tf.spaces.zoo import GENOTYPES

TARGETS = {
    "small": Target(4, 3, 9, 12, classes=7, image_channels=1),
    "cifar": Target(6, 5, 32, 32),
    "imagenet": Target(4, 6, 75, 64, stem="imagenet", classes=11),
}
CELLS = ("DARTS_V2", "NASNet", "AmoebaNet")


def network_of(target: Target, genotype):
    sizes = (target.channels, target.cells, target.classes)
    settings = {"stem": target.stem, "image_channels": target.image_channels}
    return build_network(genotype, *sizes, auxiliary=False, **settings)


def drawn(seed: int, nodes: int = 4):
    return np.random.default_rng(seed).normal(size=(2, len(edges(nodes)), 8))


@mostly_slow(1, "name", CELLS)
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_parts_cost_what_the_network_does(target, name):
    genotype = GENOTYPES[name]
    network = network_of(target, genotype)
    parts = parts_of(target, genotype)
    counts = {
        "macs": count_macs(network, (target.height, target.width)),
        "params": count_params(network),
    }
    found = {metric: network_cost(cost_table(metric, parts), target, genotype) for metric in counts}
    assert found == counts


def test_published_counts_are_met():
    target = Target(36, 20, 32, 32)
    costs = cell_costs(cost_table("params", all_parts(target)), target)
    assert costs.total(GENOTYPES["DARTS_V2"]) == 3_349_342
    target = Target(48, 14, 224, 224, stem="imagenet", classes=1000)
    costs = cell_costs(cost_table("macs", all_parts(target)), target)
    assert costs.total(GENOTYPES["DARTS_V2"]) == 529_911_552


@pytest.mark.parametrize("metric", METRICS)
@mostly_slow(1, "nodes", [2, 4])
def test_arrays_sum_to_the_same(metric, nodes):
    target = TARGETS["imagenet"]
    table = cost_table(metric, all_parts(target, space_of(nodes)))
    costs = cell_costs(table, target, space_of(nodes))
    assert [table.shape for table in costs.tables] == [(len(edges(nodes)), 8)] * 2
    for seed in range(5):
        genotype = derive(*drawn(seed, nodes))
        assert costs.total(genotype) == network_cost(table, target, genotype)


def test_all_parts_are_those_of_some_network():
    target = TARGETS["small"]
    found = set()
    for seed in range(60):
        found |= set(parts_of(target, derive(*drawn(seed))))
    assert found == set(all_parts(target))


def test_missing_parts_are_named():
    target = TARGETS["small"]
    parts = all_parts(target)
    table = cost_table("params", parts)
    gone = next(part for part in parts if part.name == "sep_conv_3x3")
    left = {part: cost for part, cost in table.costs.items() if part != gone}
    table = dataclasses.replace(table, costs=left, name="'table.json'")
    with pytest.raises(InputError, match=r"'table.json' without 1 of them: sep_conv_3x3 4->4 9x12"):
        cell_costs(table, target)
    with pytest.raises(InputError, match="every part of a network of 4 channels, 3 cells"):
        network_cost(table, dataclasses.replace(target, classes=8), GENOTYPES["DARTS_V2"])
