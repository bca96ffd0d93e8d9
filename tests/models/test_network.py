"""The evaluation network: the reference's numbers, auxiliary head, drop path, sizes, saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import EVALUATIONS, values
from mostly_slow import mostly_slow
from numerics import assert_close, floatx
from numpy_reference import Reference
from reference_names import network_shapes, random_state_dict
from replica_trainers import mirrored

from darts_tf.errors import InputError
from darts_tf.models.network import build_network, load_network
from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.spaces.cell import reductions
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import GENOTYPES

V2 = GENOTYPES["DARTS_V2"]
SIZES = {"channels": 4, "cells": 3, "classes": 5}
EXACT = 1e-8


def tiny(genotype=V2, **changed):
    return build_network(genotype, **{**SIZES, "auxiliary": True, **changed})


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("golden_evaluation", EVALUATIONS, indirect=True)
def test_network_gives_the_reference_logits(golden_evaluation):
    """Compares evaluation mode, and training mode with the auxiliary logits (drop path 0)."""
    golden, meta = golden_evaluation, golden_evaluation.meta
    with floatx("float64"):
        network = build_network(
            GENOTYPES[meta["genotype"]],
            meta["channels"],
            meta["cells"],
            meta["classes"],
            stem=meta["kind"],
            auxiliary=True,
        )
    load_reference_weights(network, golden.section("weights"))
    x = golden["x"].astype("float64")
    assert_close(network(x)["logits"], golden["logits_eval_mode"], EXACT)
    trained = network(x, training=True)
    assert_close(trained["logits"], golden["logits_train_mode"], EXACT)
    assert_close(trained["auxiliary"], golden["logits_aux_train_mode"], EXACT)


@pytest.mark.parametrize(
    ("cells", "expected"), [(3, (1, 2)), (5, (1, 3)), (8, (2, 5)), (14, (4, 9)), (20, (6, 13))]
)
def test_reductions_are_at_one_and_two_thirds(cells, expected):
    assert tuple(np.flatnonzero(reductions(cells))) == expected


@pytest.mark.parametrize(("cells", "channels"), [(3, 64), (4, 64), (6, 64)])
def test_auxiliary_head_follows_the_second_reduction(cells, channels):
    """Expects an input of four nodes with four times the initial channels each."""
    network = tiny(cells=cells)
    assert network.auxiliary_after == 2 * cells // 3
    assert network.cells[network.auxiliary_after].reduction
    assert not any(cell.reduction for cell in network.cells[network.auxiliary_after + 1 :])
    assert network.auxiliary_head.kernel1.shape == (1, 1, channels, 128)


def test_network_without_auxiliary_head_gives_logits_alone():
    network = tiny(auxiliary=False)
    assert network.auxiliary_head is None
    assert network(images(2, 8, 8, 3)).shape == (2, 5)


# As a Keras model


def test_network_is_compiled_and_trained_as_keras_models_are():
    network = build_network(V2, 2, 3, 5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, metrics=["accuracy"])
    x, y = images(4, 8, 8, 3), np.arange(4) % 5
    before = [variable.numpy() for variable in network.trainable_variables]
    history = network.fit(x, y, batch_size=2, epochs=1, verbose=0).history
    assert set(history) == {"loss", "accuracy"}
    after = network.trainable_variables
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert network.predict(x, verbose=0).shape == (4, 5)
    assert not network.jit_compile  # slower on processors


def summary_of(model) -> str:
    lines = []
    model.summary(print_fn=lines.append)
    return "\n".join(lines)


def test_summary_knows_shapes():
    network = tiny()
    shown = summary_of(network)
    assert "(None, None, None, 12)" in shown  # the size of the images is not known yet
    assert "(None, 5)" in shown
    count = len(network.variables)
    network.build((None, 17, 16, 3))
    shown = summary_of(network)
    for shape in ("(None, 17, 16, 12)", "(None, 9, 8, 32)", "(None, 5, 4, 64)"):
        assert shape in shown
    network(images(2, 8, 8, 3))
    assert "(None, 8, 8, 12)" in summary_of(network)
    assert "?" not in shown
    assert len(network.variables) == count


def test_summary_knows_the_shapes_of_the_imagenet_stem():
    network = tiny(stem="imagenet")
    network.build((None, 65, 64, 3))
    shown = summary_of(network)
    assert "((None, 17, 16, 4)," in shown  # two states
    assert "(None, 9, 8, 4))" in shown
    assert "(None, 3, 2, 64)" in shown


@pytest.mark.parametrize("shape", [(None, 7, 8, 3), (None, 8, 8, 1), (None, 8, 8)])
def test_build_refuses_other_images(shape):
    with pytest.raises(InputError, match="Expected images"):
        tiny().build(shape)


def test_sizes_are_those_that_layers_compute():
    network = tiny(cells=4)
    x = images(2, 9, 11, 3)
    network.build(x.shape)
    s0 = s1 = network.stem(x)
    for cell in network.cells:
        expected = cell.compute_output_shape(s0.shape, s1.shape)
        s0, s1 = s1, cell(s0, s1)
        assert tuple(s1.shape) == tuple(expected)


def test_keras_exports_a_network_whose_image_size_it_knows(tmp_path):
    network = build_network(V2, 2, 3, 5)
    with pytest.raises(InputError, match=r"network.build\(\(None, height, width, 3\)\)"):
        network.export(tmp_path / "unknown", verbose=False)
    assert list(tmp_path.iterdir()) == []
    x = images(2, 9, 8, 3)
    expected = network(x)
    network.export(tmp_path / "known", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "known")
    assert_close(loaded.serve(x), expected, 1e-5)


def test_file_of_a_network_that_was_built_and_shown_is_read_again(tmp_path):
    network = build_network(V2, 2, 3, 5)
    network.build((None, 8, 8, 3))
    summary_of(network)
    network.save(tmp_path / "model.keras")
    x = images(2, 8, 8, 3)
    assert_close(load_network(tmp_path / "model.keras")(x), network(x), 1e-6)


def test_auxiliary_head_pools_small_features_to_two_by_two():
    """Compares with a plain stack on 2x2 features, which pooling leaves at their size."""
    network = tiny(cells=3)
    head, x = network.auxiliary_head, images(2, 2, 2, 64)
    y = tf.nn.relu(head.norm1(tf.nn.conv2d(tf.nn.relu(x), head.kernel1, 1, "VALID")))
    y = tf.nn.relu(head.norm2(tf.einsum("nhwi,hwio->no", y, head.kernel2)[:, None, None]))
    assert_close(head(x), tf.matmul(y[:, 0, 0], head.head.kernel) + head.head.bias, 1e-5)


@mostly_slow(1, "image_channels", [1, 3])
def test_network_takes_any_size_gray_or_colour(image_channels):
    network = tiny(image_channels=image_channels)
    for height, width in ((8, 8), (15, 15), (28, 28), (33, 33), (8, 21)):
        for training in (False, True):
            outputs = network(images(2, height, width, image_channels), training=training)
            for logits in outputs.values():
                assert logits.shape == (2, 5)
                assert np.all(np.isfinite(logits))


@mostly_slow((1,), "size", [64, 65, 96])
def test_imagenet_stem_takes_any_size_from_64(size):
    network = tiny(stem="imagenet")
    outputs = network(images(2, size, size, 3), training=True)
    assert {logits.shape for logits in outputs.values()} == {(2, 5)}
    assert all(np.all(np.isfinite(logits)) for logits in outputs.values())


@pytest.mark.parametrize(("stem", "size"), [("cifar", 7), ("imagenet", 63)])
def test_network_refuses_images_that_it_cannot_reduce(stem, size):
    message = f"at least .* for the {stem} stem. Received: {size}x{size}"
    with pytest.raises(ValueError, match=message):
        tiny(stem=stem)(images(2, size, size, 3))


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (8, 8, 3)])
def test_network_refuses_what_is_no_batch_of_its_images(shape):
    with pytest.raises(ValueError, match=r"images \(batch, height, width, 3\).*Received: shape="):
        tiny()(images(*shape))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stem": "mnist"}, "stem to be one of .*cifar.*imagenet.*Received: stem='mnist'"),
        ({"drop_path": 1.0}, "drop_path in .*Received: drop_path=1.0"),
        ({"drop_path": -0.1}, "drop_path in .*Received: drop_path=-0.1"),
        ({"channels": 0}, "at least 1 channels.*Received: channels=0"),
        ({"classes": 0}, "positive classes.*classes=0"),
        ({"image_channels": 0}, "positive classes and image_channels.*image_channels=0"),
        ({"cells": 2}, "at least 3 cells.*Received: cells=2"),
    ],
)
def test_build_network_refuses_what_cannot_be(changed, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changed)


# Drop path


def test_dropped_paths_are_whole_samples_and_the_others_make_up_for_them():
    network = tiny(drop_path=0.25)
    images = tf.ones((4000, 8, 8, 3))
    factors = [factor.numpy() for factor in network._drop_path(images)]
    assert len(factors) == sum(len(cell.droppable) for cell in network.cells)
    for factor in factors:
        assert factor.shape == (4000, 1, 1, 1)
        assert_close(np.unique(factor), np.array([0, 1 / 0.75]), 1e-6)
        assert factor.mean() == pytest.approx(1, abs=0.05)
    assert not np.array_equal(factors[0], factors[1])
    assert not np.array_equal(factors[0], next(network._drop_path(images)))


def test_replicas_drop_paths_of_their_own_in_every_step():
    """Expects different masks on all replicas and in all steps."""
    strategy = mirrored(2)
    with strategy.scope():
        network = tiny(drop_path=0.5)
    images = tf.ones((64, 8, 8, 3))
    drawn = []
    for _ in range(3):
        factors = strategy.run(lambda: next(network._drop_path(images)))
        drawn += [each.numpy().tobytes() for each in strategy.experimental_local_results(factors)]
    assert len(set(drawn)) == 6


def test_drop_path_rate_can_be_changed():
    network = tiny(drop_path=0.25)
    assert float(network.drop_path_rate) == 0.25
    network.drop_path_rate.assign(0.5)
    y = next(network._drop_path(tf.ones((1000, 8, 8, 3))))
    assert_close(np.unique(y), np.array([0.0, 2.0]), 0)


def with_and_without_drop_path(rate):
    """Returns two networks of equal weights, with drop path and without."""
    dropping, plain = tiny(drop_path=0.5), tiny()
    shapes = network_shapes(V2, 4, 3, 5)
    for network in (dropping, plain):
        load_reference_weights(network, random_state_dict(shapes))
    dropping.drop_path_rate.assign(rate)
    return dropping, plain


def test_nothing_is_dropped_at_inference():
    dropping, plain = with_and_without_drop_path(0.9)
    x = images(4, 8, 8, 3)
    assert_close(dropping(x)["logits"], plain(x)["logits"], 1e-6)
    logits = dropping(x, training=True)["logits"]
    assert not np.allclose(logits, plain(x, training=True)["logits"])


def test_nothing_is_dropped_at_rate_zero():
    dropping, plain = with_and_without_drop_path(0.0)
    x = images(4, 8, 8, 3)
    assert_close(dropping(x, training=True)["logits"], plain(x, training=True)["logits"], 1e-6)


def test_all_but_identities_is_dropped_near_rate_one():
    dropping, _ = with_and_without_drop_path(1 - 1e-7)
    x = images(4, 8, 8, 3)
    state = random_state_dict(network_shapes(V2, 4, 3, 5))
    reference = Reference(state, training=True, drop_paths=True)
    expected = reference.network(V2, x.astype("float64"), 3)
    assert_close(dropping(x, training=True)["logits"], expected, 1e-4)


# Keras


@mostly_slow(
    (0, 2),
    "changed",
    [{"drop_path": 0.3}, {"stem": "imagenet"}, {"image_channels": 1, "auxiliary": False}],
)
def test_saved_network_gives_the_same_outputs(changed, tmp_path):
    network = tiny(GENOTYPES["AmoebaNet"], **changed)
    size = 64 if changed.get("stem") == "imagenet" else 8
    x = images(2, size, size, network.image_channels)
    network(x, training=True)  # moves the running statistics away from their initial values
    network.save(tmp_path / "network.keras")
    copy = keras.saving.load_model(tmp_path / "network.keras")
    assert copy.genotype == network.genotype
    assert float(copy.drop_path_rate) == float(network.drop_path_rate)
    assert copy.get_config() == network.get_config()
    for actual, expected in zip(tf.nest.flatten(copy(x)), tf.nest.flatten(network(x)), strict=True):
        assert_close(actual, expected, 1e-6)


def test_network_is_built_when_made():
    network = tiny(drop_path=0.5)
    before = len(network.variables)
    network(images(2, 8, 8, 3), training=True)
    assert len(network.variables) == before


def test_keras_trains_both_outputs():
    network = tiny(drop_path=0.2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(
        "sgd",
        loss={"logits": loss, "auxiliary": loss},
        loss_weights={"logits": 1.0, "auxiliary": 0.4},
        run_eagerly=True,
    )
    before = values(network.trainable_variables)
    y = np.array([0, 1, 2, 3])
    network.fit(images(4, 8, 8, 3), {"logits": y, "auxiliary": y}, verbose=0)
    changed = [
        not np.array_equal(a, b)
        for a, b in zip(values(network.trainable_variables), before, strict=True)
    ]
    assert all(changed)


def test_mixed_bfloat16_keeps_variables_in_float32():
    with floatx("float32"):
        keras.config.set_dtype_policy("mixed_bfloat16")
        network = tiny(drop_path=0.2)
    outputs = network(images(2, 8, 8, 3), training=True)
    assert {y.dtype for y in outputs.values()} == {tf.bfloat16}
    assert {v.dtype for v in network.trainable_variables} == {"float32"}


def test_network_of_mixed_precision_is_loaded_in_float32(tmp_path):
    """Expects float32 for the weights and the computation of all layers."""
    with floatx("float32"):
        keras.config.set_dtype_policy("mixed_bfloat16")
        network = tiny(drop_path=0.2)
        network.save(tmp_path / "network.keras")
        keras.config.set_dtype_policy("float32")
        plain, copy = tiny(drop_path=0.2), load_network(tmp_path / "network.keras")
    plain.set_weights(network.get_weights())
    assert {layer.compute_dtype for layer in copy._flatten_layers()} == {"float32"}
    x = images(2, 8, 8, 3)
    assert_close(copy(x)["logits"], plain(x)["logits"], 0)


def test_cells_of_any_number_of_nodes_and_any_concat_work():
    genotype = Genotype(
        normal=(("sep_conv_3x3", 0), ("skip_connect", 1)),
        normal_concat=(2,),
        reduce=(("skip_connect", 0), ("max_pool_3x3", 1), ("avg_pool_3x3", 2), ("dil_conv_5x5", 0)),
        reduce_concat=(3,),
    )
    assert tiny(genotype)(images(2, 9, 9, 3))["logits"].shape == (2, 5)
