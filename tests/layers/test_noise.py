"""The operation noise: its distribution, when its draws change, and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.export.writing import export
from darts_tf.layers.graph_sharing import Shared
from darts_tf.layers.mixed_op import MixedOp, PrunedMixedOp
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.layers.primitives import Noise
from darts_tf.models.network import build_network
from darts_tf.models.supernet import Supernet
from darts_tf.spaces.cell import NOISE
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import SPACES

PAIRS = ((NOISE, 0), ("sep_conv_3x3", 1))
GENOTYPE = Genotype(PAIRS, (2,), PAIRS, (2,))


def images(*shape):
    return tf.constant(np.random.default_rng(0).normal(size=shape), "float32")


def built(stride=1, groups=1, channels=4):
    layer = Noise(channels, stride, False, groups)
    layer.build((None, None, None, channels))
    return layer


@pytest.mark.parametrize("stride", [1, 2])
def test_noise_is_standard_gaussian_and_independent(stride):
    x = images(16, 15, 14, 4)
    y = np.asarray(built(stride, groups=3)(x, training=True))
    assert y.shape == (16, -(-15 // stride), -(-14 // stride), 12)
    count = y.size
    # means of n values of variance 1, 2 and 96: x, x² and x⁴
    assert abs(y.mean()) < 4 / count**0.5
    assert abs((y**2).mean() - 1) < 4 * (2 / count) ** 0.5
    assert abs((y**4).mean() - 3) < 4 * (96 / count) ** 0.5
    columns = y.reshape(-1, 12)
    correlation = np.corrcoef(columns.T) - np.eye(12)
    assert np.abs(correlation).max() < 5 / len(columns) ** 0.5
    inputs = np.asarray(x[:, ::stride, ::stride]).reshape(-1, 4)
    with_inputs = np.corrcoef(columns.T, inputs.T)[:12, 12:]
    assert np.abs(with_inputs).max() < 5 / len(columns) ** 0.5


def test_draws_change_where_statistics_move_and_only_there():
    layer, x = built(), images(2, 5, 6, 4)
    first = layer(x, training=False)
    with tracked_statistics(False):
        assert_close(layer(x, training=True), first, 0)
    assert_close(layer(x, training=True), first, 0)  # and the seed moves on
    second = layer(x, training=False)
    assert np.abs(second - first).max() > 1
    assert_close(layer(2 * x, training=False), second, 0)
    other = built()
    other._seed.state.assign(layer._seed.state)
    assert_close(other(x, training=False), second, 0)


def test_scale_is_a_factor():
    layer, x = built(groups=2), images(2, 5, 6, 4)
    scale = tf.range(8.0)
    plain = layer(x, training=False)
    assert_close(layer(x, scale=scale, training=False), plain * scale, 1e-6)


@pytest.mark.parametrize("pruned", [False, True])
def test_all_passes_of_a_step_see_the_same_draws(pruned):
    """The shared graphs draw again where they differentiate: gradients would not fit otherwise."""
    names = (NOISE, "sep_conv_3x3")
    if pruned:
        mixed = PrunedMixedOp(3, 2, (names, ("skip_connect", NOISE)))
    else:
        mixed = MixedOp(3, 2, 2, names)
    mixed.build((None, None, None, 3))
    shared, x = Shared(), images(2, 7, 6, 3)
    weights = tf.constant([[0.3, 0.7], [0.6, 0.4]])

    def loss(weights):
        return sum(tf.reduce_sum(part**3) for part in shared(mixed, x, weights, track=False))

    def gradient(weights):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = loss(weights)
        return tape.gradient(value, weights)

    direction = tf.constant([[1.0, -2.0], [0.5, 1.0]])
    step = 1e-2
    ahead, behind = (weights + sign * step * direction for sign in (1, -1))
    slope = (loss(ahead) - loss(behind)) / (2 * step)
    # a cubic: the difference is off by step² times a third derivative
    assert_close(tf.reduce_sum(gradient(weights) * direction), slope, 2e-2)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        first = tf.reduce_sum(gradient(weights) * direction)
    curvature = tf.reduce_sum(tape.gradient(first, weights) * direction)
    bend = tf.reduce_sum((gradient(ahead) - gradient(behind)) * direction) / (2 * step)
    assert_close(curvature, bend, 2e-2)
    before = loss(weights)
    shared(mixed, x, weights, track=True)
    assert abs(loss(weights) - before) > 1e-3 * abs(before)


def test_search_network_of_s4_draws_for_every_step():
    supernet = Supernet(2, 3, 5, **SPACES["s4"].of_supernet())
    x = images(2, 8, 8, 3)
    seeds = [v for v in supernet.non_trainable_variables if "seed" in v.name]
    assert len(seeds) == 3 * 5  # cells, states with edges
    assert not any(v is seed for v in supernet.network_weights for seed in seeds)
    quiet = supernet(x, training=False)
    assert_close(supernet(x, training=False), quiet, 0)
    before = [np.asarray(seed) for seed in seeds]
    supernet(x, training=True)
    for seed, old in zip(seeds, before, strict=True):
        np.testing.assert_array_equal(seed, old + [0, 1])
    assert np.isfinite(quiet).all()


def test_network_with_noise_is_evaluated_repeatably_but_not_exported(tmp_path):
    network = build_network(GENOTYPE, 4, 3, 5, auxiliary=False)
    x = images(2, 8, 8, 3)
    assert_close(network(x, training=False), network(x, training=False), 0)
    preprocessing = Preprocessing(8, 8, 3, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(InputError, match="images alone. Received: one with the operation noise"):
        export(
            network,
            preprocessing,
            list("abcde"),
            tmp_path / "out",
            images=np.zeros((2, 8, 8, 3), np.uint8),
        )
    assert not (tmp_path / "out").exists()
