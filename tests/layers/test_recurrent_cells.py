"""Recurrent cells compared with NumPy, and as cells of `keras.layers.RNN`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from golden_data import values
from numerics import assert_close
from numpy_reference import mixed_recurrent_step, recurrent_step

from darts_tf.layers.mixed_recurrent_cell import MixedRecurrentCell
from darts_tf.layers.normalization import tracked_statistics
from darts_tf.layers.recurrent_cells import RecurrentCell
from darts_tf.spaces.zoo import RECURRENT_GENOTYPES

BATCH, STEPS, INPUTS, UNITS = 4, 3, 5, 6
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(BATCH, STEPS, INPUTS))
STATE = DRAW.normal(size=(BATCH, UNITS))
MASK = DRAW.integers(0, 2, (BATCH, UNITS)) * 2.0

pytestmark = pytest.mark.usefixtures("float64")


def randomized(cell):
    """Sets large random weights, which show errors; the paper's initial weights are almost zero."""
    cell.build((None, INPUTS))
    for variable in cell.trainable_variables:
        variable.assign(DRAW.normal(size=variable.shape) * 0.5)
    return cell


def stepwise(step, cell, mask, **settings):
    """Computes all states with NumPy."""
    state, states = STATE, []
    for t in range(STEPS):
        state = step(cell, X[:, t], state, mask, **settings)
        states.append(state)
    return np.stack(states)


@pytest.mark.parametrize("name", RECURRENT_GENOTYPES)
@pytest.mark.parametrize("mask", [None, MASK])
def test_cell_of_a_genotype(name, mask):
    cell = randomized(RecurrentCell(RECURRENT_GENOTYPES[name], UNITS))
    states = cell.over_time(X.transpose(1, 0, 2), STATE, mask)
    assert_close(states, stepwise(recurrent_step, cell, mask), 1e-12)


@pytest.mark.parametrize("mask", [None, MASK])
def test_mixed_cell_and_its_running_statistics(mask):
    cell, tracked = randomized(MixedRecurrentCell(UNITS)), []
    states = cell.over_time(X.transpose(1, 0, 2), STATE, mask, training=True)
    expected = stepwise(mixed_recurrent_step, cell, mask, tracked=tracked)
    assert_close(states, expected, 1e-10)
    assert len(tracked) == STEPS * (1 + cell.nodes)
    running = [np.zeros(UNITS), np.ones(UNITS)]
    for moments in tracked:
        running = [0.9 * r + 0.1 * m for r, m in zip(running, moments, strict=True)]
    assert_close(values([cell.norm.moving_mean, cell.norm.moving_variance]), running, 1e-10)
    inference = cell.over_time(X.transpose(1, 0, 2), STATE)
    assert_close(inference, stepwise(mixed_recurrent_step, cell, None, running=running), 1e-10)


@pytest.mark.parametrize(
    "make",
    [lambda rate: RecurrentCell(RECURRENT_GENOTYPES["DARTS_V1"], UNITS, rate)]
    + [lambda rate: MixedRecurrentCell(UNITS, rate, nodes=2)],
    ids=["discrete", "mixed"],
)
@pytest.mark.parametrize("training", [True, False])
def test_cell_in_a_layer_of_keras_gives_the_same(make, training):
    cell = randomized(make(0.5))
    layer = keras.layers.RNN(cell, return_sequences=True, return_state=True)
    with tracked_statistics(False):
        outputs, state, mask = layer(X, initial_state=[STATE, MASK], training=training)
        mask_in_use = MASK if training else None
        expected = cell.over_time(X.transpose(1, 0, 2), STATE, mask_in_use, training=training)
    assert_close(outputs, np.transpose(expected, (1, 0, 2)), 1e-13)
    assert_close(state, expected[-1], 1e-13)
    assert_close(mask, MASK, 0)


def test_layer_of_keras_drops_the_same_units_at_every_step():
    cell = randomized(RecurrentCell(RECURRENT_GENOTYPES["DARTS_V1"], UNITS, 0.5))
    _, _, mask = keras.layers.RNN(cell, return_state=True)(X, training=True)
    assert set(np.unique(mask)) == {0, 2}
    plain = keras.layers.RNN(RecurrentCell(RECURRENT_GENOTYPES["DARTS_V1"], UNITS))
    assert plain(X).shape == (BATCH, UNITS)


def test_layer_of_keras_is_saved_with_its_cell(tmp_path):
    model = keras.Sequential([keras.layers.RNN(MixedRecurrentCell(UNITS, nodes=2))])
    expected = model(X)
    model.save(tmp_path / "model.keras")
    assert_close(keras.saving.load_model(tmp_path / "model.keras")(X), expected, 1e-13)


@pytest.mark.parametrize(
    "settings",
    [{"units": 0}, {"hidden_dropout": 1.0}, {"primitives": ("tanh", "gelu")}, {"nodes": 0}],
)
def test_impossible_cells_are_refused(settings):
    with pytest.raises(ValueError, match="Expected.*Received"):
        MixedRecurrentCell(**{"units": 3, **settings})
