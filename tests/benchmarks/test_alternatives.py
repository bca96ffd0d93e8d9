"""Costs and files of the networks that the benchmark of alternatives compares."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from darts_tf.data import Preprocessing
from darts_tf.models.counting import count_params


def small_network(first: tuple[keras.layers.Layer, ...] = ()) -> keras.Model:
    """Returns a functional network from 8x8 color images to 1000 logits."""
    layers = [
        *first,
        keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
        keras.layers.DepthwiseConv2D(3, padding="same"),
        keras.layers.ReLU(6.0),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(1000),
    ]
    inputs = outputs = keras.Input((8, 8, 3))
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def test_multiply_adds_counts_convolutions_and_dense_layers(script):
    convolution, depthwise, dense = 4 * 4 * 4 * 27, 4 * 4 * 4 * 9, 4 * 1000
    counted = script("alternatives").multiply_adds(small_network())
    assert counted == convolution + depthwise + dense


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNet-Lite0"])
def test_networks_have_their_published_size(script, name):
    alternatives = script("alternatives")
    network, published = (
        alternatives.NETWORKS[name].build(224),
        alternatives.NETWORKS[name].published,
    )
    assert count_params(network) == pytest.approx(1e6 * published.parameters, rel=0.03)
    # Lite0's published number counts more than convolutions and dense layers
    close = 0.03 if name == "MobileNetV2" else 0.06
    assert alternatives.multiply_adds(network) == pytest.approx(1e6 * published.macs, rel=close)


def test_without_preprocessing_leaves_out_what_comes_first(script):
    scaling = keras.layers.Rescaling(1 / 127.5, offset=-1)
    normalization = keras.layers.Normalization(mean=0.2, variance=0.3)
    whole = small_network((scaling, normalization))
    rest = script("alternatives").without_preprocessing(whole)
    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    assert not any(isinstance(layer, kinds) for layer in rest.layers)
    x = tf.constant(np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)), tf.float32)
    np.testing.assert_allclose(rest(normalization(scaling(x))), whole(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_convert_reports_what_xnnpack_runs(script, tmp_path, variant):
    preprocessing = Preprocessing(8, 8, 3, (0.5,) * 3, (0.5,) * 3)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    path = tmp_path / "small.tflite"
    file = script("alternatives").convert(small_network(), preprocessing, path, images, variant)
    assert file["bytes"] == path.stat().st_size
    assert file["delegate_partitions"] == 1
    assert file["undelegated_ops"] == ({"QUANTIZE": 1} if variant == "int8" else {})  # uint8 input
    assert file["ops"] > 4


def test_convert_refuses_a_file_that_xnnpack_does_not_run(script, tmp_path):
    class Mirrored(keras.Model):
        def call(self, x, training=False):
            return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")

    class Raw(Preprocessing):
        def normalize(self, images):
            return images

    preprocessing = Raw(8, 8, 3, (0.5,) * 3, (0.5,) * 3)
    convert = script("alternatives").convert
    with pytest.raises(RuntimeError, match="Expected XNNPACK to run parts of the file"):
        convert(Mirrored(), preprocessing, tmp_path / "x.tflite", None, "float32")
