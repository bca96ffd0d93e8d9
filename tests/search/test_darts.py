"""The trainer: exact gradients by brute force, and one step of Algorithm 1 in closed form."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from mostly_slow import mostly_slow
from numerics import assert_close, by_nested_tapes, floatx

from darts_tf.errors import InputError
from darts_tf.models.supernet import Supernet
from darts_tf.search.darts import DARTS
from darts_tf.training.optimizers import SGD, Adam, clip_then_decay

FEW = ("none", "skip_connect", "avg_pool_3x3", "dil_conv_3x3")


def tiny(**changed):
    return Supernet(**{"channels": 2, "cells": 3, "classes": 3, "nodes": 2, **changed})


def made_trainer(network, arch_optimizer=None, momentum=0.9, sgd=SGD, **settings):
    trainer = DARTS(network, **settings)
    trainer.compile(
        optimizer=sgd(0.025, momentum),
        arch_optimizer=arch_optimizer or keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    rng = np.random.default_rng(7)
    for velocity in trainer.optimizer.momentums if momentum else []:
        velocity.assign(0.4 * rng.normal(size=velocity.shape))
    return trainer


def drawn_batch(seed, shape=(3, 8, 8, 3), classes=3, dtype="float64"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape).astype(dtype)
    return tf.constant(x), tf.constant(rng.integers(0, classes, shape[0]))


@pytest.fixture(scope="module")
def tiny_trainer():
    """Returns a float64 trainer of a tiny supernet with nonzero momentum.

    Tests share it and must leave it unchanged.
    """
    keras.utils.set_random_seed(0)
    with floatx("float64"):
        network = tiny()
        for alphas in network.alphas:
            alphas.assign(np.random.default_rng(1).normal(size=alphas.shape))
        return made_trainer(network)


TRAIN, VALID = drawn_batch(0), drawn_batch(1)


def arguments(trainer):
    weights = [tf.constant(v) for v in values(trainer.network.network_weights)]
    alphas = [tf.constant(a) for a in values(trainer.network.alphas)]
    return trainer.loss_at, weights, alphas, TRAIN, VALID, trainer.virtual_step


@pytest.mark.slow
def test_second_order_is_the_gradient_by_nested_tapes(tiny_trainer):
    expected_loss, expected = by_nested_tapes(*arguments(tiny_trainer))
    loss, gradients = tiny_trainer.arch_gradients(TRAIN, VALID)
    assert_close(loss, expected_loss, 1e-12)
    assert_close(gradients, expected, 1e-9)


@pytest.mark.slow
def test_second_order_is_the_slope_of_the_unrolled_loss(tiny_trainer):
    """Compares with a central difference of L_valid(w'(α), α) along a random direction."""
    _, weights, alphas, *_ = arguments(tiny_trainer)
    rng = np.random.default_rng(3)
    direction = [tf.constant(rng.normal(size=a.shape)) for a in alphas]

    def unrolled(step):
        moved = [a + step * d for a, d in zip(alphas, direction, strict=True)]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = tiny_trainer.loss_at(weights, moved, TRAIN)
        virtual = tiny_trainer.virtual_step(weights, tape.gradient(loss, weights))
        return float(tiny_trainer.loss_at(virtual, moved, VALID))

    _, gradients = tiny_trainer.arch_gradients(TRAIN, VALID)
    slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, direction, strict=True))
    assert (unrolled(1e-6) - unrolled(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_second_order_in_a_graph_is_the_eager_one():
    """Guards against graphs that silently lose the second derivative of a pooling operation."""
    network = tiny(primitives=("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3"))
    trainer = made_trainer(network)
    eager = trainer.arch_gradients(TRAIN, VALID)
    graph = tf.function(trainer.arch_gradients, autograph=False)(TRAIN, VALID)
    assert_close(graph[0], eager[0], 1e-12)
    assert_close(graph[1], eager[1], 1e-10)


@pytest.mark.usefixtures("float64")
@mostly_slow(1, "name", ["second_order", "first_order", "finite_difference"])
def test_arch_gradients_change_nothing(name):
    """Checks weights, alphas, running statistics and momentum."""
    trainer = made_trainer(tiny(nodes=1, primitives=FEW), arch_gradient=name)
    variables = [*trainer.network.variables, *trainer.optimizer.variables]
    before = values(variables)
    trainer.arch_gradients(TRAIN, VALID)
    assert_close(values(variables), before, 0)


@pytest.mark.usefixtures("float64")
def test_running_statistics_move_once_a_step():
    """Expects one update: on the training batch, at the old weights, with the new alphas."""
    network = tiny(nodes=1, primitives=FEW)
    trainer, start = made_trainer(network), values(network.variables)
    trainer.train_step((TRAIN, VALID))
    after = {v.path: np.asarray(v) for v in network.non_trainable_variables}
    alphas = values(network.alphas)
    for variable, value in zip(network.variables, start, strict=True):
        variable.assign(value)
    for variable, value in zip(network.alphas, alphas, strict=True):
        variable.assign(value)
    network(TRAIN[0], training=True)
    assert after
    for variable in network.non_trainable_variables:
        assert_close(variable, after[variable.path], 1e-12, 1e-15)


@pytest.mark.usefixtures("float64")
def test_norms_are_of_what_each_step_descends_before_clipping_and_decay():
    network = tiny(nodes=1, primitives=FEW)
    trainer = made_trainer(network, arch_gradient="first_order", clip_norm=1e-3)
    expected = {"gradient_norm": [], "arch_gradient_norm": []}
    for batches in ((TRAIN, VALID), (VALID, TRAIN)):
        weights = [tf.constant(v) for v in values(network.network_weights)]
        _, gradients = trainer.arch_gradients(*batches)
        expected["arch_gradient_norm"].append(tf.linalg.global_norm(gradients))
        trainer.train_step(batches)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = trainer.loss_at(weights, values(network.alphas), batches[0])
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
        expected["gradient_norm"].append(tf.linalg.global_norm(gradients))
    found = trainer.gradient_norms()
    assert {name: float(norm) for name, norm in found.items()} == pytest.approx(
        {name: np.mean(norms) for name, norms in expected.items()}, rel=1e-6
    )
    assert not set(found) & set(trainer.results())
    trainer.moves_alphas = False
    assert list(trainer.gradient_norms()) == ["gradient_norm"]
    trainer.begin_epoch()
    assert float(trainer.gradient_norms()["gradient_norm"]) == 0


def test_fit_trains_alphas_and_weights_and_takes_a_partial_batch():
    """Fits batches of four and of two images, so that the graph does not know the batch size."""
    network = tiny(nodes=1, primitives=FEW)
    trainer = made_trainer(network, keras.optimizers.Adam(3e-4, 0.5, 0.999))
    pairs = [drawn_batch(seed, (6, 8, 8, 3), dtype="float32") for seed in (0, 1)]
    batches = tf.data.Dataset.from_tensor_slices(tuple(pairs)).batch(4)
    before = values(network.trainable_variables)
    history = trainer.fit(batches, epochs=1, shuffle=False, verbose=0).history
    assert set(history) == {"loss", "arch_loss", "accuracy"}
    assert np.all(np.isfinite([*history.values()]))
    for after, start in zip(values(network.trainable_variables), before, strict=True):
        assert np.all(np.isfinite(after))
        assert not np.array_equal(after, start)


@pytest.mark.slow
def test_mixed_bfloat16_trains():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        trainer = made_trainer(tiny(nodes=1))
    finally:
        keras.config.set_dtype_policy("float32")
    network, before = trainer.network, values(trainer.network.trainable_variables)
    batches = [drawn_batch(seed, dtype="float32") for seed in (0, 1)]
    results = trainer.train_step(batches)
    assert np.all(np.isfinite([float(v) for v in results.values()]))
    after = values(network.trainable_variables)
    assert {v.dtype for v in after} == {np.dtype("float32")}
    assert all(np.all(np.isfinite(v)) for v in after)
    assert all(not np.array_equal(a, b) for a, b in zip(after[:2], before[:2], strict=True))


# A network with one alpha per feature: the step computed by hand


class Scaled(keras.Model):
    """A linear model of features scaled by alphas, with all that a trainer uses of a network."""

    def __init__(self):
        super().__init__()
        draw = keras.initializers.RandomNormal(stddev=1.0)
        alphas, self.kernel, self.bias = (
            self.add_weight(shape=shape, initializer=draw) for shape in ((4,), (4, 3), (3,))
        )
        self.alphas = [alphas]
        self.built = True

    @property
    def network_weights(self):
        return [self.kernel, self.bias]

    def call(self, x, training=False):
        return tf.matmul(x * tf.exp(self.alphas[0]), self.kernel) + self.bias


def features(seed, count=5):
    return drawn_batch(seed, (count, 4))


def loss_gradients(network, batch, variables):
    x, y = batch
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, network(x))
        loss = tf.reduce_mean(losses)
    return tape.gradient(loss, [v.value for v in variables])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_train_step_is_algorithm_one(clip_norm):
    """Expects new alphas, then a weight step at these: clipped without the alphas, then decayed."""
    network = Scaled()
    settings = {"weight_decay": 0.02, "arch_weight_decay": 0.3, "clip_norm": clip_norm}
    trainer = made_trainer(network, arch_gradient="first_order", momentum=0.0, **settings)
    train, valid = features(0), features(1)
    (alphas,), weights = values(network.alphas), values(network.network_weights)
    (slope,) = loss_gradients(network, valid, network.alphas)
    moved = alphas - 0.1 * (np.asarray(slope) + 0.3 * alphas)
    trainer.train_step((train, valid))
    assert_close(network.alphas[0], moved, 1e-12)

    after = values(network.network_weights)
    for variable, value in zip(network.network_weights, weights, strict=True):
        variable.assign(value)
    gradients = [np.asarray(g) for g in loss_gradients(network, train, network.network_weights)]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    scale = 1.0 if clip_norm is None else clip_norm / (norm + 1e-6)
    assert scale <= 1
    expected = [w - 0.025 * (scale * g + 0.02 * w) for w, g in zip(weights, gradients, strict=True)]
    assert_close(after, expected, 1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("sgd", [SGD, keras.optimizers.SGD], ids=["ours", "keras"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_virtual_step_is_the_next_step_of_the_optimizer(momentum, sgd):
    """Expects an unclipped step with the velocity, which contains the rate in Keras and stays."""
    network = Scaled()
    trainer = made_trainer(network, momentum=momentum, weight_decay=0.02, clip_norm=1e-3, sgd=sgd)
    weights = [tf.constant(v) for v in values(network.network_weights)]
    gradients = [tf.cos(3 * w) for w in weights]
    velocities = values(trainer.optimizer.momentums) if momentum else []
    virtual = values(trainer.virtual_step(weights, gradients))
    decayed = clip_then_decay(gradients, weights, None, 0.02)
    trainer.optimizer.apply(decayed, network.network_weights)
    assert_close(values(network.network_weights), virtual, 1e-8)
    by_hand = [w - 0.025 * (g + 0.02 * w) for w, g in zip(weights, gradients, strict=True)]
    if momentum:
        factor = momentum if sgd is keras.optimizers.SGD else -0.025 * momentum
        by_hand = [w + factor * v for w, v in zip(by_hand, velocities, strict=True)]
    assert_close(virtual, by_hand, 1e-14)


@pytest.mark.usefixtures("float64")
def test_losses_are_means_over_all_images_of_an_epoch():
    """Fits at learning rate 0, on batches of four images and of one, for two epochs."""
    network = Scaled()
    trainer = made_trainer(network, keras.optimizers.SGD(0.0), momentum=0.0)
    trainer.optimizer.learning_rate = 0.0
    train, valid = features(0), features(1)
    batches = tf.data.Dataset.from_tensor_slices((train, valid)).batch(4)
    history = trainer.fit(batches, epochs=2, shuffle=False, verbose=0).history
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(train[1], network(train[0]))
    mean = float(tf.reduce_mean(losses))
    history = {name: [float(value) for value in values] for name, values in history.items()}
    assert history["loss"] == pytest.approx([mean, mean])
    accuracy = np.mean(np.argmax(network(train[0]), -1) == train[1])
    assert history["accuracy"] == pytest.approx([accuracy, accuracy])
    evaluated = trainer.evaluate(*train, batch_size=2, verbose=0, return_dict=True)
    evaluated = {name: float(value) for name, value in evaluated.items()}
    assert evaluated == pytest.approx({"loss": mean, "accuracy": accuracy})


def test_unknown_estimator_is_refused():
    message = "one of .*first_order.*Received: arch_gradient='third_order'"
    with pytest.raises(ValueError, match=message):
        DARTS(Scaled(), "third_order")


@pytest.mark.parametrize(
    "optimizer", ["adam", keras.optimizers.SGD(0.1, 0.9, nesterov=True)], ids=["adam", "nesterov"]
)
def test_optimizer_that_the_virtual_step_cannot_repeat_is_refused(optimizer):
    with pytest.raises(ValueError, match="SGD without nesterov.*Received: (Adam|SGD with nes)"):
        DARTS(Scaled()).compile(optimizer, "adam", "mse")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": "mse"}, "'sparse_categorical_crossentropy' or .*Received: loss='mse'"),
        ({"loss": None}, "a function of labels and logits.*Received: loss=None"),
        ({"metrics": ["auc"]}, "'accuracy' or .*, or objects of Keras.*Received: 'auc'"),
    ],
)
def test_name_without_a_meaning_for_logits_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        DARTS(Scaled()).compile("sgd", "adam", **changed)


@pytest.mark.usefixtures("float64")
def test_names_and_defaults_are_those_of_objects():
    network, (train, valid) = Scaled(), (features(0), features(1))
    by_name, by_object = DARTS(network), DARTS(network)
    by_name.compile(metrics=["accuracy"])
    by_object.compile(
        SGD(0.025, 0.9),
        Adam(3e-4, 0.5, 0.999),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        [keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    for name in ("optimizer", "arch_optimizer"):
        first, second = (getattr(trainer, name).get_config() for trainer in (by_name, by_object))
        assert {**first, "name": ""} == {**second, "name": ""}
        assert type(getattr(by_name, name)) is type(getattr(by_object, name))
    assert [m.name for m in by_name.metrics] == [m.name for m in by_object.metrics]
    pairs = [trainer.arch_gradients(train, valid) for trainer in (by_name, by_object)]
    assert_close(pairs[0][1], pairs[1][1], 1e-12)


@pytest.mark.usefixtures("float64")
def test_one_hot_labels_have_their_own_loss_and_metric():
    (x, y), network = features(0), Scaled()
    integers, one_hot = DARTS(network), DARTS(network)
    integers.compile(metrics=["accuracy"])
    one_hot.compile(loss="categorical_crossentropy", metrics=["categorical_accuracy"])
    expected = [float(v) for v in integers.test_step((x, y)).values()]
    found = one_hot.test_step((x, tf.one_hot(y, 3))).values()
    assert [float(v) for v in found] == pytest.approx(expected)


@pytest.mark.parametrize(
    "data",
    [
        (np.zeros((4, 3)), np.zeros(4)),
        (np.zeros((4, 3)), None),
        (tf.data.Dataset.from_tensors((np.zeros((4, 3)), np.zeros(4))), None),
        (tf.data.Dataset.from_tensors(np.zeros((4, 3))), None),
    ],
    ids=["arrays", "array", "batches", "images"],
)
def test_fit_says_what_it_expects(data):
    trainer = DARTS(Scaled())
    trainer.compile()
    message = r"pairs \(\(x, y\), \(x_valid, y_valid\)\).*search_cells.*Received: \S"
    with pytest.raises(InputError, match=message):
        trainer.fit(*data)


@pytest.mark.usefixtures("float64")
def test_loss_may_be_one_number_per_image():
    trainer = made_trainer(Scaled(), arch_gradient="first_order")
    train, valid = features(0), features(1)
    expected = trainer.arch_gradients(train, valid)
    trainer.compile("sgd", "sgd", tf.nn.sparse_softmax_cross_entropy_with_logits)
    actual = trainer.arch_gradients(train, valid)
    assert_close(actual[0], expected[0], 1e-12)
    assert_close(actual[1], expected[1], 1e-12)


@pytest.mark.parametrize("setting", ["weight_decay", "clipnorm", "global_clipnorm"])
def test_optimizer_that_decays_or_clips_as_well_is_refused(setting):
    optimizer = keras.optimizers.SGD(0.1, **{setting: 0.5})
    with pytest.raises(ValueError, match=f"neither clips nor decays.*{setting}"):
        DARTS(Scaled()).compile(optimizer, "adam", keras.losses.MeanSquaredError())
