"""Layer alignment: against finite differences of the loss, and in the weights' step."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import values
from numerics import assert_close, floatx
from stopped_searches import assert_stopped_ends_as_whole, tiny_config
from tiny_searches import TRAIN, VALID, spread_alphas, tiny

from darts_tf.configs import SearchConfig
from darts_tf.data import load_dataset
from darts_tf.errors import InputError
from darts_tf.layers.cells import offset_cells
from darts_tf.runs.metrics import read_metrics
from darts_tf.search.darts import DARTS
from darts_tf.search.layer_alignment import aligned_cells, alignment, alignment_steps
from darts_tf.training.schedules import alignment_weight_at


def cosines(arrays):
    flat = [np.ravel(array) for array in arrays]
    pairs = [(a, b) for i, a in enumerate(flat) for b in flat[i + 1 :]]
    return np.mean([a @ b / np.sqrt(a @ a * (b @ b)) for a, b in pairs])


def test_alignment_is_the_mean_cosine_of_all_pairs():
    arrays = np.random.default_rng(0).normal(size=(4, 3, 2))
    assert float(alignment([tf.constant(a) for a in arrays])) == pytest.approx(cosines(arrays))
    same = [tf.constant(arrays[0]), tf.constant(2 * arrays[0])]
    assert float(alignment(same)) == pytest.approx(1)


def test_steps_follow_the_slope_of_the_alignment_with_the_papers_length():
    arrays = [tf.constant(a) for a in np.random.default_rng(0).normal(size=(3, 2, 2))]
    value, steps, epsilon = alignment_steps(arrays)
    assert float(value) == pytest.approx(cosines(arrays))
    assert float(tf.linalg.global_norm(steps)) == pytest.approx(1e-4)
    unit = [a / np.linalg.norm(a) for a in np.array(arrays)]
    for array, u, step in zip(arrays, unit, steps, strict=True):  # (I - u uᵀ) Σu / |g| / (L / 2)
        along = sum(unit) - u * np.sum(u * sum(unit))
        slope = along / np.linalg.norm(array) / 3
        assert_close(step / epsilon, slope, 1e-10)


def test_zero_gradients_give_no_step():
    value, steps, epsilon = alignment_steps([tf.zeros((2, 2))] * 3)
    assert float(value) == float(epsilon) == 0
    assert not np.any(steps)


@pytest.mark.parametrize(("cells", "reductions", "count"), [(3, True, 2), (5, False, 3)])
def test_cells_of_the_most_frequent_kind_are_aligned(cells, reductions, count):
    chosen = aligned_cells(tiny("softmax", cells=cells))
    assert [cell.reduction for cell in chosen] == [reductions] * count
    with pytest.raises(InputError, match="two cells that share alphas.*Received: 0"):
        aligned_cells(keras.Sequential())


def made():
    with floatx("float64"):
        network = tiny("softmax")
        settings = {"weight_decay": 0.0, "clip_norm": None}
        trainer = DARTS(network, "first_order", aligns_cells=True, **settings)
        trainer.compile(
            *(keras.optimizers.SGD(1.0), keras.optimizers.SGD(0.0)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    spread_alphas(network)
    return trainer


def loss_at(trainer, weights, offsets):
    with offset_cells(trainer.aligned, offsets):
        return trainer.loss_at(weights, trainer.read(trainer.network.alphas), TRAIN)


def slopes_by_difference(trainer, weights, step=1e-5):
    """Returns the derivatives of the loss along the mixture weights of each cell."""
    loss = tf.function(lambda offsets: loss_at(trainer, weights, tf.unstack(offsets)))
    shape = (len(trainer.aligned), *trainer.network.alphas[1].shape)
    slopes = np.zeros(shape)
    for index in np.ndindex(*shape):
        offset = np.zeros(shape)
        offset[index] = step
        slopes[index] = (loss(tf.constant(offset)) - loss(tf.constant(-offset))) / (2 * step)
    return slopes


def alignment_at(trainer, weights):
    offsets = [tf.zeros_like(trainer.network.alphas[1], "float64") for _ in trainer.aligned]
    with tf.GradientTape() as tape:
        tape.watch(offsets)
        loss = loss_at(trainer, weights, offsets)
    return cosines(tape.gradient(loss, offsets))


def test_weights_descend_the_loss_and_ascend_the_alignment():
    """The step at rate 1 is ∇w L - λ ∇w Λ; along a direction ∇w Λ is a difference of Λ."""
    trainer = made()
    trainer.alignment_weight.assign(2.0)
    weights = [tf.constant(w) for w in values(trainer.weights_to_train)]
    statistics = values(trainer.network.non_trainable_variables)
    slopes = slopes_by_difference(trainer, weights)
    assert alignment_at(trainer, weights) == pytest.approx(cosines(slopes), rel=1e-5)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = trainer.loss_at(weights, trainer.read(trainer.network.alphas), TRAIN)
    plain = tape.gradient(loss, weights)
    results = trainer.train_step((TRAIN, VALID))
    assert float(results["alignment"]) == pytest.approx(cosines(slopes), rel=1e-5)
    assert float(results["loss"]) == pytest.approx(float(loss))
    after = values(trainer.weights_to_train)
    ascent = [a - w + g for a, w, g in zip(after, weights, plain, strict=True)]  # λ ∇w Λ
    rng, step = np.random.default_rng(3), 1e-6
    direction = [rng.normal(size=w.shape) for w in weights]
    pairs = list(zip(weights, direction, strict=True))
    sides = [alignment_at(trainer, [w + h * d for w, d in pairs]) for h in (step, -step)]
    along = sum(np.sum(a * d) for a, d in zip(ascent, direction, strict=True))
    assert along == pytest.approx(2.0 * (sides[0] - sides[1]) / (2 * step), rel=1e-3)
    check_statistics(trainer, statistics, weights)


def check_statistics(trainer, before, weights):
    """The passes to either side leave the running statistics alone."""
    after = values(trainer.network.non_trainable_variables)
    for variables, state in (
        (trainer.weights_to_train, weights),
        (trainer.network.non_trainable_variables, before),
    ):
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
    trainer.network(TRAIN[0], training=True)
    assert_close(values(trainer.network.non_trainable_variables), after, 1e-12)


def test_weight_grows_from_nothing_to_that_of_the_last_epoch():
    config = SearchConfig(workdir="unused", method="lambda", epochs=5)
    weights = [alignment_weight_at(config, epoch) for epoch in range(5)]
    assert weights == pytest.approx(np.linspace(0, 0.125, 5))
    with pytest.raises(InputError, match="perturb=none.*Received: perturb=random"):
        SearchConfig(workdir="unused", method="lambda", perturb="random")


@pytest.mark.slow
@pytest.mark.usefixtures("one_node")
def test_search_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    dataset = load_dataset("digits", limit=32)
    whole = assert_stopped_ends_as_whole(tmp_path, dataset, tiny_config, method="lambda")
    assert all(-1 <= line["alignment"] <= 1 for line in read_metrics(whole))
