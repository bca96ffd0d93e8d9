"""Evaluation networks: discrete cells stacked to full size.

`Network` is that of DARTS (Liu et al. 2019, sec. 3.2-3.3), `StagedNetwork` that of NAS-Bench-201
(Dong and Yang 2020, sec. 2.1). `build_network` makes the one that a genotype's cells are for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.layers.cells import Cell, EdgeCell, ResidualReduction
from darts_tf.layers.heads import AuxiliaryHead, ClassifierHead, FinalNormalization
from darts_tf.layers.stems import MINIMUM_CHANNELS, MINIMUM_SIZE, Stem, check_images
from darts_tf.models.loading import load_model
from darts_tf.ops import dropout
from darts_tf.runtime.execution import has_gpu, variables_named_alike
from darts_tf.spaces.cell import STAGES, reductions
from darts_tf.spaces.genotype import EdgeGenotype, Genotype


class GenotypeNetwork(keras.Model):
    """Base class of networks of a genotype's cells; see `build_network`.

    Subclasses make their layers in `_add_layers`, and build them in `_build_layers`.

    Attributes:
        genotype: the cells.
        cells: layers of the cells, in order.
        drop_path_rate: scalar variable, the probability of dropping a path while training.
        image_size: height and width of the images that it was built for or called on last; None
            where unknown.
    """

    genotype_class: type[Genotype] | type[EdgeGenotype]

    def __init__(
        self,
        genotype: Genotype | EdgeGenotype,
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
        self.cells = []
        self._add_layers(channels, cells)
        self.auxiliary_head = AuxiliaryHead(classes, stem) if auxiliary else None
        self.head = ClassifierHead(classes)
        self._build_all()

    @property
    def sizes(self) -> dict[str, object]:
        """The constructor's arguments beside the genotype."""
        return dict(self._config)

    @property
    def parts(self) -> list[keras.layers.Layer]:
        """The layers used at inference, in one order for a given genotype and depth."""
        raise NotImplementedError

    @variables_named_alike()
    def _build_all(self):
        """Creates every variable now: a stateless call must not meet an unbuilt layer."""
        self._seed = keras.random.SeedGenerator()
        self.drop_path_rate = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self._config["drop_path"]),
            trainable=False,
            name="drop_path_rate",
        )
        self.supports_jit = has_gpu()  # XLA's depthwise convolutions are slow on processors
        self.image_size = (None, None)
        self._build_layers()
        self.built = True

    def _build_layers(self):
        """Builds all layers, or notes their shapes again, for images of `image_size`."""
        raise NotImplementedError

    def build(self, input_shape):
        """Notes the size of the images, for `summary` and `export`; the variables exist already.

        Args:
            input_shape: `(batch, height, width, image_channels)`.

        Raises:
            InputError: images of another shape, or too small ones.
        """
        check_images(keras.KerasTensor(input_shape), self.stem_kind, self.image_channels)
        self.image_size = tuple(input_shape[1:3])

    def _note(self, images):
        """Checks a batch of images, and notes their size."""
        check_images(images, self.stem_kind, self.image_channels)
        if None not in images.shape[1:3]:
            self.image_size = tuple(images.shape[1:3])

    def _drop_path(self, images):
        """Factors that drop paths for whole samples and make up for it in the others (sec. A.2)."""
        paths = sum(len(cell.droppable) for cell in self.cells)
        keep = 1 - tf.convert_to_tensor(self.drop_path_rate)
        shape = (paths, tf.shape(images)[0], 1, 1, 1)
        (seed,) = dropout.seeds(self._seed, 1)
        draws = tf.random.stateless_uniform(shape, seed, dtype=keep.dtype)
        return iter(tf.unstack(tf.cast(tf.floor(keep + draws) / keep, self.compute_dtype)))

    def summary(self, *args, **kwargs):
        """Prints the layers with their shapes; see `keras.Model.summary`.

        Heights and widths are those of the images that the network was built for by
        `build((None, height, width, channels))`, or called on last.
        """
        self._build_layers()
        super().summary(*args, **kwargs)

    def export(
        self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs
    ):
        """Exports the network as it is: from normalized images to logits; see `keras.Model.export`.

        `darts_tf.export_network` exports a trained run with preprocessing and class names, in more
        formats, and compares each with Keras.

        Args:
            filepath: as in Keras.
            format: as in Keras.
            verbose: as in Keras.
            input_signature: as in Keras; by default images of the size that the network was built
                for, or called on last.
            **kwargs: as in Keras.

        Raises:
            InputError: the size of the images is unknown.
        """
        if input_signature is None:
            if None in self.image_size:
                raise InputError(
                    "Expected the size of the images to export for, from "
                    f"network.build((None, height, width, {self.image_channels})) or a call. "
                    "Received: a network without it"
                )
            shape = (None, *self.image_size, self.image_channels)
            input_signature = [keras.InputSpec(shape=shape, dtype="float32")]
        super().export(filepath, format, verbose, input_signature, **kwargs)

    def get_config(self):
        """Constructor arguments."""
        own = {**self._config, "genotype": self.genotype.to_json()}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds from `get_config`, under the dtype policy in force and not the one in there.

        All parts take that policy; a network trained in mixed precision has float32 weights, and
        computes with them in float32 where nothing else is asked for.
        """
        given = {name: value for name, value in config.items() if name != "dtype"}
        return cls(**{**given, "genotype": cls.genotype_class.from_json(config["genotype"])})


@keras.saving.register_keras_serializable("darts_tf")
class Network(GenotypeNetwork):
    """A stack of normal and reduction cells; see `build_network`."""

    genotype_class = Genotype

    def _add_layers(self, channels, cells):
        stem = self.stem_kind
        self.stem = Stem(stem, 3 * channels if stem == "cifar" else channels)
        previous = stem == "imagenet"  # its stem's second output is half the size of the first
        for reduction in reductions(cells):
            channels *= 2 if reduction else 1
            self.cells.append(self._cell(channels, reduction, previous))
            previous = reduction
        self.auxiliary_after = 2 * cells // 3

    def _cell(self, channels, reduction, previous):
        cell = self.genotype.cells[reduction]
        return Cell(cell.pairs, cell.concat, channels, reduction, previous)

    @property
    def parts(self) -> list[keras.layers.Layer]:
        """The layers used at inference."""
        return [self.stem, *self.cells, self.head]

    def _build_layers(self):
        """Builds all layers, or notes their shapes again, for images of `image_size`."""
        images = (None, *self.image_size, self.image_channels)
        self.stem.build(images)
        states = self.stem.compute_output_shape(images)
        s0, s1 = (states, states) if self.stem_kind == "cifar" else states
        for i, cell in enumerate(self.cells):
            cell.build(s0, s1)
            s0, s1 = s1, cell.compute_output_shape(s0, s1)
            if self.auxiliary_head and i == self.auxiliary_after:
                self.auxiliary_head.build(s1)
        self.head.build(s1)

    def call(self, images, training=False):
        """Logits `(batch, classes)`, or a dict with `logits` and `auxiliary` if built so."""
        self._note(images)
        stem = self.stem(images, training=training)
        s0, s1 = (stem, stem) if self.stem_kind == "cifar" else stem
        drop_path = self._drop_path(images) if training and self._config["drop_path"] else None
        auxiliary = None
        for i, cell in enumerate(self.cells):
            factors = [next(drop_path) for _ in cell.droppable] if drop_path else []
            s0, s1 = s1, cell(s0, s1, *factors, training=training)
            if self.auxiliary_head and i == self.auxiliary_after:
                auxiliary = self.auxiliary_head(s1, training=training)
        logits = self.head(s1)
        return logits if auxiliary is None else {"logits": logits, "auxiliary": auxiliary}


@keras.saving.register_keras_serializable("darts_tf")
class StagedNetwork(GenotypeNetwork):
    """Three stages of equal cells, with residual reductions between them; see `build_network`."""

    genotype_class = EdgeGenotype

    def _add_layers(self, channels, cells):
        (cell,) = self.genotype.cells
        self.stem = Stem(self.stem_kind, channels)
        self.reductions = [ResidualReduction(times * channels) for times in STAGES[1:]]
        widths = [times * channels for times in STAGES for _ in range(cells)]
        self.cells += [EdgeCell(cell.edges, width) for width in widths]
        self.norm = FinalNormalization(STAGES[-1] * channels)

    @property
    def stack(self) -> list[keras.layers.Layer]:
        """The cells, and the reductions between the stages."""
        return stacked(self.cells, self.reductions)

    @property
    def parts(self) -> list[keras.layers.Layer]:
        """The layers used at inference."""
        return [self.stem, *self.stack, self.norm, self.head]

    def _build_layers(self):
        """Builds all layers, or notes their shapes again, for images of `image_size`."""
        shape = (None, *self.image_size, self.image_channels)
        self.stem.build(shape)
        shape = self.stem.compute_output_shape(shape)
        for layer in self.stack:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.norm.build(shape)
        self.head.build(shape)

    def call(self, images, training=False):
        """Logits `(batch, classes)`."""
        self._note(images)
        x = self.stem(images, training=training)
        drop_path = self._drop_path(images) if training and self._config["drop_path"] else None
        for layer in self.stack:
            factors = [next(drop_path) for _ in getattr(layer, "droppable", ()) if drop_path]
            x = layer(x, *factors, training=training)
        return self.head(self.norm(x, training=training))


def stacked(cells: Sequence, reductions: Sequence) -> list:
    """Returns cells in stages of equal length, with a reduction before each stage but the first."""
    each = len(cells) // (len(reductions) + 1)
    stages = [list(cells[i : i + each]) for i in range(0, len(cells), each)]
    for stage, reduction in zip(stages[1:], reductions, strict=True):
        stage.insert(0, reduction)
    return [layer for stage in stages for layer in stage]


NETWORKS = {network.genotype_class: network for network in (Network, StagedNetwork)}
"""Classes of networks, by the class of their genotypes."""


def build_network(
    genotype: Genotype | EdgeGenotype,
    channels: int | None = None,
    cells: int | None = None,
    classes: int = 10,
    *,
    stem: str = "cifar",
    auxiliary: bool = False,
    image_channels: int = 3,
    drop_path: float = 0.0,
) -> GenotypeNetwork:
    """The evaluation network of a genotype; its variables exist on return.

    It is a Keras model like any other: its outputs are logits, so give `compile` a loss of logits.

    Example:
        ```python
        network = darts_tf.build_network(darts_tf.GENOTYPES["DARTS_V2"], channels=16, cells=8)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile("adam", loss, metrics=["accuracy"])
        network.fit(images, labels, epochs=3)
        ```

    Args:
        genotype: the normal and the reduction cell, or the cell with an operation on every edge.
        channels: of the first cells' states; doubled at each of the two reductions. By default the
            papers' 36, or NAS-Bench-201's 16.
        cells: stacked cells, at least 3, of which those at one and two thirds are reductions; or of
            an `EdgeGenotype` the cells of each of the three stages. By default the papers' 20, or
            NAS-Bench-201's 5.
        classes: number of labels.
        stem: `"cifar"` keeps the image's size, `"imagenet"` divides it by 8.
        auxiliary: add the second classifier after the second reduction; the network then returns
            `{"logits": ..., "auxiliary": ...}`. Not for an `EdgeGenotype`.
        image_channels: 3 for colour, 1 for gray.
        drop_path: initial probability of dropping a path while training; `drop_path_rate` of the
            network changes it later. 0 leaves the operation out.

    Returns:
        A Keras model from images `(batch, height, width, image_channels)` to logits.

    Raises:
        InputError: unknown stem, too few cells, numbers out of range, or what the network of an
            `EdgeGenotype` does not have.
    """
    channels = genotype.usual_sizes["channels"] if channels is None else channels
    cells = genotype.usual_sizes["cells"] if cells is None else cells
    check_stack(type(genotype), cells, stem, auxiliary)
    if stem not in MINIMUM_SIZE:
        raise InputError(f"Expected stem to be one of {list(MINIMUM_SIZE)}. Received: {stem=}")
    if not 0 <= drop_path < 1:
        raise InputError(f"Expected drop_path in [0, 1). Received: {drop_path=}")
    least = MINIMUM_CHANNELS[stem]
    if channels < least or min(classes, image_channels) < 1:
        raise InputError(
            f"Expected at least {least} channels, and positive classes and image_channels. "
            f"Received: {channels=}, {classes=}, {image_channels=}"
        )
    settings = (channels, cells, classes, stem, auxiliary, image_channels, float(drop_path))
    return NETWORKS[type(genotype)](genotype, *settings)


def check_stack(
    genotype_class: type[Genotype] | type[EdgeGenotype],
    cells: int,
    stem: str,
    auxiliary: bool = False,
) -> None:
    """Checks that genotypes of a class have networks of these sizes.

    Raises:
        InputError: too few cells, or a stem or auxiliary head that its network does not have.
    """
    if cells < genotype_class.fewest_cells:
        fewest = genotype_class.fewest_cells
        raise InputError(
            f"Expected at least {fewest} cell{'s' * (fewest > 1)} for {genotype_class.described}. "
            f"Received: {cells=}"
        )
    if genotype_class is EdgeGenotype and (stem != "cifar" or auxiliary):
        received = f"{stem=}" if stem != "cifar" else f"{auxiliary=}"
        raise InputError(
            f"Expected stem='cifar' and no auxiliary head for {genotype_class.described}. "
            f"Received: {received}"
        )


def logits_of(outputs: tf.Tensor | dict[str, tf.Tensor]) -> tf.Tensor:
    """The logits of what a network gives, built with an auxiliary head or without."""
    return outputs["logits"] if isinstance(outputs, dict) else outputs


def load_network(path: str | os.PathLike[str]) -> GenotypeNetwork:
    """A trained network from a `.keras` file, without its optimizer.

    Raises:
        InputError: the file is missing or broken, or holds another model.
    """
    return load_model(path, GenotypeNetwork)
