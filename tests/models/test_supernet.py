"""The supernet against the reference's numbers, and its structure."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import SEARCHES, values
from mostly_slow import mostly_slow
from numerics import assert_close

from darts_tf.layers.normalization import tracked_statistics
from darts_tf.models.counting import count_params
from darts_tf.models.supernet import Supernet
from darts_tf.spaces.cell import PRIMITIVES
from darts_tf.spaces.derivation import derive

EXACT = 1e-8
golden_searches = pytest.mark.parametrize("golden_search", SEARCHES, indirect=True)


FEW = ("none", "max_pool_3x3", "skip_connect", "dil_conv_3x3")


def tiny(**changed):
    settings = {"channels": 2, "cells": 3, "classes": 3, "nodes": 2, "primitives": FEW}
    return Supernet(**{**settings, **changed})


@pytest.fixture(scope="module")
def unchanged_supernet():
    return tiny()


@golden_searches
def test_supernet_gives_the_reference_logits_in_eval_mode(golden_search):
    logits = golden_search.supernet(golden_search.golden["x_train"])
    assert_close(logits, golden_search.golden["logits_eval_mode"], EXACT)


def test_summary_has_the_shapes_of_all_layers(unchanged_supernet):
    lines = []
    unchanged_supernet.summary(print_fn=lines.append)
    shown = "\n".join(lines)
    for shape in ("(None, None, None, 6)", "(None, None, None, 16)", "(None, 3)"):
        assert shape in shown
    assert "?" not in shown


def training_pass(golden_search):
    """Returns logits, loss, and gradients of weights and alphas on the training batch."""
    supernet, (x, y) = golden_search.supernet, golden_search.train
    weights = [v.value for v in supernet.network_weights]
    alphas = [v.value for v in supernet.alphas]
    with tf.GradientTape() as tape:
        logits = supernet(x, training=True)
        loss = tf.reduce_mean(golden_search.trainer.losses_of(y, logits))
    return logits, loss, *tape.gradient(loss, [weights, alphas])


@golden_searches
def test_supernet_gives_the_reference_training_pass(golden_search):
    """Compares logits, loss, gradients of all weights and alphas, and running statistics."""
    golden = golden_search.golden
    logits, loss, for_weights, for_alphas = training_pass(golden_search)
    assert_close(logits, golden["logits_train_mode"], EXACT)
    assert_close(loss, golden["loss_train"], EXACT)
    assert_close(for_weights, golden_search.ours(golden.section("grad_train")), EXACT)
    assert_close(for_alphas, golden.alphas("grad_train_{}"), EXACT)
    running = golden_search.ours(golden.section("running_after_one_forward"), statistics=True)
    # (some means are zero up to rounding)
    assert_close(golden_search.statistics(golden_search.supernet), running, EXACT, 1e-15)


@pytest.mark.slow
@golden_searches
def test_supernet_gives_the_reference_gradient_norm_after_the_alphas_moved(golden_search):
    """Compares the norm that the weight step clips by, which does not include the alphas."""
    golden = golden_search.golden
    for variable, moved in zip(
        golden_search.supernet.alphas, golden.alphas("{}_after_step"), strict=True
    ):
        variable.assign(moved)
    _, _, for_weights, _ = training_pass(golden_search)
    assert_close(tf.linalg.global_norm(for_weights), golden["grad_norm_before_clip"], EXACT)


@pytest.mark.slow
@golden_searches
def test_supernet_gives_the_reference_valid_loss_in_train_mode(golden_search):
    x, y = golden_search.valid
    with tracked_statistics(False):
        logits = golden_search.supernet(x, training=True)
    loss = tf.reduce_mean(golden_search.trainer.losses_of(y, logits))
    assert_close(loss, golden_search.golden["loss_valid"], EXACT)


def test_supernet_has_the_parameters_of_the_paper():
    """Counts the parameters with 16 channels and 8 cells, without the alphas."""
    supernet = Supernet()
    assert sum(int(np.prod(v.shape)) for v in supernet.network_weights) == 1_930_618
    assert count_params(supernet) == 1_930_618
    assert [cell.reduction for cell in supernet.cells] == [i in (2, 5) for i in range(8)]
    assert [cell.channels for cell in supernet.cells] == [16, 16, 32, 32, 32, 64, 64, 64]


def test_alphas_are_two_small_arrays_apart_from_the_weights():
    supernet = Supernet(4, 3, 5)
    assert [tuple(a.shape) for a in supernet.alphas] == [(14, 8)] * 2
    spread = np.std(values(supernet.alphas))
    assert 5e-4 < spread < 2e-3
    ids = {id(v) for v in supernet.network_weights}
    assert not any(id(a) in ids for a in supernet.alphas)
    assert len(ids) + 2 == len(supernet.trainable_variables)


def test_supernet_is_built_when_made():
    supernet = tiny()
    before = len(supernet.variables)
    supernet(np.zeros((1, 8, 8, 3), "float32"))
    assert len(supernet.variables) == before


def test_alphas_of_one_kind_serve_all_cells_of_that_kind():
    supernet = tiny(cells=4)  # normal, reduce, reduce, normal
    x = tf.random.normal((2, 8, 8, 3))
    logits = supernet(x)
    for alphas in supernet.alphas:
        (before,) = values([alphas])
        alphas.assign(tf.random.normal(alphas.shape))
        assert np.abs(supernet(x) - logits).max() > 1e-6
        alphas.assign(before)
    assert_close(supernet(x), logits, 1e-6)


def test_genotype_is_derived_from_the_alphas():
    supernet = tiny(nodes=4, primitives=PRIMITIVES)
    alphas = np.random.default_rng(0).normal(size=(2, 14, 8))
    for variable, value in zip(supernet.alphas, alphas, strict=True):
        variable.assign(value)
    assert supernet.genotype() == derive(*alphas)


def test_genotype_of_chosen_primitives_names_them():
    primitives = ("none", "sep_conv_3x3", "skip_connect")
    supernet = tiny(primitives=primitives)
    for variable in supernet.alphas:
        variable.assign(np.tile([0.0, 0.0, 9.0], (5, 1)))
    assert {name for name, _ in supernet.genotype().normal} == {"skip_connect"}


@pytest.mark.parametrize("cells", [2, 0, -1])
def test_supernet_needs_three_cells(cells):
    with pytest.raises(ValueError, match=f"at least 3 cells.*Received: cells={cells}"):
        Supernet(4, cells, 5)


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (2, 8, 8), (8, 8, 3), (2, 8, 8, 3, 1)])
def test_supernet_refuses_what_is_no_batch_of_its_images(unchanged_supernet, shape):
    message = r"Expected images \(batch, height, width, 3\).*Received: shape="
    with pytest.raises(ValueError, match=message):
        unchanged_supernet(np.zeros(shape, "float32"))


@pytest.mark.parametrize(("height", "width"), [(7, 8), (8, 7)])
def test_supernet_refuses_images_that_it_cannot_reduce(unchanged_supernet, height, width):
    with pytest.raises(ValueError, match=f"at least 8x8 pixels.*Received: {height}x{width}"):
        unchanged_supernet(np.zeros((2, height, width, 3), "float32"))


@mostly_slow(1, "image_channels", [1, 3])
def test_supernet_takes_any_size_gray_or_colour(image_channels):
    supernet = tiny(image_channels=image_channels)
    for height, width in ((8, 8), (15, 9), (28, 28)):
        logits = supernet(np.ones((2, height, width, image_channels), "float32"), training=True)
        assert logits.shape == (2, 3)
        assert np.all(np.isfinite(logits))


def test_alphas_stay_float32_in_mixed_precision():
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        supernet = tiny()
    finally:
        keras.config.set_dtype_policy(previous)
    assert supernet(np.ones((2, 8, 8, 3), "float32")).dtype == tf.bfloat16
    assert {v.dtype for v in supernet.trainable_variables} == {"float32"}


def test_saved_supernet_gives_the_same_logits(tmp_path):
    supernet = tiny()
    supernet.save(tmp_path / "supernet.keras")
    copy = keras.saving.load_model(tmp_path / "supernet.keras")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    assert_close(copy(x), supernet(x), 1e-6)
    assert_close(values(copy.alphas), values(supernet.alphas), 0)
    assert copy.space == supernet.space
