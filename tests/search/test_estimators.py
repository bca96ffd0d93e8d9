"""The estimators on bilevel problems whose answers are known."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from numerics import assert_close, by_nested_tapes, relative_error

from darts_tf import registry
from darts_tf.configs import SearchConfig
from darts_tf.configs.estimators import ESTIMATORS, Estimator
from darts_tf.errors import InputError
from darts_tf.search.darts import DARTS
from darts_tf.search.estimators import finite_difference, first_order, second_order

XI, MOMENTUM, DECAY = 0.1, 0.9, 0.01
DRAW = np.random.default_rng(0)
SIZES = ((3, 2), (2, 4))  # of two pairs of weights and alphas
MATRICES = [tf.constant(DRAW.normal(size=size)) for size in SIZES]
VELOCITIES = [tf.constant(DRAW.normal(size=size[0])) for size in SIZES]
TARGETS = [tf.constant(DRAW.normal(size=size[0])) for size in SIZES]
SLOPES = [tf.constant(DRAW.normal(size=size[1])) for size in SIZES]
WEIGHTS = [tf.constant(DRAW.normal(size=size[0])) for size in SIZES]
ALPHAS = [tf.constant(DRAW.normal(size=size[1])) for size in SIZES]


def half_squares(vectors):
    return 0.5 * tf.add_n([tf.reduce_sum(v**2) for v in vectors])


def images_of(alphas):
    return [tf.linalg.matvec(m, a) for m, a in zip(MATRICES, alphas, strict=True)]


def minus(first, second):
    return [a - b for a, b in zip(first, second, strict=True)]


def quadratic(weights, alphas, batch):
    """Returns L_train = ½|w − Aα|² or L_valid = ½|w − b|² + c·α."""
    if batch == "train":
        return half_squares(minus(weights, images_of(alphas)))
    linear = tf.add_n([tf.tensordot(c, a, 1) for c, a in zip(SLOPES, alphas, strict=True)])
    return half_squares(minus(weights, TARGETS)) + linear


def plain_step(weights, gradients):
    return [w - XI * g for w, g in zip(weights, gradients, strict=True)]


def momentum_step(weights, gradients):
    """Returns w' = w + μ·velocity − ξ(∇L + λw)."""
    return [
        w + MOMENTUM * v - XI * (g + DECAY * w)
        for w, g, v in zip(weights, gradients, VELOCITIES, strict=True)
    ]


def unrolled_answer(step):
    """Solves by hand: w' = step(w, w − Aα), dw'/dα = ξA, so the gradient is ξAᵀ(w' − b) + c."""
    virtual = step(WEIGHTS, minus(WEIGHTS, images_of(ALPHAS)))
    gradients = [
        XI * tf.linalg.matvec(m, w - b, transpose_a=True) + c
        for m, w, b, c in zip(MATRICES, virtual, TARGETS, SLOPES, strict=True)
    ]
    return quadratic(virtual, ALPHAS, "valid"), gradients


def first_order_answer(step):
    return quadratic(WEIGHTS, ALPHAS, "valid"), SLOPES


ANSWERS = {
    "first_order": first_order_answer,
    "second_order": unrolled_answer,
    "finite_difference": unrolled_answer,  # exact: the gradient along alphas is linear in w
}


@pytest.mark.parametrize("step", [plain_step, momentum_step])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimator_solves_the_quadratic_problem(name, step):
    loss, gradients = ANSWERS[name](step)
    estimate = ESTIMATORS[name](quadratic, WEIGHTS, ALPHAS, "train", "valid", step)
    assert_close(estimate[0], loss, 1e-14)
    assert_close(estimate[1], gradients, 1e-9)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimator_gives_the_same_in_a_graph(name):
    arguments = (quadratic, WEIGHTS, ALPHAS, "train", "valid", momentum_step)
    eager = ESTIMATORS[name](*arguments)
    graph = tf.function(lambda: ESTIMATORS[name](*arguments))()
    assert_close(graph[0], eager[0], 1e-14)
    assert_close(graph[1], eager[1], 1e-9)


def smooth(weights, alphas, batch):
    """Returns a loss that is neither linear nor quadratic in weights or alphas."""
    shift = 0.3 if batch == "train" else -0.2
    mixed = [
        tf.sin(w + shift) * tf.exp(0.3 * i)
        for w, i in zip(weights, images_of([tf.nn.softmax(a) for a in alphas]), strict=True)
    ]
    return half_squares(mixed)


SMOOTH = (smooth, WEIGHTS, ALPHAS, "train", "valid", momentum_step)


def test_second_order_is_the_gradient_by_nested_tapes():
    expected = by_nested_tapes(*SMOOTH)
    actual = second_order(*SMOOTH)
    assert_close(actual[0], expected[0], 1e-14)
    assert_close(actual[1], expected[1], 1e-12)


def test_second_order_is_the_slope_of_the_unrolled_loss():
    """Compares with central differences of L_valid(w'(α), α) for each alpha."""
    _, gradients = second_order(*SMOOTH)

    def unrolled(alphas):
        return by_nested_tapes(smooth, WEIGHTS, alphas, "train", "valid", momentum_step)[0]

    for which, gradient in enumerate(gradients):
        for i in range(gradient.shape[0]):
            step = tf.one_hot(i, gradient.shape[0], 1e-5, 0.0, dtype=tf.float64)
            sides = [
                unrolled([a + sign * step if k == which else a for k, a in enumerate(ALPHAS)])
                for sign in (1, -1)
            ]
            assert float(sides[0] - sides[1]) / 2e-5 == pytest.approx(float(gradient[i]), rel=1e-6)


def test_finite_difference_error_falls_with_the_square_of_the_radius():
    _, exact = second_order(*SMOOTH)
    errors = [
        max(map(relative_error, finite_difference(*SMOOTH, radius=radius)[1], exact))
        for radius in (1e-1, 1e-2, 1e-3)
    ]
    assert errors[1] == pytest.approx(errors[0] / 100, rel=0.1)
    assert errors[2] == pytest.approx(errors[0] / 1e4, rel=0.1)
    assert errors[2] < 1e-6


def test_finite_difference_steps_the_radius_to_both_sides():
    """Expects training losses at w ± radius · v/|v|, with v the gradient at w' (eq. 8)."""
    seen = []

    def watching(weights, alphas, batch):
        if batch == "train":
            seen.append([np.asarray(w) for w in weights])
        return smooth(weights, alphas, batch)

    finite_difference(watching, *SMOOTH[1:], radius=0.05)
    at, *sides = seen
    assert len(sides) == 2
    for side in sides:
        distance = np.sqrt(sum(np.sum((s - w) ** 2) for s, w in zip(side, at, strict=True)))
        assert distance == pytest.approx(0.05)
    assert_close([(a + b) / 2 for a, b in zip(*sides, strict=True)], at, 1e-14)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_valid_loss_without_weights_leaves_the_direct_gradient(name):
    """Covers v = 0, by whose norm the finite difference divides."""

    def loss(weights, alphas, batch):
        if batch == "train":
            return smooth(weights, alphas, batch)
        return half_squares(alphas)

    _, gradients = ESTIMATORS[name](loss, WEIGHTS, ALPHAS, "train", "valid", plain_step)
    assert_close(gradients, ALPHAS, 1e-14)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_alphas_that_nothing_depends_on_get_zeros(name):
    def loss(weights, alphas, batch):
        return smooth(weights, alphas[:2], batch)

    spare = tf.constant([1.0, 2.0, 3.0], tf.float64)
    arguments = (WEIGHTS, [*ALPHAS, spare], "train", "valid", plain_step)
    _, gradients = ESTIMATORS[name](loss, *arguments)
    assert_close(gradients[2], np.zeros(3), 0)
    expected = ESTIMATORS[name](smooth, WEIGHTS, ALPHAS, "train", "valid", plain_step)[1]
    assert_close(gradients[:2], expected, 1e-14)


def test_first_order_needs_no_train_batch_or_step():
    _, gradients = first_order(smooth, WEIGHTS, ALPHAS, None, "valid", None)
    value = functools.partial(smooth, WEIGHTS, batch="valid")
    with tf.GradientTape() as tape:
        tape.watch(ALPHAS)
        loss = value(ALPHAS)
    assert_close(gradients, tape.gradient(loss, ALPHAS), 1e-14)


class TwoWeights(keras.Model):
    """A network with one array of weights and one of alphas."""

    def __init__(self):
        super().__init__()
        self.network_weights = [self.add_weight(shape=(2,), initializer="ones")]
        self.alphas = [self.add_weight(shape=(2,), initializer="ones")]
        self.built = True

    def call(self, x, training=False):
        return x * self.network_weights[0] * self.alphas[0]


@pytest.mark.parametrize("exact", [True, False])
def test_new_estimator_is_one_entry(monkeypatch, exact):
    """Expects that settings accept its name and a search uses its function and traits."""
    calls = []

    def function(loss, weights, alphas, train, valid, virtual_step):
        calls.append(virtual_step)
        return first_order(loss, weights, alphas, train, valid, virtual_step)

    with pytest.raises(InputError, match="arch_gradient"):
        SearchConfig(workdir="run", arch_gradient="mine")
    monkeypatch.setitem(registry.ESTIMATORS, "mine", Estimator(function, exact=exact))
    assert SearchConfig(workdir="run", arch_gradient="mine").arch_gradient == "mine"

    trainer = DARTS(TwoWeights(), "mine", clip_norm=1.0, clip_virtual_step=True, weight_decay=0.0)
    sgd = keras.optimizers.SGD(1.0)
    trainer.compile(sgd, "adam", keras.losses.MeanSquaredError(reduction=None))
    batch = tf.ones((1, 2)), tf.zeros((1, 2))
    loss, (gradient,) = trainer.arch_gradients(batch, batch)
    assert_close([loss], [1.0], 1e-6)
    assert_close([gradient], [np.ones(2)], 1e-6)
    (virtual_step,) = calls

    # a gradient of norm 2, clipped to 1: its pullback is the derivative, or is clipped too
    gradients = [tf.constant([2.0, 0.0])]
    with tf.GradientTape() as tape:
        tape.watch(gradients)
        (virtual,) = virtual_step([tf.zeros(2)], gradients)
    assert_close([virtual], [[-1.0, 0.0]], 1e-6)
    (slope,) = tape.gradient(virtual, gradients, output_gradients=tf.constant([-4.0, 0.0]))
    assert_close([slope], [[0.0, 0.0] if exact else [0.5, 0.0]], 1e-6, 2e-6)
