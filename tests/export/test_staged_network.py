"""NAS-Bench-201's network in exports: folded, as TFLite and SavedModel, with its report."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from export_fixtures import as_if_trained, drawn_images, preprocessing_of, small_network

from darts_tf.costs.parts import Target, all_parts
from darts_tf.export import writing
from darts_tf.export.folding import fold_normalizations
from darts_tf.export.inference import frozen_logits, inference_copy
from darts_tf.export.profiling import model_of
from darts_tf.layers.normalization import BatchNormalization
from darts_tf.models.network import build_network
from darts_tf.ops.xnnpack import written_for_xnnpack
from darts_tf.spaces.notation import genotype_of
from darts_tf.spaces.search_spaces import edge_space
from darts_tf.spaces.zoo import load_genotype

CELL = load_genotype(
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
)


@pytest.mark.parametrize("size", [8, 9])
def test_folding_keeps_the_logits(size):
    network = small_network(CELL, cells=1)
    preprocessing = preprocessing_of(size, size)
    images = preprocessing.normalize(drawn_images(preprocessing))
    expected = network(images).numpy()
    folded = inference_copy(network)
    fold_normalizations(folded)
    np.testing.assert_allclose(folded(images), expected, atol=1e-5 * abs(expected).max())
    norms = [op.norm for cell in folded.cells for op in cell.ops if getattr(op, "norm", None)]
    assert len(norms) == 3 * 3
    assert not any(isinstance(norm, BatchNormalization) for norm in norms)
    with written_for_xnnpack():
        frozen = frozen_logits(folded, preprocessing, batch=5)
        (logits,) = frozen(tf.constant(drawn_images(preprocessing), tf.float32))
    np.testing.assert_allclose(logits, expected, atol=1e-4 * abs(expected).max())


@pytest.mark.slow
def test_every_part_is_written_as_a_model():
    for part in all_parts(Target(4, 1, 9, 8, image_channels=1), edge_space()):
        assert model_of(part)[4:8] == b"TFL3"


@pytest.mark.slow
def test_all_formats_agree_with_keras(tmp_path):
    network = as_if_trained(build_network(CELL, 4, 1, 10, image_channels=1))
    preprocessing = preprocessing_of()
    images = drawn_images(preprocessing, count=32)
    formats = ("saved_model", "tflite", "tflite_int8")
    classes = [f"class {i}" for i in range(10)]
    report = writing.export(
        *(network, preprocessing, classes, tmp_path / "export"),
        **{"formats": formats, "images": images, "calibration": images},
    )
    assert genotype_of(report["genotype"]) == CELL
    assert set(report["formats"]) == set(formats)
