"""The evaluation network: discrete cells stacked to full size (Liu et al. 2019, sec. 3.2-3.3)."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from darts_tf.cells import Cell
from darts_tf.genotype import Genotype
from darts_tf.normalization import BatchNormalization
from darts_tf.primitives import fan_in_uniform, halved, pad

AUXILIARY_CHANNELS = (128, 768)
MINIMUM_SIZE = {"cifar": 8, "imagenet": 64}
"""Rows and columns an image needs so that 2x2 places are left after all reductions."""


def reductions(cells: int) -> list[bool]:
    """Which cells are reductions: those at one and two thirds of the depth.

    Raises:
        ValueError: fewer than 3 cells, which would leave no normal cell or no second reduction.
    """
    if cells < 3:
        raise ValueError(f"Expected at least 3 cells (two are reductions). Received: cells={cells}")
    return [i in (cells // 3, 2 * cells // 3) for i in range(cells)]


def check_image_size(height: int | None, width: int | None, stem: str) -> None:
    """Refuses images that the network can't reduce; None stands for a size not known yet.

    Raises:
        ValueError: too small.
    """
    minimum = MINIMUM_SIZE[stem]
    if any(size is not None and size < minimum for size in (height, width)):
        raise ValueError(
            f"Expected images of at least {minimum}x{minimum} pixels for the {stem} stem. "
            f"Received: {height}x{width}"
        )


def check_images(images: tf.Tensor, stem: str, channels: int) -> None:
    """Refuses what is not a batch of images for a network.

    Raises:
        ValueError: not `(batch, height, width, channels)`, or too small.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[-1] != channels:
        raise ValueError(
            f"Expected images (batch, height, width, {channels}). Received: shape={shape}"
        )
    check_image_size(*shape[1:3], stem)


class Stem(keras.layers.Layer):
    """Image to first states: a 3x3 convolution, or three of stride 2 for large images.

    Args:
        kind: `"cifar"` or `"imagenet"`.
        channels: of the output.
    """

    def __init__(self, kind: str, channels: int):
        super().__init__()
        self.kind = kind
        self.channels = channels
        self.strides = [1] if kind == "cifar" else [2, 2, 2]
        self.outputs = [channels] if kind == "cifar" else [channels // 2, channels, channels]

    def build(self, input_shape):
        """Creates kernels and normalisations."""
        self.kernels, self.norms = [], []
        inputs = input_shape[-1]
        for i, outputs in enumerate(self.outputs):
            self.kernels.append(_kernel(self, 3, inputs, outputs, f"kernel_{i}"))
            self.norms.append(_norm(outputs, f"norm_{i}"))
            inputs = outputs

    def call(self, images, training=False):
        """One state, or `(s0, s1)` for ImageNet: the second is half the size of the first."""
        outputs, x = [], images
        for i, stride in enumerate(self.strides):
            x = pad(tf.nn.relu(x) if i else x, (3, 3))
            x = tf.nn.conv2d(x, self.kernels[i], stride, "VALID")
            x = self.norms[i](x, training=training)
            outputs.append(x)
        return outputs[0] if self.kind == "cifar" else (outputs[1], outputs[2])

    def macs(self, height, width):
        """Multiply-accumulates for one image."""
        sizes = self.output_sizes(height, width)
        return sum(
            rows * columns * math.prod(kernel.shape)
            for (rows, columns), kernel in zip(sizes, self.kernels, strict=True)
        )

    def elementwise(self, height, width):
        """Two for every normalised value and one for every rectified one, for one image."""
        values = [
            rows * columns * outputs
            for (rows, columns), outputs in zip(
                self.output_sizes(height, width), self.outputs, strict=True
            )
        ]
        return 2 * sum(values) + sum(values[:-1])

    def output_sizes(self, height, width):
        """Rows and columns after each convolution."""
        sizes = []
        for stride in self.strides:
            height, width = halved(height, stride), halved(width, stride)
            sizes.append((height, width))
        return sizes


class ClassifierHead(keras.layers.Layer):
    """Mean over all places, then a dense layer.

    Args:
        classes: number of logits.
    """

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def build(self, input_shape):
        """Creates kernel and bias."""
        features = input_shape[-1]
        initializer = fan_in_uniform(features)
        self.kernel = self.add_weight(
            shape=(features, self.classes), initializer=initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.classes,), initializer=initializer, name="bias")

    def call(self, x):
        """`(batch, height, width, features)` to logits `(batch, classes)`."""
        return tf.matmul(tf.reduce_mean(x, (1, 2)), self.kernel) + self.bias

    def macs(self):
        """Multiply-accumulates for one image."""
        return math.prod(self.kernel.shape)


class AuxiliaryHead(keras.layers.Layer):
    """A second classifier on the features after the second reduction, for training only.

    The reference pools 8x8 (CIFAR) or 7x7 (ImageNet) features to 2x2 and needs exactly that size.
    Here larger features give more places, of which the mean is taken, and smaller ones are pooled
    to 2x2 with a smaller window; at the reference's sizes nothing changes.

    Args:
        classes: number of logits.
        stem: `"cifar"` or `"imagenet"`, which has a stride of 2 and no second normalisation.
    """

    def __init__(self, classes: int, stem: str):
        super().__init__()
        self.stem = stem
        self.head = ClassifierHead(classes)

    def build(self, input_shape):
        """Creates kernels, normalisations and the classifier."""
        first, second = AUXILIARY_CHANNELS
        self.kernel1 = _kernel(self, 1, input_shape[-1], first, "kernel1")
        self.kernel2 = _kernel(self, 2, first, second, "kernel2")
        self.norm1 = _norm(first, "norm1")
        self.norm2 = _norm(second, "norm2") if self.stem == "cifar" else None
        self.head.build((None, None, None, second))

    def call(self, x, training=False):
        """`(batch, height, width, features)` to logits `(batch, classes)`."""
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


def _kernel(layer, size, inputs, outputs, name):
    initializer = fan_in_uniform(size * size * inputs)
    return layer.add_weight(shape=(size, size, inputs, outputs), initializer=initializer, name=name)


def _norm(channels, name):
    norm = BatchNormalization(name=name)
    norm.build((None, None, None, channels))
    return norm


@keras.saving.register_keras_serializable("darts_tf")
class Network(keras.Model):
    """A genotype's cells stacked; see `build_network`.

    Attributes:
        genotype: the cells.
        drop_path_rate: scalar variable, the probability of dropping a path while training.
    """

    def __init__(
        self,
        genotype: Genotype,
        channels: int,
        cells: int,
        classes: int,
        stem: str,
        auxiliary: bool,
        image_channels: int,
        drop_path: float,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._config = {
            "channels": channels,
            "cells": cells,
            "classes": classes,
            "stem": stem,
            "auxiliary": auxiliary,
            "image_channels": image_channels,
            "drop_path": drop_path,
        }
        self.genotype = genotype
        self.stem_kind = stem
        self.image_channels = image_channels
        self.stem = Stem(stem, 3 * channels if stem == "cifar" else channels)
        self.cells = []
        previous = stem == "imagenet"  # its stem's second output is half the size of the first
        for reduction in reductions(cells):
            channels *= 2 if reduction else 1
            self.cells.append(self._cell(channels, reduction, previous))
            previous = reduction
        self.auxiliary_after = 2 * cells // 3
        self.auxiliary_head = AuxiliaryHead(classes, stem) if auxiliary else None
        self.head = ClassifierHead(classes)
        self._build_all()

    def _cell(self, channels, reduction, previous):
        g = self.genotype
        pairs, concat = (g.reduce, g.reduce_concat) if reduction else (g.normal, g.normal_concat)
        return Cell(pairs, concat, channels, reduction, previous)

    def _build_all(self):
        """Creates every variable now: a stateless call must not meet an unbuilt layer."""
        self._seed = keras.random.SeedGenerator()
        self.drop_path_rate = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self._config["drop_path"]),
            trainable=False,
            name="drop_path_rate",
        )
        self.stem.build((None, None, None, self.image_channels))
        s0 = s1 = (None, None, None, self.stem.channels)
        for i, cell in enumerate(self.cells):
            cell.build(s0, s1)
            s0, s1 = s1, (None, None, None, len(cell.concat) * cell.channels)
            if self.auxiliary_head and i == self.auxiliary_after:
                self.auxiliary_head.build(s1)
        self.head.build(s1)
        self.built = True

    def call(self, images, training=False):
        """Logits `(batch, classes)`, or a dict with `logits` and `auxiliary` if built so."""
        check_images(images, self.stem_kind, self.image_channels)
        stem = self.stem(images, training=training)
        s0, s1 = (stem, stem) if self.stem_kind == "cifar" else stem
        drop_path = self._drop_path if training and self._config["drop_path"] else None
        auxiliary = None
        for i, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, drop_path=drop_path, training=training)
            if self.auxiliary_head and i == self.auxiliary_after:
                auxiliary = self.auxiliary_head(s1, training=training)
        logits = self.head(s1)
        return logits if auxiliary is None else {"logits": logits, "auxiliary": auxiliary}

    def _drop_path(self, y):
        """Drops a path for whole samples and makes up for it in the others (sec. A.2)."""
        keep = 1 - tf.cast(self.drop_path_rate, y.dtype)
        draw = keras.random.uniform((tf.shape(y)[0], 1, 1, 1), dtype=y.dtype, seed=self._seed)
        return y * tf.floor(keep + draw) / keep

    def get_config(self):
        """Constructor arguments."""
        own = {**self._config, "genotype": self.genotype.to_json()}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds from `get_config`."""
        return cls(**{**config, "genotype": Genotype.from_json(config["genotype"])})


def build_network(
    genotype: Genotype,
    channels: int = 36,
    cells: int = 20,
    classes: int = 10,
    *,
    stem: str = "cifar",
    auxiliary: bool = True,
    image_channels: int = 3,
    drop_path: float = 0.0,
) -> Network:
    """The evaluation network of a genotype; its variables exist on return.

    Args:
        genotype: the normal and the reduction cell.
        channels: of the first cells' states; doubled at each of the two reductions.
        cells: stacked cells, at least 3; those at one and two thirds are reductions.
        classes: number of labels.
        stem: `"cifar"` keeps the image's size, `"imagenet"` divides it by 8.
        auxiliary: add the second classifier after the second reduction; the network then returns
            `{"logits": ..., "auxiliary": ...}`.
        image_channels: 3 for colour, 1 for gray.
        drop_path: initial probability of dropping a path while training; `drop_path_rate` of the
            network changes it later. 0 leaves the operation out.

    Returns:
        A Keras model from images `(batch, height, width, image_channels)` to logits.

    Raises:
        ValueError: unknown stem, fewer than 3 cells, or numbers out of range.
    """
    if stem not in MINIMUM_SIZE:
        raise ValueError(f"Expected stem to be one of {list(MINIMUM_SIZE)}. Received: {stem=}")
    if not 0 <= drop_path < 1:
        raise ValueError(f"Expected drop_path in [0, 1). Received: {drop_path=}")
    if min(channels, classes, image_channels) < 1:
        raise ValueError(
            "Expected positive channels, classes and image_channels. "
            f"Received: {channels=}, {classes=}, {image_channels=}"
        )
    return Network(
        genotype, channels, cells, classes, stem, auxiliary, image_channels, float(drop_path)
    )
