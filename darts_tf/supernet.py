"""The continuous network of a search: every edge of every cell mixes all primitives."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from darts_tf.cells import SearchCell, reductions
from darts_tf.errors import InputError
from darts_tf.genotype import derive
from darts_tf.heads import ClassifierHead
from darts_tf.sharing import Shared
from darts_tf.spaces import INPUTS, NODES, PRIMITIVES, edges
from darts_tf.stems import Stem, check_images


@keras.saving.register_keras_serializable("darts_tf")
class Supernet(keras.Model):
    """Cells with softmax-relaxed edges, ready to be searched (Liu et al. 2019, sec. 2.2).

    Called on images `(batch, height, width, image_channels)` it gives logits `(batch, classes)`.

    Attributes:
        alphas: `[normal, reduce]`, variables `(edges, primitives)`; all normal cells share one and
            all reduction cells the other. With partial channels there are two more of `(edges,)`
            for the edges as a whole, in the same order.
        network_weights: the other trainable variables, w in the paper.

    Args:
        channels: of the first cells' states; doubled at each of the two reductions.
        cells: stacked cells, at least 3; those at one and two thirds are reductions.
        classes: number of labels.
        image_channels: 3 for colour, 1 for gray.
        nodes: intermediate states a cell.
        primitives: candidates on every edge, `none` among them.
        stem_multiplier: channels of the stem as a multiple of `channels`.
        partial_channels: 1, or k to mix 1/k of a state's channels and let the others pass (Xu et
            al. 2020): less memory and time, and edges with weights of their own.

    Raises:
        InputError: fewer than 3 cells, or channels that cannot be parted into `partial_channels`.
    """

    def __init__(
        self,
        channels: int = 16,
        cells: int = 8,
        classes: int = 10,
        image_channels: int = 3,
        nodes: int = NODES,
        primitives: tuple[str, ...] = PRIMITIVES,
        stem_multiplier: int = 3,
        partial_channels: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if partial_channels < 1 or channels % partial_channels:
            raise InputError(
                f"Expected channels to be a multiple of partial_channels. "
                f"Received: {channels=}, {partial_channels=}"
            )
        self._config = {
            "channels": channels,
            "cells": cells,
            "classes": classes,
            "image_channels": image_channels,
            "nodes": nodes,
            "primitives": tuple(primitives),
            "stem_multiplier": stem_multiplier,
            "partial_channels": partial_channels,
        }
        self.primitives = tuple(primitives)
        self.stem = Stem("cifar", stem_multiplier * channels)
        self.cells = []
        previous, shared = False, Shared()
        for reduction in reductions(cells):
            channels *= 2 if reduction else 1
            self.cells.append(
                SearchCell(
                    channels,
                    reduction,
                    previous,
                    nodes,
                    self.primitives,
                    partial_channels,
                    shared,
                )
            )
            previous = reduction
        self.head = ClassifierHead(classes)
        self._build_all(image_channels)

    def _build_all(self, image_channels):
        """Creates every variable now: a stateless call must not meet an unbuilt layer."""
        rows = len(edges(self._config["nodes"]))
        shapes = {"alphas": (rows, len(self.primitives))}
        if self._config["partial_channels"] > 1:
            shapes["edges"] = (rows,)
        noise = keras.initializers.RandomNormal(stddev=1e-3)
        self.alphas = [
            self.add_weight(shape=shape, initializer=noise, name=f"{name}_{kind}", autocast=False)
            for name, shape in shapes.items()
            for kind in ("normal", "reduce")
        ]
        self.stem.build((None, None, None, image_channels))
        s0 = s1 = (None, None, None, self.stem.channels)
        for cell in self.cells:
            cell.build(s0, s1)
            s0, s1 = s1, (None, None, None, cell.nodes * cell.channels)
        self.head.build(s1)
        self.built = True

    @property
    def network_weights(self) -> list[keras.Variable]:
        """The trainable variables without the alphas."""
        alphas = {id(variable) for variable in self.alphas}
        return [v for v in self.trainable_variables if id(v) not in alphas]

    def call(self, images, training=False):
        """Logits `(batch, classes)` of images `(batch, height, width, channels)`."""
        check_images(images, "cifar", self._config["image_channels"])
        alphas = [tf.convert_to_tensor(a) for a in self.alphas]
        given = [tf.nn.softmax(a) for a in alphas[:2]] + [self._over_edges(a) for a in alphas[2:]]
        s0 = s1 = self.stem(images, training=training)
        for cell in self.cells:
            weights = given[int(cell.reduction) :: 2]  # softmax over primitives (eq. 2), or edges
            s0, s1 = s1, cell(s0, s1, *weights, training=training)
        return self.head(s1)

    def _over_edges(self, alphas):
        """Softmax over the edges into each node (Xu et al. 2020, eq. 3)."""
        sizes = [INPUTS + node for node in range(self._config["nodes"])]
        return tf.concat([tf.nn.softmax(part) for part in tf.split(alphas, sizes)], 0)

    def genotype(self):
        """The discrete cells that the alphas stand for now (sec. 2.4)."""
        return derive(*map(np.asarray, self.alphas), primitives=self.primitives)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._config}
