"""Float32 copies, folded normalizations, and graphs with constant weights."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_fixtures import drawn_images, preprocessing_of, small_network
from genotypes_of_every_primitive import EVERYTHING

from darts_tf.export.folding import fold_normalizations
from darts_tf.export.inference import computes_in_half, frozen_logits, inference_copy
from darts_tf.models.counting import count_params


@pytest.fixture
def policy():
    """Sets Keras' dtype policy for one test."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def operations(frozen):
    return list(frozen.graph.as_graph_def().node)


@pytest.mark.parametrize(
    ("genotype", "stem", "size"), [(EVERYTHING, "cifar", 9), ("DARTS_V1", "imagenet", 64)]
)
def test_folding_keeps_the_logits_and_leaves_no_normalization(genotype, stem, size):
    network = small_network(genotype, stem=stem, channels=5)
    preprocessing = preprocessing_of(size, size)
    images = preprocessing.normalize(drawn_images(preprocessing))
    expected = network(images).numpy()
    fold_normalizations(network)
    np.testing.assert_allclose(network(images), expected, atol=1e-5 * abs(expected).max())
    frozen = frozen_logits(network, preprocessing, batch=2)
    assert "Rsqrt" not in {node.op for node in operations(frozen)}


def test_frozen_graph_holds_every_weight_once_and_no_variable():
    network, preprocessing = small_network("DARTS_V1"), preprocessing_of()
    fold_normalizations(network)
    nodes = operations(frozen_logits(network, preprocessing, batch=None))
    assert not {"VarHandleOp", "ReadVariableOp"} & {node.op for node in nodes}
    tensors = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    held = sum(
        math.prod(dim.size for dim in tensor.tensor_shape.dim)
        for tensor in tensors
        if tensor.dtype == tf.float32.as_datatype_enum
    )
    scales = sum(math.prod(v.shape) for v in network.variables if v.name == "gamma")
    pooling = 2 * 16 + 2 * 4  # the weights at the borders of average pools, two per reduction cell
    assert 0 <= held - (count_params(network) - scales) <= pooling + 10


def test_float32_copy_drops_the_auxiliary_head_and_leaves_the_original():
    network = small_network(auxiliary=True, drop_path=0.2)
    before = [v.numpy() for v in network.variables]
    images = preprocessing_of().normalize(drawn_images(preprocessing_of()))
    expected = network(images)["logits"].numpy()
    copy = inference_copy(network)
    np.testing.assert_array_equal(copy(images), expected)
    fold_normalizations(copy)
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_float32_copy_of_mixed_precision_has_its_weights_and_computes_in_float32(policy):
    plain = small_network()
    policy("mixed_bfloat16")
    network = small_network()
    for target, source in zip(network.variables, plain.variables, strict=True):
        target.assign(source)
    assert computes_in_half(network)
    copy = inference_copy(network)
    assert not computes_in_half(copy)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    images = preprocessing_of().normalize(drawn_images(preprocessing_of()))
    np.testing.assert_array_equal(copy(images), plain(images))
    kinds = {output.dtype for output in frozen_logits(copy, preprocessing_of(), None).outputs}
    assert kinds == {tf.float32}


def test_float32_copy_of_float64_is_near_it(policy):
    policy("float64")
    network = small_network()
    images = drawn_images(preprocessing_of()).astype(np.float64) / 255
    expected = network(images).numpy()
    assert expected.dtype == np.float64
    actual = inference_copy(network)(images).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5 * abs(expected).max())
