"""NAS-Bench-201's network: parameters in closed form, costs, files and refusals."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close

from darts_tf.costs.activation_memory import peak_memory
from darts_tf.costs.formulas import METRICS, component_costs, network_costs
from darts_tf.costs.parts import Target, all_parts
from darts_tf.costs.tables import cell_costs, network_cost
from darts_tf.errors import InputError
from darts_tf.models.counting import cost_table, count_macs, count_params
from darts_tf.models.network import Network, StagedNetwork, build_network, load_network, stacked
from darts_tf.spaces.cell import EDGE_PRIMITIVES
from darts_tf.spaces.genotype import EdgeGenotype
from darts_tf.spaces.search_spaces import NAS_BENCH_201, SPACES
from darts_tf.spaces.zoo import GENOTYPES

BENCHMARK = Target(16, 5, 32, 32)
MIXED = EdgeGenotype(
    ("nor_conv_3x3", "nor_conv_1x1", "none", "skip_connect", "avg_pool_3x3", "nor_conv_3x3")
)


def of_digits(digits):
    return EdgeGenotype(tuple(EDGE_PRIMITIVES[int(digit)] for digit in digits))


def closed_form(genotype, channels=16, cells=5, classes=10, image_channels=3):
    """Counts all parameters by hand: of a convolution k²·in·out, of a normalization 2·out."""
    c = channels
    fixed = 9 * image_channels * c + 2 * c
    for inputs, outputs in ((c, 2 * c), (2 * c, 4 * c)):
        fixed += 9 * inputs * outputs + 9 * outputs**2 + 2 * 2 * outputs + inputs * outputs
    fixed += 2 * 4 * c + 4 * c * classes + classes
    each = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}
    on_edges = sum(
        each[name] * width**2 + 2 * width
        for width in (c, 2 * c, 4 * c)
        for name in genotype.operations
        if name in each
    )
    return fixed + cells * on_edges


@pytest.mark.parametrize(
    ("digits", "params"),
    [
        ("111111", 73_306),  # all skip connections: the fewest in the benchmark
        ("000000", 73_306),
        ("444444", 73_306),
        ("333333", 1_531_546),  # all 3x3 convolutions: the most in the benchmark
        ("222222", 73_306 + 6 * 28_000),
        ("332133", 1_073_466),
        ("333133", 1_288_506),
    ],
)
def test_parameters_of_the_benchmarks_network(digits, params):
    genotype = of_digits(digits)
    assert closed_form(genotype) == params
    assert network_costs(BENCHMARK, genotype)[0] == params


@pytest.mark.parametrize("sizes", [(4, 1, 10, 3), (3, 2, 7, 1)])
def test_costs_are_those_of_a_built_network(sizes):
    channels, cells, classes, image_channels = sizes
    network = build_network(MIXED, *sizes[:3], image_channels=image_channels)
    target = Target(channels, cells, 9, 12, "cifar", classes, image_channels)
    assert isinstance(network, StagedNetwork)
    assert count_params(network) == closed_form(MIXED, *sizes)
    params, macs = network_costs(target, MIXED)
    assert (params, macs) == (count_params(network), count_macs(network, (9, 12)))
    weights = [np.prod(v.shape) for v in network.trainable_variables]
    assert params == sum(weights)


def test_multiply_adds_of_the_benchmarks_network():
    """Those of convolutions and the classifier: from 7.78 M to 220.12 M."""
    fewest, most = (network_costs(BENCHMARK, of_digits(d * 6))[1] for d in "13")
    stem, reductions = 32 * 32 * 9 * 3 * 16, 0
    for inputs, outputs, places in ((16, 32, 256), (32, 64, 64)):
        reductions += places * (9 * inputs * outputs + 9 * outputs**2 + inputs * outputs)
    assert fewest == stem + reductions + 640
    on_edges = sum(9 * c * c * n for c, n in ((16, 1024), (32, 256), (64, 64)))
    assert most == fewest + 5 * 6 * on_edges
    assert (fewest, most) == (7_783_040, 220_119_680)


@pytest.mark.parametrize("metric", METRICS)
def test_tables_of_choices_sum_to_the_cost_of_the_network(metric):
    """Sums of tensors are those of a cell without `none`, and only bytes count them."""
    target, space = Target(4, 2, 8, 9), SPACES[NAS_BENCH_201]
    table = cost_table(metric, all_parts(target, space))
    costs = cell_costs(table, target, space)
    assert [each.shape for each in costs.tables] == [(6, 5)]
    for digits in ("333333", "124312", "412344"):
        genotype = of_digits(digits)
        assert costs.total(genotype) == network_cost(table, target, genotype)


def test_components_are_in_the_order_of_the_network():
    names = [each.name for each in component_costs(Target(4, 1, 8, 8), MIXED)]
    assert names == [
        *("stem", "cell 0", "reduction to 8 channels", "cell 1", "reduction to 16 channels"),
        *("cell 2", "normalization", "classifier"),
    ]


def test_memory_of_a_cell_is_what_is_alive():
    """A cell of skip connections has its input and one sum; 8x8x4 float32 are 1024 bytes."""
    peaks = peak_memory(Target(4, 1, 8, 8), of_digits("100100"))
    assert peaks[1] == 2 * 1024  # node 3 is state 0 plus nothing: the input itself, beside zeros
    peaks = peak_memory(Target(4, 1, 8, 8), of_digits("333333"))
    assert peaks[1] == 5 * 1024  # states 0 and 1, which node 3 reads, both terms of node 2, its sum


def test_stages_have_a_reduction_before_each_but_the_first():
    assert stacked([1, 2, 3, 4, 5, 6], ["a", "b"]) == [1, 2, "a", 3, 4, "b", 5, 6]


def test_shapes_are_halved_between_the_stages():
    network = build_network(MIXED, 4, 1, 3)
    x = tf.random.normal((2, 9, 8, 3))
    shapes = []
    for part in network.parts[:-1]:
        x = part(x)
        shapes.append(tuple(x.shape))
    assert shapes == [
        *[(2, 9, 8, 4)] * 2,
        *[(2, 5, 4, 8)] * 2,
        *[(2, 3, 2, 16)] * 3,
    ]


def test_file_restores_the_network(tmp_path):
    network = build_network(MIXED, 4, 1, 3, drop_path=0.1)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    network.save(tmp_path / "model.keras")
    restored = load_network(tmp_path / "model.keras")
    assert restored.genotype == MIXED
    assert_close(restored(x), network(x), 1e-6)
    assert restored.get_config() == network.get_config()


def test_drop_path_drops_all_but_identities():
    keras.utils.set_random_seed(0)
    network = build_network(of_digits("300300"), 4, 1, 3, drop_path=0.5)
    x = tf.random.normal((64, 8, 8, 3))
    plain, dropped = network(x), network(x, training=True)
    assert not np.allclose(plain, dropped)
    network.drop_path_rate.assign(0.0)
    assert np.isfinite(network(x, training=True)).all()


@pytest.mark.parametrize("digits", ["000000", "011011", "130000"])
def test_unread_weights_have_no_gradient_and_do_no_harm(digits):
    network = build_network(of_digits(digits), 2, 1, 3)
    x = tf.random.normal((4, 8, 8, 3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(x, training=True) ** 2)
    zero = tf.UnconnectedGradients.ZERO
    weights = [variable.value for variable in network.trainable_variables]
    gradients = tape.gradient(loss, weights, unconnected_gradients=zero)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"cells": 0}, "at least 1 cell for a cell with an operation on every edge"),
        ({"stem": "imagenet"}, "stem='cifar' and no auxiliary head .*Received: stem='imagenet'"),
        ({"auxiliary": True}, "no auxiliary head .*Received: auxiliary=True"),
    ],
)
def test_settings_of_other_networks_are_refused(changed, says):
    with pytest.raises(InputError, match=says):
        build_network(MIXED, **{"channels": 4, "cells": 1, **changed})


def test_sizes_are_the_papers_by_default():
    assert MIXED.usual_sizes == {"channels": 16, "cells": 5}
    assert GENOTYPES["DARTS_V2"].usual_sizes == {"channels": 36, "cells": 20}
    network = build_network(of_digits("111111"))
    assert (len(network.cells), count_params(network)) == (15, 73_306)
    assert not isinstance(network, Network)
