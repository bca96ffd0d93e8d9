"""Heads: the last layers of a network, from features to logits."""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.layers.normalization import built_normalization
from darts_tf.ops.images import add_kernel, fan_in_uniform

AUXILIARY_CHANNELS = (128, 768)
"""Channels after the first and the second convolution of the auxiliary head."""


class ClassifierHead(keras.layers.Layer):
    """Classifier: mean over all positions, then a dense layer.

    Args:
        classes: number of logits.
    """

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def build(self, input_shape):
        """Creates kernel and bias; a second call only notes the shape."""
        if self.built:
            return
        features = input_shape[-1]
        initializer = fan_in_uniform(features)
        self.kernel = self.add_weight(
            shape=(features, self.classes), initializer=initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.classes,), initializer=initializer, name="bias")

    def compute_output_shape(self, input_shape):
        """Returns the shape of the logits."""
        return (input_shape[0], self.classes)

    def call(self, x):
        """Maps `(batch, height, width, features)` to logits `(batch, classes)`."""
        return tf.matmul(tf.reduce_mean(x, (1, 2)), self.kernel) + self.bias


class FinalNormalization(keras.layers.Layer):
    """Normalisation and ReLU after the last cell of NAS-Bench-201's network.

    Args:
        channels: channels of the features.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = built_normalization(channels, True, "norm")

    def call(self, x, training=False):
        """Maps `(batch, height, width, channels)` to the same shape."""
        return tf.nn.relu(self.norm(x, training=training))


class AuxiliaryHead(keras.layers.Layer):
    """Second classifier on the features after the second reduction, for training only.

    The authors' code pools 8x8 (CIFAR) or 7x7 (ImageNet) features to 2x2 and needs exactly that
    size. Here larger features give more positions, over which the mean is taken. Smaller ones are
    pooled to 2x2 with a smaller window. At the authors' sizes nothing changes.

    Args:
        classes: number of logits.
        stem: `"cifar"` or `"imagenet"`; the latter pools with a stride of 2 and has no second
            normalisation.
    """

    def __init__(self, classes: int, stem: str):
        super().__init__()
        self.stem = stem
        self.head = ClassifierHead(classes)

    def build(self, input_shape):
        """Creates kernels, normalisations and the classifier; a second call notes the shape."""
        if self.built:
            return
        first, second = AUXILIARY_CHANNELS
        self.kernel1 = add_kernel(self, 1, input_shape[-1], first, "kernel1")
        self.kernel2 = add_kernel(self, 2, first, second, "kernel2")
        self.norm1 = built_normalization(first, True, "norm1")
        self.norm2 = built_normalization(second, True, "norm2") if self.stem == "cifar" else None
        self.head.build((None, None, None, second))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the logits."""
        return self.head.compute_output_shape(input_shape)

    def call(self, x, training=False):
        """Maps `(batch, height, width, features)` to logits `(batch, classes)`."""
        x = self._pool(tf.nn.relu(x))
        x = tf.nn.relu(self.norm1(tf.nn.conv2d(x, self.kernel1, 1, "VALID"), training=training))
        x = tf.nn.conv2d(x, self.kernel2, 1, "VALID")
        if self.norm2:
            x = self.norm2(x, training=training)
        return self.head(tf.nn.relu(x))

    def _pool(self, x):
        smallest = min(x.shape[1:3])
        window, stride = 5, 3 if self.stem == "cifar" else 2
        if smallest < window + stride:
            window, stride = smallest - 1, 1
        return tf.nn.avg_pool2d(x, window, stride, "VALID")
