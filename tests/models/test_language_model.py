"""Language models: their sizes, their contract, dropout, precision, and files."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from mostly_slow import mostly_slow
from numerics import assert_close

from darts_tf.models.counting import count_params
from darts_tf.models.language_model import DROPOUTS, build_language_model
from darts_tf.models.recurrent_supernet import RecurrentSupernet
from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.runtime.execution import dtype_policy
from darts_tf.spaces.zoo import RECURRENT_GENOTYPES

WORDS, UNITS, BATCH, STEPS = 11, 6, 3, 4
TOKENS = np.random.default_rng(0).integers(0, WORDS, (BATCH, STEPS))
V2 = RECURRENT_GENOTYPES["DARTS_V2"]


def supernet(**settings):
    return RecurrentSupernet(WORDS, UNITS, **{"nodes": 2, **settings})


def model(**settings):
    return build_language_model(V2, WORDS, UNITS, **settings)


both = pytest.mark.parametrize("make", [supernet, model])


def test_parameters_are_those_of_the_paper():
    assert count_params(RecurrentSupernet()) == 4_810_000
    assert count_params(build_language_model(V2, 10_000)) == 22_960_000
    assert count_params(build_language_model(V2, 33_278, 700)) == 33_127_878


def test_alphas_are_apart_from_the_weights():
    net = RecurrentSupernet(WORDS, UNITS)
    assert [tuple(a.shape) for a in net.alphas] == [(36, 5)]
    assert len(net.network_weights) == len(net.trainable_variables) - 1
    assert np.abs(net.alphas[0]).max() < 1e-2
    assert len(net.genotype().recurrent) == 8
    assert all(np.abs(w).max() <= 0.04 for w in values(net.network_weights))


@both
def test_state_goes_on_where_it_stopped(make):
    """Runs two parts of a text, the second from the first's state, and compares with the whole."""
    net = make()
    logits, state = net(TOKENS, return_state=True)
    assert logits.shape == (BATCH, STEPS, WORDS)
    assert state.shape == (BATCH, UNITS)
    first, between = net(TOKENS[:, :1], initial_state=np.zeros((BATCH, UNITS)), return_state=True)
    second, after = net(TOKENS[:, 1:], initial_state=between, return_state=True)
    assert_close(np.concatenate([first, second], 1), logits, 1e-6)
    assert_close(after, state, 1e-6)
    assert_close(net(TOKENS), logits, 1e-6)


@pytest.mark.parametrize("name", RECURRENT_GENOTYPES)
def test_published_cells_build_and_learn(name):
    net = build_language_model(RECURRENT_GENOTYPES[name], WORDS, UNITS)
    assert len(net.cell.node_kernels) == len(RECURRENT_GENOTYPES[name].recurrent)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(net(TOKENS, training=True) ** 2)
    gradients = tape.gradient(loss, [v.value for v in net.trainable_variables])
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_words_of_any_length_in_one_graph():
    net = model()
    traced = tf.function(net, input_signature=[tf.TensorSpec((None, None), tf.int32)])
    for steps in (1, STEPS):
        assert_close(traced(tf.constant(TOKENS[:, :steps], tf.int32)), net(TOKENS[:, :steps]), 1e-6)


def test_tied_matrix_has_a_dense_gradient_of_both_its_uses():
    net = model()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(net(TOKENS)))
    gradient = tape.gradient(loss, net.embedding.value)
    step = 1e-3 * np.sign(gradient)
    before = net.embedding.numpy()
    sides = []
    for sign in (1, -1):
        net.embedding.assign(before + sign * step)
        sides.append(float(tf.reduce_sum(tf.sin(net(TOKENS)))))
    assert (sides[0] - sides[1]) / 2 == pytest.approx(float(np.sum(gradient * step)), rel=1e-2)


# Dropout


@pytest.mark.parametrize(
    ("make", "name"), [*((model, name) for name in DROPOUTS), (supernet, "hidden_dropout")]
)
def test_every_dropout_acts_in_training_alone(make, name):
    plain, dropping = make(), make(**{name: 0.5})
    for variable, other in zip(
        dropping.trainable_variables, plain.trainable_variables, strict=True
    ):
        variable.assign(np.random.default_rng(variable.shape[0]).normal(size=variable.shape))
        other.assign(variable)
    assert_close(dropping(TOKENS), plain(TOKENS), 1e-6)
    first = np.asarray(dropping(TOKENS, training=True))
    assert np.abs(first - plain(TOKENS, training=True)).max() > 1e-3
    assert np.abs(first - dropping(TOKENS, training=True)).max() > 1e-3


def test_masks_are_a_function_of_the_seed():
    net = model(**dict.fromkeys(DROPOUTS, 0.3))
    held = np.asarray(net.seed_state)
    first = net(TOKENS, training=True)
    net.seed_state.assign(held)
    assert_close(net(TOKENS, training=True), first, 0)


def test_masks_stay_the_same_over_time():
    """Expects a unit to be dropped at all steps or none, and a word wherever it occurs."""
    net = model(output_dropout=0.5)
    outputs = net(TOKENS, return_outputs=True, training=True)
    factors = np.asarray(outputs["dropped"]) / np.asarray(outputs["outputs"])
    assert set(np.unique(np.round(factors, 4))) == {0, 2}
    assert_close(factors, np.broadcast_to(factors[:1], factors.shape), 1e-6)
    words = np.asarray(model(word_dropout=0.5)._masks(1)["word_dropout"])
    assert words.shape == (WORDS, 1)


# Files and precision


@mostly_slow((2,), "policy", ["float32", "float64", "mixed_bfloat16"])
@both
def test_saved_model_gives_the_same(make, policy, tmp_path):
    with dtype_policy(policy):
        net = make(hidden_dropout=0.25)
        logits, state = net(TOKENS, return_state=True)
        net.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert {loaded.compute_dtype, loaded.cell.compute_dtype} == {logits.dtype.name}
        assert all(v.dtype == loaded.variable_dtype for v in loaded.trainable_variables)
        assert_close(tf.cast(loaded(TOKENS), tf.float32), tf.cast(logits, tf.float32), 1e-6)
    assert state.dtype == logits.dtype
    assert loaded.get_config() == net.get_config()


def test_mixed_precision_is_near_the_full_one():
    full = supernet()
    with dtype_policy("mixed_bfloat16"):
        mixed = supernet()
    for ours, other in zip(mixed.variables, full.variables, strict=True):
        ours.assign(other)
    expected = full(TOKENS, training=True)
    assert_close(tf.cast(mixed(TOKENS, training=True), tf.float32), expected, 0.1)
    assert mixed.cell.norm.moving_mean.dtype == "float32"
    assert_close(mixed.cell.norm.moving_variance, full.cell.norm.moving_variance, 0.02)


# State dicts of the reference


def state_dict():
    draw = np.random.default_rng(0)
    table = draw.normal(size=(WORDS, UNITS))
    nodes = {f"rnns.0._Ws.{i}": draw.normal(size=(UNITS, 2 * UNITS)) for i in range(8)}
    tied = {"encoder.weight": table, "decoder.weight": table}
    first = {"rnns.0._W0": draw.normal(size=(2 * UNITS, 2 * UNITS))}
    return {**tied, **nodes, **first, "decoder.bias": draw.normal(size=WORDS)}


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("rnns.0._Ws.8", np.zeros((UNITS, 2 * UNITS)), "1 unknown: rnns.0._Ws.8$"),
        ("rnns.0._W0", np.zeros((3, 3)), r"rnns.0._W0 \(3, 3\) instead of \(12, 12\)$"),
        ("decoder.weight", np.zeros((WORDS, UNITS)), "decoder.weight to equal encoder.weight"),
        ("alphas", np.zeros((36, 5)), "1 unknown: alphas$"),
    ],
)
def test_state_dict_of_another_model_changes_nothing(name, array, message):
    net = model()
    before = values(net.variables)
    with pytest.raises(ValueError, match=message):
        load_reference_weights(net, {**state_dict(), name: array})
    assert_close(values(net.variables), before, 0)
    load_reference_weights(net, state_dict())
    assert_close(net.embedding, state_dict()["encoder.weight"], 1e-6)


@pytest.mark.parametrize(
    "settings", [{"vocabulary": 0}, {"units": 0}, {"word_dropout": 1.0}, {"input_dropout": -0.1}]
)
def test_impossible_models_are_refused(settings):
    with pytest.raises(ValueError, match="Expected.*Received"):
        build_language_model(V2, **{"vocabulary": WORDS, "units": UNITS, **settings})
