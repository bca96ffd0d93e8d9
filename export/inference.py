"""Conversion of a trained network to a graph without Keras: float32, with constant weights."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.models.network import GenotypeNetwork
from darts_tf.runtime.execution import dtype_policy

HALF = ("float16", "bfloat16")


def inference_copy(network: GenotypeNetwork, dtype: str = "float32") -> GenotypeNetwork:
    """Returns a copy that computes in `dtype`, without auxiliary head and drop path.

    Mixed-precision networks store their weights in float32, so the copy loses no precision.
    """
    without = {"auxiliary": False, "drop_path": 0.0}
    with dtype_policy(dtype):
        copy = type(network).from_config({**network.get_config(), **without})
    for target, source in zip(copy.parts, network.parts, strict=True):
        target.set_weights(source.get_weights())
    return copy


def computes_in_half(network: GenotypeNetwork) -> bool:
    """Returns whether any part of the network computes with 16 bits."""
    return any(part.compute_dtype in HALF for part in (network, *network.parts))


def frozen_logits(network: GenotypeNetwork, preprocessing: Preprocessing, batch: int | None):
    """Returns a graph function with constant weights, which needs neither Keras nor the network.

    Args:
        network: without an auxiliary head.
        preprocessing: its normalization becomes part of the graph.
        batch: number of images per call; None for any number.

    Returns:
        A concrete function from raw images float32 `(batch, height, width, channels)`, values 0
        to 255, to a list of one tensor, the logits `(batch, classes)`.
    """
    shape = image_shape(preprocessing, batch)

    @tf.function(autograph=False)
    def logits(images):
        return network(preprocessing.normalize(images), training=False)

    images = tf.TensorSpec(shape, tf.float32, name="images")
    return convert_variables_to_constants_v2(logits.get_concrete_function(images))


def image_shape(preprocessing: Preprocessing, batch: int | None) -> tuple[int | None, ...]:
    """Returns the input shape `(batch, height, width, channels)`."""
    return (batch, preprocessing.height, preprocessing.width, preprocessing.channels)
