"""A trained network made ready to leave Keras: float32, normalisation inside, weights constant."""

from __future__ import annotations

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.models.network import Network
from darts_tf.runtime.execution import dtype_policy

HALF = ("float16", "bfloat16")


def inference_copy(network: Network, dtype: str = "float32") -> Network:
    """The same network, computing in `dtype`, without auxiliary head and drop path.

    A network of mixed precision keeps its weights in float32, so that nothing is lost.
    """
    without = {"auxiliary": False, "drop_path": 0.0}
    with dtype_policy(dtype):
        copy = type(network).from_config({**network.get_config(), **without})
    for target, source in zip(_parts(copy), _parts(network), strict=True):
        target.set_weights(source.get_weights())
    return copy


def computes_in_half(network: Network) -> bool:
    """Whether any part of the network computes with 16 bits."""
    return any(part.compute_dtype in HALF for part in (network, *_parts(network)))


def frozen_logits(network: Network, preprocessing: Preprocessing, batch: int | None):
    """A graph function with constants for weights, which needs neither Keras nor the network.

    Args:
        network: without an auxiliary head.
        preprocessing: becomes a part of the graph.
        batch: images at a time; None for any number.

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
    """`(batch, height, width, channels)`."""
    return (batch, preprocessing.height, preprocessing.width, preprocessing.channels)


def _parts(network: Network) -> list[keras.layers.Layer]:
    """What inference needs, in the same order for every network of one genotype and depth."""
    return [network.stem, *network.cells, network.head]
