"""OpenVINO, an independent runtime, agrees with Keras on both float formats."""

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

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
"""Settings for float32, since OpenVINO would compute with 16 bits on some processors."""


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
    compiled = written(name, *parts, tmp_path)
    singles = [compiled(image[None].astype(np.float32))[0] for image in images]
    logits = np.concatenate(singles)
    np.testing.assert_allclose(logits, expected, atol=bound * abs(expected).max())
