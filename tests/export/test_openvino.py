"""OpenVINO, an independent runtime, agrees with Keras and TFLite on all formats that are float."""

from __future__ import annotations

import numpy as np
import pytest
from export_fixtures import drawn_images, names, preprocessing_of, small_network
from genotypes_of_every_primitive import EVERYTHING
from mostly_slow import mostly_slow

from darts_tf.export.folding import fold_normalizations
from darts_tf.export.formats import FORMATS
from darts_tf.export.images import Examples, keras_logits

openvino = pytest.importorskip("openvino")

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
"""Settings for float32: OpenVINO would compute with 16 bits on some processors, and would round
activations to 8 bits beside 8-bit weights.
"""


@pytest.fixture(scope="module")
def network():
    """A network with every primitive, images of an odd size, and their logits."""
    network, preprocessing = small_network(EVERYTHING, 3, classes=5), preprocessing_of(33, 34, 3)
    images = drawn_images(preprocessing, 3)
    logits = keras_logits(network, preprocessing)(images)
    fold_normalizations(network)
    return network, preprocessing, images, logits


def written(name, network, preprocessing, folder):
    path = folder / FORMATS[name].path
    FORMATS[name].write(network, preprocessing, path, Examples(tuple(names(5))))
    return openvino.Core().compile_model(path, "CPU", EXACT)


def test_saved_model_agrees_with_keras(network, tmp_path):
    *parts, images, expected = network
    outputs = written("saved_model", *parts, tmp_path)({"images": images.astype(np.float32)})
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5 * abs(expected).max())
    np.testing.assert_allclose(outputs["probabilities"].sum(1), 1, atol=1e-6)


@mostly_slow(1, ("name", "bound"), [("tflite", 1e-5), ("tflite_float16", 2e-3)])
def test_tflite_agrees_with_keras(network, tmp_path, name, bound):
    *parts, images, expected = network
    logits = one_by_one(written(name, *parts, tmp_path), images)
    np.testing.assert_allclose(logits, expected, atol=bound * abs(expected).max())


def test_weight_int8_agrees_with_tflite(network, tmp_path):
    """The network's strided 1x1 convolutions would lose their stride if they had 8-bit weights."""
    name, (*parts, images, _) = "tflite_weight_int8", network
    logits = one_by_one(written(name, *parts, tmp_path), images)
    expected = FORMATS[name].open_logits(tmp_path / FORMATS[name].path)(images)
    np.testing.assert_allclose(logits, expected, atol=1e-5 * abs(expected).max())


def one_by_one(compiled, images):
    """Returns the logits of images that a model takes one at a time."""
    return np.concatenate([compiled(image[None].astype(np.float32))[0] for image in images])
