"""Steps on streams of text: update rule, carried states, replicas, and undone steps."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from mostly_slow import mostly_slow
from numerics import assert_close, floatx
from recurrent_golden import LOSS
from replica_trainers import mirrored

from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.models.language_model import build_language_model
from darts_tf.models.recurrent_supernet import RecurrentSupernet
from darts_tf.search.language_darts import LanguageDARTS
from darts_tf.spaces.zoo import RECURRENT_GENOTYPES
from darts_tf.training.language_trainer import LanguageTrainer

WORDS, UNITS, BATCH, STEPS = 11, 6, 4, 4
DRAW = np.random.default_rng(0)
TEXT = [tf.constant(DRAW.integers(0, WORDS, (BATCH, STEPS)), tf.int32) for _ in range(4)]
PAIR = (TEXT[0], TEXT[1]), (TEXT[2], TEXT[3])

pytestmark = pytest.mark.usefixtures("float64")


def searching(arch_gradient="first_order", rate=1.0, network=None, clip_norm=0.25, **settings):
    network = network or RecurrentSupernet(WORDS, UNITS, nodes=2, **settings)
    options = {"arch_gradient": arch_gradient, "clip_norm": clip_norm, "weight_decay": 5e-7}
    trainer = LanguageDARTS(network, BATCH, time_steps=STEPS, **options)
    trainer.compile(keras.optimizers.SGD(rate), keras.optimizers.Adam(3e-3), LOSS)
    return trainer


def training(rate=1.0, **settings):
    network = build_language_model(RECURRENT_GENOTYPES["DARTS_V2"], WORDS, UNITS)
    trainer = LanguageTrainer(
        network, BATCH, 2, STEPS, weight_decay=0.1, clip_norm=1e-2, **settings
    )
    trainer.compile(keras.optimizers.SGD(rate), LOSS)
    return trainer


def states(trainer):
    return {name: np.asarray(state) for name, state in trainer.hidden.items()}


@mostly_slow(1, "length", [STEPS, 2])
def test_weights_step_with_both_regularisations(length):
    """A step equals the formulas, with the learning rate scaled by the batch's length."""
    trainer = training(activation_regularization=0.3, temporal_regularization=0.7)
    network, (tokens, targets) = trainer.network, (text[:, :length] for text in TEXT[:2])
    weights = network.trainable_variables
    with tf.GradientTape() as tape:
        outputs = network(tokens, return_outputs=True, training=True)
        change = outputs["outputs"][1:] - outputs["outputs"][:-1]
        loss = tf.reduce_mean(LOSS.call(targets, outputs["logits"]))
        squares = 0.3 * tf.reduce_mean(outputs["dropped"] ** 2) + 0.7 * tf.reduce_mean(change**2)
        total = loss + squares
    gradients = tape.gradient(total, [v.value for v in weights])
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in gradients))
    assert norm > 1e-2
    rate = length / STEPS
    expected = [
        w - rate * (1e-2 / (norm + 1e-6) * g + 0.1 * w)
        for w, g in zip(values(weights), gradients, strict=True)
    ]
    results = trainer.train_step((tokens, targets))
    assert_close(values(weights), expected, 1e-6)  # the rate is float32
    assert float(results["loss"]) == pytest.approx(float(loss))
    assert float(trainer.optimizer.learning_rate) == 1
    assert_close(trainer.hidden["train"], outputs["state"], 1e-12)


@mostly_slow(2, "name", ESTIMATORS)
def test_streams_go_on_from_the_weights_that_looked_at_them(name):
    """The validation stream's state is that of the virtual network, except in first order."""
    trainer = searching(name)
    trainer.train_step(PAIR)
    (train, valid), held = PAIR, trainer.read(trainer.weights_to_train)
    before = [trainer.continued(*item) for item in (("train", train), ("valid", valid))]
    state = trainer.call(before[0][0], training=True)["state"]
    alphas = trainer.read(trainer.network.alphas)
    weights = held
    if name != "first_order":
        loss = lambda w: trainer.loss_at(w, alphas, before[0])  # noqa: E731
        with tf.GradientTape() as tape:
            tape.watch(held)
            value = loss(held)
        weights = trainer.virtual_step(held, tape.gradient(value, held))
    _, outputs = trainer.loss_and_outputs_at(weights, alphas, before[1])
    trainer.train_step((train, valid))
    assert_close(trainer.hidden["valid"], outputs["state"], 1e-10)
    moved = np.abs(states(trainer)["train"] - state).max()
    assert 0 < moved < 0.1  # the weights' step uses the updated alphas
    trainer.begin("valid")
    assert not states(trainer)["valid"].any()
    assert states(trainer)["train"].any()


def test_step_that_is_not_finite_leaves_states_and_rate():
    trainer = searching()
    trainer.train_step(PAIR)
    trainer.network.bias.assign(np.full(WORDS, np.nan))
    before = values(trainer.state())
    trainer.train_step(PAIR)
    after = values(trainer.state())
    assert int(trainer.skipped) == 1
    counters = {id(trainer.skipped), id(trainer.skipped_in_a_row)}
    changed = [
        variable.path
        for variable, a, b in zip(trainer.state(), before, after, strict=True)
        if id(variable) not in counters and not np.array_equal(a, b, equal_nan=True)
    ]
    assert [name for name in changed if "seed" not in name] == []


def test_run_goes_on_from_its_state_bit_for_bit():
    """Also with dropout, in another trainer, in a graph."""
    build = lambda: searching("first_order", hidden_dropout=0.5, word_dropout=0.2)  # noqa: E731
    trainer, other = build(), build()
    step = tf.function(trainer.train_step)
    step(PAIR)
    for variable, held in zip(other.state(), values(trainer.state()), strict=True):
        variable.assign(held)
    step(PAIR)
    tf.function(other.train_step)(PAIR)
    for ours, expected in zip(values(other.state()), values(trainer.state()), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_valid_batch_has_masks_of_its_own_and_train_batch_those_of_the_step():
    trainer = searching(output_dropout=0.5)
    outputs = []
    call = trainer.call
    trainer.call = lambda x, training: outputs.append(call(x, training=training)) or outputs[-1]
    trainer.arch_gradient = "second_order"
    trainer.train_step(((TEXT[0], TEXT[1]), (TEXT[0], TEXT[1])))
    masks = [np.asarray(o["dropped"]) == 0 for o in outputs]
    assert len(masks) == 3
    np.testing.assert_array_equal(masks[0], masks[2])
    assert (masks[0] != masks[1]).any()


def test_test_text_has_a_state_of_its_own():
    trainer = training()
    tokens, targets = (text[:2] for text in TEXT[:2])
    results = trainer.test_step((tokens, targets))
    logits, state = trainer.network(tokens, return_state=True)
    assert float(results["loss"]) == pytest.approx(
        float(tf.reduce_mean(LOSS.call(targets, logits)))
    )
    assert_close(trainer.hidden["test"], state, 1e-12)
    assert not states(trainer)["train"].any()


def test_replicas_take_the_step_of_one_device():
    """The normalisation is frozen, since each replica has its own statistics."""

    def build(strategy):
        keras.utils.set_random_seed(0)
        with floatx("float64"), strategy.scope():
            network = RecurrentSupernet(WORDS, UNITS, nodes=2)
            network.cell.norm.trainable = False
            return searching(network=network)

    strategy, one = mirrored(2), build(tf.distribute.get_strategy())
    several = build(strategy)

    def part(context):
        rows = slice(2 * context.replica_id_in_sync_group, None)
        return tf.nest.map_structure(lambda text: text[rows][:2], PAIR)

    data = strategy.experimental_distribute_values_from_function(part)
    for _ in range(2):
        one.train_step(PAIR)
        strategy.run(several.train_step, args=(data,))
    for name, state in states(one).items():
        assert_close(several.hidden[name], state, 1e-6)  # Adam's rates are float32
    for get in (lambda t: t.network.network_weights, lambda t: t.network.alphas):
        assert_close(values(get(several)), values(get(one)), 1e-6)


@pytest.mark.slow
def test_search_learns_a_text_that_repeats():
    """Weights and alphas learn with Keras' own `fit`."""
    trainer = searching("first_order", rate=5.0)
    text = (np.arange(8 * WORDS) + 3 * np.arange(BATCH)[:, None]) % WORDS
    pairs = [
        (tf.constant(text[:, i : i + STEPS]), tf.constant(text[:, i + 1 : i + STEPS + 1]))
        for i in range(0, 80, STEPS)
    ]
    data = tf.data.Dataset.from_tensor_slices([list(p) for p in pairs])
    data = data.map(lambda p: ((p[0], p[1]), (p[0], p[1])))
    before = values(trainer.network.alphas)
    history = trainer.fit(data, epochs=8, shuffle=False, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert np.abs(np.asarray(trainer.network.alphas[0]) - before[0]).max() > 1e-3


def test_one_graph_takes_batches_of_any_length():
    spec = tf.TensorSpec((BATCH, None), tf.int32)
    trainer, other = searching(), searching()
    for variable, held in zip(other.state(), values(trainer.state()), strict=True):
        variable.assign(held)
    traced = tf.function(trainer.train_step, input_signature=[((spec, spec), (spec, spec))])
    for length in (STEPS, 2):
        (x, y), valid = (tuple(text[:, :length] for text in PAIR[0])), PAIR[1]
        traced(((x, y), valid))
        other.train_step(((x, y), valid))
    assert_close(values(trainer.network.variables), values(other.network.variables), 1e-6)


def test_batch_of_other_streams_and_shared_statistics_are_refused():
    trainer = searching()
    with pytest.raises(ValueError, match=r"batch of 4 streams.*tokens.shape=\(3, 4\)"):
        trainer.train_step(tf.nest.map_structure(lambda text: text[:3], PAIR))
    with pytest.raises(ValueError, match="own statistics.*sync_batch_norm=True"):
        LanguageDARTS(trainer.network, BATCH, sync_batch_norm=True)
