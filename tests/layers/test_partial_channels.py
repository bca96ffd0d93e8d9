"""Partial channels compared with their definition (Xu et al. 2020), and a search with them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from numerics import assert_close, by_nested_tapes, floatx

from darts_tf.configs import SearchConfig
from darts_tf.layers.cells import SearchCell
from darts_tf.layers.mixed_op import MixedOp
from darts_tf.layers.relaxations import over_edges
from darts_tf.models.counting import count_params
from darts_tf.models.supernet import Supernet
from darts_tf.ops.images import shuffle
from darts_tf.ops.pooling import halve
from darts_tf.search.darts import DARTS
from darts_tf.spaces.cell import PRIMITIVES, edges
from darts_tf.spaces.derivation import derive
from darts_tf.spaces.search_spaces import space_of

CHANNELS, PARTIAL = 8, 4


def drawn(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(0.3, 1.0, shape), "float64")


def test_supernet_has_the_parameters_of_the_paper():
    """The number of FACTS, 299,578 at k=4, does not include the edges' own parameters."""
    supernet = Supernet(partial_channels=4)
    assert count_params(supernet) == 299_578
    assert [tuple(a.shape) for a in supernet.alphas] == [(14, 8)] * 2 + [(14,)] * 2


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_halve_takes_the_maximum_of_two_by_two(size):
    x = drawn(2, *size, 3).numpy()
    rows, columns = range(0, size[0], 2), range(0, size[1], 2)
    expected = [[x[:, i : i + 2, j : j + 2].max((1, 2)) for j in columns] for i in rows]
    assert_close(halve(tf.constant(x)), np.moveaxis(np.array(expected), 2, 0), 0)


def test_shuffle_deals_channels_out_group_by_group():
    x = tf.reshape(tf.range(6.0), (1, 1, 1, 6))
    assert np.ravel(shuffle(x, 2)).tolist() == [0, 3, 1, 4, 2, 5]
    assert np.ravel(shuffle(shuffle(x, 2), 3)).tolist() == list(range(6))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("stride", [1, 2])
def test_first_channels_are_mixed_and_the_others_pass(stride):
    mixed = MixedOp(CHANNELS, stride, 2, PRIMITIVES, PARTIAL)
    plain = MixedOp(CHANNELS // PARTIAL, stride, 2, PRIMITIVES)
    for layer, channels in ((mixed, CHANNELS), (plain, CHANNELS // PARTIAL)):
        layer.build((None, None, None, channels))
    for ours, theirs in zip(plain.variables, mixed.variables, strict=True):
        ours.assign(theirs)
    x, weights = drawn(2, 8, 6, CHANNELS), tf.nn.softmax(drawn(2, len(PRIMITIVES), seed=1))
    edge_weights = tf.constant([0.3, 0.7], "float64")
    first, rest = x[..., : CHANNELS // PARTIAL], x[..., CHANNELS // PARTIAL :]
    rest = rest if stride == 1 else tf.nn.max_pool2d(rest, 2, 2, "VALID")
    expected = [
        weight * tf.concat([part, rest], -1)
        for weight, part in zip(edge_weights, plain(first, weights, training=True), strict=True)
    ]
    assert_close(mixed(x, weights, edge_weights, training=True), expected, 1e-12)


@pytest.mark.usefixtures("float64")
def test_node_is_the_shuffled_sum_of_its_edges():
    """With only skips, an edge's output is its weight times its state."""
    space = space_of(1, ("none", "skip_connect"))
    cell = SearchCell(CHANNELS, False, False, space, PARTIAL)
    s0, s1 = drawn(2, 4, 4, 3), drawn(2, 4, 4, 5, seed=1)
    cell.build(s0.shape, s1.shape)
    edge_weights = tf.constant([0.25, 0.75], "float64")
    skips = tf.constant([[0.0, 1.0]] * 2, "float64")
    y = cell(s0, s1, skips, edge_weights, training=True)
    states = [
        layer(tf.nn.relu(s), training=True)
        for layer, s in ((cell.preprocess0, s0), (cell.preprocess1, s1))
    ]
    assert_close(y, shuffle(0.25 * states[0] + 0.75 * states[1], PARTIAL), 1e-12)


def test_edges_into_a_node_share_a_softmax():
    weights = over_edges(tf.constant([0.0, np.log(3.0), 1.0, 1.0, 1.0]), space_of(nodes=2))
    assert_close(weights, np.array([0.25, 0.75, 1 / 3, 1 / 3, 1 / 3]), 1e-6)


@pytest.mark.slow
def test_second_order_is_the_gradient_by_nested_tapes_along_all_four():
    keras.utils.set_random_seed(0)
    with floatx("float64"):
        network = Supernet(4, 3, 3, nodes=2, partial_channels=2)
        trainer = DARTS(network)
        trainer.compile(
            keras.optimizers.SGD(0.025, 0.9),
            keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    batches = [(drawn(3, 8, 8, 3, seed=i), tf.constant([0, 1, 2])) for i in (0, 1)]
    weights = [tf.constant(v) for v in values(network.network_weights)]
    alphas = [tf.constant(a) for a in values(network.alphas)]
    _, expected = by_nested_tapes(trainer.loss_at, weights, alphas, *batches, trainer.virtual_step)
    _, gradients = trainer.arch_gradients(*batches)
    assert len(gradients) == 4
    assert_close(gradients, expected, 1e-9)


def test_derivation_weighs_operations_by_their_edges():
    """All alphas are equal except for a strong operation on a weak edge."""
    alphas = np.zeros((len(edges(2)), len(PRIMITIVES)))
    alphas[:, PRIMITIVES.index("skip_connect")] = 1.0
    alphas[2, PRIMITIVES.index("sep_conv_3x3")] = 2.0  # from 0 into the second node
    plain = derive(alphas, alphas)
    assert [source for _, source in plain.normal[2:]] == [0, 1]
    weak = np.array([0.0, 0.0, -9.0, 0.0, 1.0])
    weighed = derive(alphas, alphas, weak, None)
    assert weighed.normal[2:] == (("skip_connect", 2), ("skip_connect", 1))
    assert weighed.reduce == plain.reduce


@pytest.mark.parametrize("wrong", [np.zeros(4), np.zeros((5, 1)), np.full(5, np.nan)])
def test_derivation_refuses_other_edges(wrong):
    alphas = np.zeros((5, len(PRIMITIVES)))
    with pytest.raises(ValueError, match="Received: edges_normal"):
        derive(alphas, alphas, wrong, None)


@pytest.mark.parametrize("partial", [0, 3])
def test_channels_must_be_parted_without_a_rest(partial):
    with pytest.raises(ValueError, match="multiple of partial_channels.*Received: channels=8"):
        Supernet(8, 3, 5, partial_channels=partial)


def test_preset_is_the_papers():
    config = SearchConfig.from_preset("pc-darts", workdir="run")
    assert (config.partial_channels, config.batch_size, config.arch_from_epoch) == (4, 256, 15)
    assert (config.learning_rate, config.learning_rate_min) == (0.1, 0.0)
    assert (config.arch_learning_rate, config.arch_weight_decay) == (6e-4, 1e-3)
    assert (config.epochs, config.channels, config.cells) == (50, 16, 8)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"channels": 6, "partial_channels": 4}, "channels to be a multiple of partial_channels"),
        ({"epochs": 3, "arch_from_epoch": 3}, "arch_from_epoch to be below epochs=3"),
    ],
)
def test_config_refuses_what_would_search_nothing(changed, message):
    with pytest.raises(ValueError, match=message):
        SearchConfig(workdir="run", **changed)
