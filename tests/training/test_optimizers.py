"""Clipping and decay compared with closed forms, SGD and Adam with PyTorch's rules in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close
from replica_trainers import mirrored

import darts_tf
from darts_tf.errors import InputError
from darts_tf.training.optimizers import SGD, Adam, clip, clip_then_decay

GRADIENTS = [np.array([3.0, 0.0]), np.array([[0.0], [4.0]])]  # global norm 5
WEIGHTS = [np.array([1.0, -2.0]), np.array([[0.5], [10.0]])]
RATES = (0.1, 0.1, 0.02, 0.3)


def tensors(arrays):
    return [tf.constant(a) for a in arrays]


def gradients_at(step):
    return [g * np.cos(step + 1) + 0.1 * step for g in GRADIENTS]


# Clipping and decay


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("clip_norm", [None, 10.0, 5.1, 5.0, 2.5, 0.5])
def test_clipping_scales_by_the_norm_over_all_gradients(clip_norm):
    """PyTorch divides by the norm plus 1e-6."""
    scale = 1.0 if clip_norm is None else min(1.0, clip_norm / (5 + 1e-6))
    clipped = clip_then_decay(tensors(GRADIENTS), WEIGHTS, clip_norm, 0.0)
    assert_close(clipped, [scale * g for g in GRADIENTS], 1e-15)


@pytest.mark.usefixtures("float64")
def test_decay_is_added_after_clipping():
    result = clip_then_decay(tensors(GRADIENTS), tensors(WEIGHTS), 1.0, 0.1)
    pairs = zip(GRADIENTS, WEIGHTS, strict=True)
    assert_close(result, [g / (5 + 1e-6) + 0.1 * w for g, w in pairs], 1e-15)


@pytest.mark.usefixtures("float64")
def test_decay_takes_variables():
    variables = [keras.Variable(w) for w in WEIGHTS]
    result = clip_then_decay(tensors(GRADIENTS), variables, None, 0.1)
    assert_close(result, [g + 0.1 * w for g, w in zip(GRADIENTS, WEIGHTS, strict=True)], 1e-15)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("clip_norm", [10.0, 0.5])
def test_pullback_of_clipping_is_its_derivative(clip_norm):
    """Compares with TensorFlow's derivative of the formula."""
    upstreams = tensors([np.array([1.0, -2.0]), np.array([[3.0], [0.3]])])
    points = tensors(GRADIENTS)
    with tf.GradientTape() as tape:
        tape.watch(points)
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(g**2) for g in points]))
        scaled = [g * tf.minimum(1.0, clip_norm / (norm + 1e-6)) for g in points]
    expected = tape.gradient(scaled, points, output_gradients=upstreams)
    clipped, back = clip(tensors(GRADIENTS), clip_norm)
    assert_close(clipped, scaled, 1e-15)
    assert_close(back(upstreams), expected, 1e-13, 1e-15)


# The rules


def sgd_steps(gradients, momentum, decay=0.0, clip_norm=np.inf):
    """Returns WEIGHTS after steps of PyTorch's SGD.

    g = clip(∇L) + λw; buffer = μ·buffer + g; w = w − lr·buffer.
    """
    weights, buffers = [w.copy() for w in WEIGHTS], [np.zeros_like(w) for w in WEIGHTS]
    for step, rate in enumerate(RATES):
        norm = np.sqrt(sum((g**2).sum() for g in gradients(step)))
        for w, buffer, g in zip(weights, buffers, gradients(step), strict=True):
            buffer *= momentum
            buffer += g * min(1, clip_norm / (norm + 1e-6)) + decay * w
            w -= rate * buffer
    return weights


def adam_steps(gradients, beta_1, beta_2, epsilon):
    """Returns WEIGHTS after steps of PyTorch's Adam, epsilon added after the correction."""
    weights = [w.copy() for w in WEIGHTS]
    moments = [[np.zeros_like(w), np.zeros_like(w)] for w in WEIGHTS]
    for step, rate in enumerate(RATES):
        for w, moment, g in zip(weights, moments, gradients(step), strict=True):
            moment[0] = beta_1 * moment[0] + (1 - beta_1) * g
            moment[1] = beta_2 * moment[1] + (1 - beta_2) * g**2
            first = moment[0] / (1 - beta_1 ** (step + 1))
            second = moment[1] / (1 - beta_2 ** (step + 1))
            w -= rate * first / (np.sqrt(second) + epsilon)
    return weights


RULES = {
    "sgd": (lambda **k: SGD(0.1, 0.9, **k), lambda gradients: sgd_steps(gradients, 0.9)),
    "plain": (lambda **k: SGD(0.1, **k), lambda gradients: sgd_steps(gradients, 0.0)),
    "adam": (
        lambda **k: Adam(0.1, 0.5, 0.99, 0.05, **k),
        lambda gradients: adam_steps(gradients, 0.5, 0.99, 0.05),
    ),
}
"""Optimizers, and NumPy functions that do the same steps with the rates `RATES`."""

every_rule = pytest.mark.parametrize("rule", RULES)


def applied(optimizer, dtype="float64"):
    """Returns variables that begin as WEIGHTS after a step of each rate, by Keras' `apply`."""
    variables = [keras.Variable(w, dtype=dtype) for w in WEIGHTS]
    for step, rate in enumerate(RATES):
        optimizer.learning_rate = rate
        optimizer.apply([tf.constant(g, dtype) for g in gradients_at(step)], variables)
    return variables


@pytest.mark.usefixtures("float64")
@every_rule
def test_steps_are_those_of_pytorch_while_the_rate_changes(rule):
    make, expected = RULES[rule]
    optimizer = make()
    assert_close(applied(optimizer), expected(gradients_at), 1e-14)
    assert int(optimizer.iterations) == len(RATES)


@pytest.mark.usefixtures("float64")
def test_rules_differ_from_those_of_keras():
    """Guards against tests that either rule would pass."""
    for rule, other in (
        ("sgd", keras.optimizers.SGD(0.1, 0.9)),
        ("adam", keras.optimizers.Adam(0.1, 0.5, 0.99, 0.05)),
    ):
        expected = RULES[rule][1](gradients_at)
        with pytest.raises(AssertionError):
            assert_close(applied(other), expected, 1e-2)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_step_clips_and_decays_as_the_reference_does(momentum):
    variables, optimizer = [keras.Variable(w) for w in WEIGHTS], SGD(0.1, momentum)
    optimizer.build(variables)
    for step, rate in enumerate(RATES):
        optimizer.learning_rate = rate
        weights = [tf.convert_to_tensor(v) for v in variables]
        optimizer.step(tensors(gradients_at(step)), weights, variables, 2.0, 0.01)
    assert_close(variables, sgd_steps(gradients_at, momentum, 0.01, 2.0), 1e-14)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_step_that_is_not_finite_changes_nothing(momentum):
    variables, optimizer = [keras.Variable(w) for w in WEIGHTS], SGD(0.1, momentum)
    optimizer.build(variables)
    weights = [tf.convert_to_tensor(v) for v in variables]
    for finite in (True, False):
        gradients = [g if finite else g * np.nan for g in GRADIENTS]
        optimizer.step(tensors(gradients), weights, variables, 2.0, 0.01, finite=finite)
        now = [np.asarray(v) for v in (*variables, *optimizer.variables)]
        if finite:
            before = now
    assert_close(now, before, 0)


@every_rule
def test_float32_steps_are_those_of_float64(rule):
    make, expected = RULES[rule]
    assert_close(applied(make(), "float32"), expected(gradients_at), 1e-5)


@every_rule
def test_rows_of_an_embedding_are_updated(rule):
    """Its gradient is sparse, with a row twice; rows without one move with their velocity."""
    dense, sparse = (keras.Variable(np.arange(8.0).reshape(4, 2)) for _ in range(2))
    rows, ids = tf.constant([[1.0, 2.0], [0.5, 0.25], [3.0, -1.0]]), [2, 0, 2]
    gradient = np.array([[0.5, 0.25], [0, 0], [4.0, 1.0], [0, 0]], "float32")
    for variable, form in ((dense, gradient), (sparse, tf.IndexedSlices(rows, ids, [4, 2]))):
        optimizer = RULES[rule][0]()
        for _ in range(3):
            optimizer.apply([tf.convert_to_tensor(form) if form is gradient else form], [variable])
    assert_close(sparse, np.asarray(dense), 1e-6)


# As Keras' optimizers


class Pulled(keras.Model):
    """A model whose gradient does not depend on its weights: the loss is ⟨x, w⟩."""

    def __init__(self):
        super().__init__()
        self.kernel = self.add_weight(shape=(4,), name="kernel")

    def call(self, x):
        return keras.ops.sum(x * keras.ops.cast(self.kernel, x.dtype), -1)


def mean_output(_, outputs):
    return outputs


def fitted(optimizer, scope=None, **settings):
    """Returns a model after a step of `fit` for each rate."""
    with scope or tf.distribute.get_strategy().scope():
        model = Pulled()
        model.compile(optimizer(), mean_output, **settings)
        model.kernel.assign(np.concatenate([w.ravel() for w in WEIGHTS]))

    class Rates(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            model.optimizer.learning_rate = RATES[batch]

    rows = [np.concatenate([g.ravel() for g in gradients_at(i)]) for i in range(len(RATES))]
    x = np.repeat(rows, 2, axis=0).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x), "float32"))).batch(2)
    model.fit(data, verbose=0, shuffle=False, callbacks=[Rates()])
    return model


@every_rule
@pytest.mark.parametrize(
    "settings", [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}]
)
def test_fit_steps_by_the_rule(rule, settings):
    make, expected = RULES[rule]
    weights = np.concatenate([w.ravel() for w in expected(gradients_at)])
    assert_close(fitted(make, **settings).kernel, weights, 1e-5)


@every_rule
def test_fit_on_several_devices_steps_by_the_rule(rule):
    make, expected = RULES[rule]
    weights = np.concatenate([w.ravel() for w in expected(gradients_at)])
    model = fitted(make, mirrored(2).scope(), jit_compile=False)
    assert_close(model.kernel, weights, 1e-5)
    for copy in model.kernel.value.values:
        assert_close(copy, weights, 1e-5)


@every_rule
def test_fit_with_scaled_losses_steps_by_the_rule(rule):
    """Mixed precision in Keras: an optimizer around ours scales the loss."""
    make, expected = RULES[rule]
    weights = np.concatenate([w.ravel() for w in expected(gradients_at)])
    model = fitted(lambda: keras.optimizers.LossScaleOptimizer(make()), jit_compile=False)
    assert_close(model.kernel, weights, 1e-5)


@every_rule
def test_clipping_and_averages_of_keras_work(rule):
    """Keras clips to norm 2 exactly."""
    make, expected = RULES[rule]

    def clipped(step):
        norm = np.sqrt(sum((g**2).sum() for g in gradients_at(step)))
        return [g * min(1, 2 / norm) for g in gradients_at(step)]

    optimizer = make(global_clipnorm=2.0, use_ema=True, ema_momentum=0.0)
    variables = applied(optimizer, "float32")
    assert_close(variables, expected(clipped), 1e-5)
    optimizer.finalize_variable_values(variables)
    assert_close(variables, expected(clipped), 1e-5)


@every_rule
def test_saved_model_continues_with_moments_and_steps(tmp_path, rule):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(RULES[rule][0](), "mse")
    x, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0], [2.0]])
    model.fit(x, y, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is type(model.optimizer)
    assert int(again.optimizer.iterations) == 3
    for each in (model, again):
        each.fit(x, y, epochs=2, verbose=0)
    for one, other in zip(again.weights, model.weights, strict=True):
        assert_close(one, np.asarray(other), 1e-6)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (SGD(0.3, 0.8), {"momentum": 0.8}),
        (Adam(0.3, 0.6, 0.7, 1e-3), {"beta_1": 0.6, "beta_2": 0.7, "epsilon": 1e-3}),
    ],
    ids=["sgd", "adam"],
)
def test_config_round_trip_keeps_settings(optimizer, settings):
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is type(optimizer)
    assert {name: getattr(copy, name) for name in settings} == settings
    assert float(copy.learning_rate) == pytest.approx(0.3)


def test_defaults_are_those_of_pytorch_and_names_are_public():
    assert darts_tf.SGD is SGD
    assert darts_tf.Adam is Adam
    adam = darts_tf.Adam()
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (0.9, 0.999, 1e-8)
    assert float(adam.learning_rate) == pytest.approx(0.001)
    assert darts_tf.SGD(0.1, momentum=0).momentum == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.1, 1.0), r"momentum in \[0, 1\). Received: momentum=1.0"),
        (lambda: SGD(0.1, -0.1), r"momentum in \[0, 1\). Received: momentum=-0.1"),
        (lambda: SGD(0.1, 0.9, nesterov=True), "plain momentum. Received: nesterov=True"),
        (lambda: Adam(beta_1=1.0), r"beta_1 in \[0, 1\). Received: beta_1=1.0"),
        (lambda: Adam(beta_2=float("nan")), r"beta_2 in \[0, 1\). Received: beta_2=nan"),
        (lambda: Adam(epsilon=0.0), "epsilon above 0. Received: epsilon=0.0"),
        (lambda: Adam(amsgrad=True), "without AMSGrad. Received: amsgrad=True"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(InputError, match=f"Expected .*{message}"):
        make()
