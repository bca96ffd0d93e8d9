"""Loading state dicts of the PyTorch reference."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from golden_data import FOLDER, Golden, values
from mostly_slow import mostly_slow
from numerics import assert_close, floatx
from numpy_reference import Reference
from reference_names import network_shapes, random_state_dict

from darts_tf.models.network import build_network
from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.models.supernet import Supernet
from darts_tf.spaces.zoo import GENOTYPES

CHANNELS, CELLS, CLASSES = 4, 3, 5

pytestmark = pytest.mark.usefixtures("float64")


def made(name, stem="cifar"):
    genotype = GENOTYPES[name]
    network = build_network(genotype, CHANNELS, CELLS, CLASSES, stem=stem, auxiliary=True)
    return network, random_state_dict(network_shapes(genotype, CHANNELS, CELLS, CLASSES, stem=stem))


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@mostly_slow((0, 3), "name", GENOTYPES)
def test_loaded_network_computes_what_the_reference_does(name, stem):
    """Compares, for all names and layouts, with NumPy code that uses the same state dict."""
    network, state = made(name, stem)
    load_reference_weights(network, state)
    assert sum(v.size for k, v in state.items() if not k.endswith("num_batches_tracked")) == sum(
        int(np.prod(v.shape)) for layer in network.layers for v in layer.variables
    )
    size = 8 if stem == "cifar" else 64
    x = np.random.default_rng(1).normal(size=(2, size, size, 3))
    expected = Reference(state).network(GENOTYPES[name], x, CELLS, stem)
    assert_close(network(x)["logits"], expected, 1e-10)


def test_every_variable_is_set():
    network, state = made("AmoebaNet")
    for layer in network.layers:
        for variable in layer.variables:
            variable.assign(np.full(variable.shape, np.nan))
    load_reference_weights(network, state)
    assert all(np.all(np.isfinite(v)) for v in values(network.weights))


def test_counters_of_batches_are_not_needed():
    network, state = made("DARTS_V2")
    load_reference_weights(
        network, {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    )


def test_what_others_put_around_the_weights_is_dropped():
    network, state = made("DARTS_V2")
    wrapped = {f"module.{name}": array for name, array in state.items()}
    wrapped["module.cells.0.total_ops"] = np.zeros(1)
    load_reference_weights(network, {"epoch": 3, "net": wrapped})
    expected, _ = made("DARTS_V2")
    load_reference_weights(expected, state)
    for actual, other in zip(values(network.weights), values(expected.weights), strict=True):
        np.testing.assert_array_equal(actual, other)


def without(name):
    return lambda state: state.pop(name)


def with_another(name):
    return lambda state: state.update({name: np.zeros(3)})


def transposed(name):
    return lambda state: state.update({name: state[name].T})


def grown(name):
    return lambda state: state.update({name: np.zeros((9, *state[name].shape[1:]))})


NORM = "cells.0.preprocess0.op.2.running_var"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("stem.0.weight"), "Received: 1 missing: stem.0.weight$"),
        (without(NORM), f"Received: 1 missing: {NORM}$"),
        (with_another("cells.9.extra"), "Received: 1 unknown: cells.9.extra$"),
        (with_another("alphas_normal"), "Received: 1 unknown: alphas_normal$"),
        (
            transposed("classifier.weight"),
            r"1 of another shape: classifier.weight \(64, 5\) instead of \(5, 64\)$",
        ),
        (grown("stem.0.weight"), r"stem.0.weight \(9, 3, 3, 3\) instead of \(12, 3, 3, 3\)$"),
        (grown(NORM), rf"{NORM} \(9,\) instead of \(4,\)$"),
    ],
)
def test_state_dict_of_another_network_changes_nothing(change, message):
    network, state = made("DARTS_V2")
    change(state)
    before = values(network.variables)
    with pytest.raises(ValueError, match=message):
        load_reference_weights(network, state)
    assert_close(values(network.variables), before, 0)


def test_everything_that_differs_is_named_in_one_line():
    network, state = made("DARTS_V2")
    _, other = made("PCDARTS")
    with pytest.raises(ValueError) as raised:
        load_reference_weights(network, {**other, "stem.0.weight": np.zeros(3)})
    message = str(raised.value)
    counted = {name for name in {*state} ^ {*other} if not name.endswith("num_batches_tracked")}
    assert counted
    assert all(f" {name}" in message for name in counted)
    assert "stem.0.weight (3,) instead of (12, 3, 3, 3)" in message
    assert "\n" not in message


@pytest.fixture(scope="module")
def small():
    """Returns the state dict of a small supernet, alphas included, and its settings."""
    golden = Golden(FOLDER / "cnn_search_small.npz")
    alphas = {name: golden[name] for name in ("alphas_normal", "alphas_reduce")}
    return {**golden.section("weights"), **alphas}, golden.meta


@pytest.fixture(scope="module")
def supernet(small):
    _, meta = small
    with floatx("float64"):
        return Supernet(meta["channels"], meta["cells"], meta["classes"])


def test_supernet_takes_alphas_or_keeps_its_own(small, supernet):
    state, _ = small
    own = values(supernet.alphas)
    load_reference_weights(supernet, {k: v for k, v in state.items() if "alphas" not in k})
    assert_close(values(supernet.alphas), own, 0)
    load_reference_weights(supernet, state)
    assert_close(values(supernet.alphas), [state["alphas_normal"], state["alphas_reduce"]], 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("cells.1._ops.3._ops.4.op.5.weight"), "1 missing: cells.1._ops.3._ops.4.op.5.w"),
        (
            grown("cells.1._ops.3._ops.4.op.1.weight"),
            r"_ops.4.op.1.weight \(9, 1, 3, 3\) instead of \(\d+, 1, 3, 3\)$",
        ),
        (grown("alphas_reduce"), r"alphas_reduce \(9, 8\) instead of \(14, 8\)$"),
    ],
)
def test_state_dict_of_another_supernet_changes_nothing(small, supernet, change, message):
    state = dict(small[0])
    change(state)
    before = values(supernet.variables)
    with pytest.raises(ValueError, match=message):
        load_reference_weights(supernet, state)
    assert_close(values(supernet.variables), before, 0)


def test_pools_that_differ_between_edges_of_a_state_are_refused(small, supernet):
    """Refuses them because one pool serves all edges from a state and has one set of statistics."""
    state = dict(small[0])
    state["cells.0._ops.2._ops.1.1.running_mean"] = np.array([7.0, 7.0])
    with pytest.raises(ValueError, match="copies on the other edges"):
        load_reference_weights(supernet, state)


def test_other_models_are_refused():
    with pytest.raises(ValueError, match=r"a Supernet or a Network.*Received: Sequential"):
        load_reference_weights(keras.Sequential([keras.Input((2,))]), {})
