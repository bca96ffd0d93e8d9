"""The continuous network of a search: every edge of every cell mixes all primitives."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.layers.cells import EdgeSearchCell, ResidualReduction, SearchCell
from darts_tf.layers.graph_sharing import Shared
from darts_tf.layers.heads import ClassifierHead, FinalNormalization
from darts_tf.layers.normalization import tracking
from darts_tf.layers.relaxations import (
    ADVERSARIAL,
    PERTURBATIONS,
    RELAXATIONS,
    SAMPLED,
    TEMPERED,
    over_edges,
)
from darts_tf.layers.stems import Stem, check_images
from darts_tf.models.mixture import given_mixture
from darts_tf.models.network import stacked
from darts_tf.ops import dropout
from darts_tf.runtime.execution import variables_named_alike
from darts_tf.spaces.cell import NODES, PRIMITIVES, STAGES, reductions
from darts_tf.spaces.derivation import derive_genotype
from darts_tf.spaces.genotype import EdgeGenotype, Genotype
from darts_tf.spaces.search_spaces import NAS_BENCH_201, SPACES, Space, space_of


class MixedNetwork(keras.Model):
    """Base class of supernets on images: alphas, mixtures and random draws.

    Subclasses make their layers in `_add_layers`, build them in `_build_layers`, and run them in
    `_features`. Arguments, attributes and errors are those of `Supernet`.
    """

    def __init__(self, space: Space, settings: dict[str, object], **kwargs):
        super().__init__(**kwargs)
        _check_mixture(*(settings[name] for name in ("relaxation", "perturb", "op_dropout")))
        channels, partial_channels = settings["channels"], settings["partial_channels"]
        if partial_channels < 1 or channels % partial_channels:
            raise InputError(
                f"Expected channels to be a multiple of partial_channels. "
                f"Received: {channels=}, {partial_channels=}"
            )
        self._config = settings
        self.space = space
        self.cells = []
        self._add_layers()
        self.head = ClassifierHead(settings["classes"])
        self._build_all()

    @variables_named_alike()
    def _build_all(self):
        """Creates every variable now: a stateless call must not meet an unbuilt layer."""
        shapes = {"alphas": self.space.shapes}
        if self._config["partial_channels"] > 1:
            shapes["edges"] = [(rows,) for rows, _ in self.space.shapes]
        noise = keras.initializers.RandomNormal(stddev=1e-3)
        self.alphas = [
            self.add_weight(shape=shape, initializer=noise, name=f"{name}_{kind}", autocast=False)
            for name, of_kinds in shapes.items()
            for kind, shape in zip(self.space.kinds, of_kinds, strict=True)
        ]
        self._build_layers((None, None, None, self._config["image_channels"]))
        self._add_randomness()
        self.built = True

    def _add_randomness(self):
        """Adds the seed and the scalars that random draws depend on, if there are any."""
        sampled, perturbed = self._sampled, self._config["perturb"] != "none"
        rate = self._config["op_dropout"]
        tempered = self._config["relaxation"] in TEMPERED
        self.temperature = self._scalar("temperature", 1.0) if tempered else None
        self.perturb_radius = self._scalar("perturb_radius", 0.0) if perturbed else None
        self.op_dropout_rate = self._scalar("op_dropout_rate", rate) if rate else None
        self._seed = keras.random.SeedGenerator() if sampled or perturbed or rate else None

    @property
    def seed_state(self) -> keras.Variable | None:
        """Seed of the draws of the next training pass; None without draws."""
        return self._seed.state if self._seed else None

    @property
    def _sampled(self):
        return self._config["relaxation"] in SAMPLED

    def _scalar(self, name, value):
        initial = keras.initializers.Constant(value)
        return self.add_weight(
            shape=(), initializer=initial, trainable=False, autocast=False, name=name
        )

    @property
    def network_weights(self) -> list[keras.Variable]:
        """The trainable variables without the alphas."""
        alphas = {id(variable) for variable in self.alphas}
        return [v for v in self.trainable_variables if id(v) not in alphas]

    def call(self, images, training=False):
        """Logits `(batch, classes)` of images `(batch, height, width, channels)`."""
        check_images(images, "cifar", self._config["image_channels"])
        given, kinds = given_mixture(), len(self.space.kinds)
        draws = training and self._seed and (given is None or tracking())  # no draws in a measure
        drawn = dropout.seeds(self._seed, kinds + len(self.cells)) if draws else []
        given = given or self._mixtures(drawn[:kinds])
        dropped = [None] * len(self.cells)
        if draws and self._config["op_dropout"]:
            dropped = [self._op_dropout(seed) for seed in drawn[kinds:]]
        return self.head(self._features(images, given, dropped, training))

    def _features(self, images, mixture, op_dropout, training):
        """Returns the input of the classifier.

        Args:
            images: `(batch, height, width, channels)`.
            mixture: as `mixture` returns it.
            op_dropout: `(rate, seed)` or None, for every cell.
            training: as in `call`.
        """
        raise NotImplementedError

    def mixture(self) -> list[tf.Tensor]:
        """Returns the mixture weights without random draws, an array for each of `alphas`."""
        return self._mixtures([])

    def _mixtures(self, seeds):
        """Returns the weights of operations (eq. 2), and of edges if they have their own alphas."""
        alphas, kinds = [tf.convert_to_tensor(a) for a in self.alphas], len(self.space.kinds)
        relax = RELAXATIONS[self._config["relaxation"]]
        noise = seeds if self._sampled and seeds else [None] * kinds
        weights = [
            relax(a, self.temperature, seed) for a, seed in zip(alphas[:kinds], noise, strict=True)
        ]
        perturb, radius = PERTURBATIONS.get(self._config["perturb"]), self.perturb_radius
        if perturb and seeds and tracking():  # in the weights' step alone
            weights = [perturb(w, radius, seed) for w, seed in zip(weights, seeds, strict=True)]
        return weights + [over_edges(a, self.space) for a in alphas[kinds:]]

    def _op_dropout(self, seed):
        return tf.cast(tf.convert_to_tensor(self.op_dropout_rate), tf.float32), seed

    def genotype(self, max_skips: int | None = None):
        """The discrete cells that the alphas stand for now (sec. 2.4); see `derive`."""
        alphas = [np.asarray(array) for array in self.alphas]
        return derive_genotype(self.space, alphas, self._config["relaxation"], max_skips)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), **self._config}


@keras.saving.register_keras_serializable("darts_tf")
class Supernet(MixedNetwork):
    """Cells with relaxed edges, ready to be searched (Liu et al. 2019, sec. 2.2).

    Called on images `(batch, height, width, image_channels)` it gives logits `(batch, classes)`.

    What is random in a training pass is a function of a seed, a variable, which moves where the
    running statistics do: in the weights' step alone. So all passes of a step of a search, at
    virtual weights and to either side of them too, see the same draws, and the next step others.

    Attributes:
        space: what the cells are chosen from.
        alphas: `[normal, reduce]`, variables `(edges, primitives)`; all normal cells share one and
            all reduction cells the other. With partial channels there are two more of `(edges,)`
            for the edges as a whole, in the same order.
        network_weights: the other trainable variables, w in the paper.
        temperature: of a relaxation that has one, a variable; None for others.
        perturb_radius: of the perturbation, a variable; None without one.
        op_dropout_rate: of dropout on skip connections, a variable; None without it.

    Args:
        channels: of the first cells' states; doubled at each of the two reductions.
        cells: stacked cells, at least 3; those at one and two thirds are reductions.
        classes: number of labels.
        image_channels: 3 for colour, 1 for gray.
        nodes: intermediate states a cell.
        primitives: candidates on every edge, `none` among them.
        stem_multiplier: channels of the stem as a multiple of `channels`.
        partial_channels: 1, or k to mix 1/k of a state's channels and let the others pass (Xu et
            al. 2020): less memory and time, and edges with weights of their own, whose relaxation
            is always the softmax.
        relaxation: of the choice of operations, a name in `relaxations.RELAXATIONS`.
        perturb: what moves the mixtures' weights in passes that track statistics, a name in
            `relaxations.PERTURBATIONS`, or `"none"`; with `"adversarial"` the trainer moves them.
        op_dropout: initial rate of dropout on skip connections; 0 leaves it out.
        edge_primitives: in place of `primitives` those of each edge of a normal cell and of each
            edge of a reduction, as many on every edge of a cell; None for the same on all.

    Raises:
        InputError: fewer than 3 cells, channels that cannot be parted into `partial_channels`, an
            unknown relaxation or perturbation, a perturbation of another than the softmax, or
            other edges than the cells have.
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
        relaxation: str = "softmax",
        perturb: str = "none",
        op_dropout: float = 0.0,
        edge_primitives: tuple[tuple[tuple[str, ...], ...], ...] | None = None,
        **kwargs,
    ):
        settings = {
            "channels": channels,
            "cells": cells,
            "classes": classes,
            "image_channels": image_channels,
            "nodes": nodes,
            "primitives": tuple(primitives),
            "stem_multiplier": stem_multiplier,
            "partial_channels": partial_channels,
            "relaxation": relaxation,
            "perturb": perturb,
            "op_dropout": op_dropout,
            "edge_primitives": edge_primitives,
        }
        super().__init__(space_of(nodes, primitives, edge_primitives), settings, **kwargs)

    def _add_layers(self):
        channels, partial = self._config["channels"], self._config["partial_channels"]
        self.stem = Stem("cifar", self._config["stem_multiplier"] * channels)
        previous, shared = False, Shared()
        for reduction in reductions(self._config["cells"]):
            channels *= 2 if reduction else 1
            self.cells.append(
                SearchCell(channels, reduction, previous, self.space, partial, shared)
            )
            previous = reduction

    def _build_layers(self, images):
        self.stem.build(images)
        s0 = s1 = (None, None, None, self.stem.channels)
        for cell in self.cells:
            cell.build(s0, s1)
            s0, s1 = s1, (None, None, None, cell.nodes * cell.channels)
        self.head.build(s1)

    def _features(self, images, mixture, op_dropout, training):
        s0 = s1 = self.stem(images, training=training)
        for cell, dropped in zip(self.cells, op_dropout, strict=True):
            weights = mixture[cell.kind :: 2]
            s0, s1 = s1, cell(s0, s1, *weights, training=training, op_dropout=dropped)
        return s1


@keras.saving.register_keras_serializable("darts_tf")
class StagedSupernet(MixedNetwork):
    """Supernet of NAS-Bench-201: three stages of relaxed cells (Dong and Yang 2020, sec. 2.1).

    All cells share one set of alphas `(edges, primitives)`; with partial channels there is another
    of `(edges,)`. Between the stages are residual reductions, which are not searched. Everything
    else is as in `Supernet`.

    Args:
        channels: of the first stage; doubled at each of the two reductions.
        cells: cells of each stage.
        classes: number of labels.
        image_channels: 3 for colour, 1 for gray.
        space: the search space, or the result of its `to_dict`.
        partial_channels: as in `Supernet`.
        relaxation: as in `Supernet`.
        perturb: as in `Supernet`.
        op_dropout: as in `Supernet`.

    Raises:
        InputError: no cells, a space of other cells, or as in `Supernet`.
    """

    def __init__(
        self,
        channels: int = 16,
        cells: int = 5,
        classes: int = 10,
        image_channels: int = 3,
        space: Space | dict = SPACES[NAS_BENCH_201],
        partial_channels: int = 1,
        relaxation: str = "softmax",
        perturb: str = "none",
        op_dropout: float = 0.0,
        **kwargs,
    ):
        space = space if isinstance(space, Space) else Space.from_dict(space)
        space.check_genotypes(EdgeGenotype)
        if cells < 1:
            raise InputError(f"Expected cells to be positive. Received: {cells=}")
        settings = {
            "channels": channels,
            "cells": cells,
            "classes": classes,
            "image_channels": image_channels,
            "space": space.to_dict(),
            "partial_channels": partial_channels,
            "relaxation": relaxation,
            "perturb": perturb,
            "op_dropout": op_dropout,
        }
        super().__init__(space, settings, **kwargs)

    def _add_layers(self):
        channels, partial = self._config["channels"], self._config["partial_channels"]
        shared = Shared()
        self.stem = Stem("cifar", channels)
        self.reductions = [ResidualReduction(times * channels) for times in STAGES[1:]]
        for times in STAGES:
            for _ in range(self._config["cells"]):
                cell = EdgeSearchCell(times * channels, self.space, partial, shared)
                self.cells.append(cell)
        self.norm = FinalNormalization(STAGES[-1] * channels)

    def _build_layers(self, images):
        self.stem.build(images)
        shape = (None, None, None, self.stem.channels)
        for layer in stacked(self.cells, self.reductions):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.norm.build(shape)
        self.head.build(shape)

    def _features(self, images, mixture, op_dropout, training):
        x, dropped = self.stem(images, training=training), iter(op_dropout)
        for layer in stacked(self.cells, self.reductions):
            if isinstance(layer, ResidualReduction):
                x = layer(x, training=training)
            else:
                x = layer(x, *mixture, training=training, op_dropout=next(dropped))
        return self.norm(x, training=training)


SUPERNETS = {Genotype: Supernet, EdgeGenotype: StagedSupernet}
"""Classes of supernets on images, by the class of the genotypes that they derive."""


def build_supernet(space: Space, *sizes, **settings) -> MixedNetwork:
    """Returns the supernet of a search space.

    Args:
        space: the search space.
        *sizes: channels, cells, classes and channels of images.
        **settings: further arguments of the supernet's class.

    Raises:
        InputError: the space has cells that no supernet on images has, or see `Supernet`.
    """
    space.check_genotypes(*SUPERNETS)
    return SUPERNETS[space.genotype_class](*sizes, **settings, **space.of_supernet())


def _check_mixture(relaxation, perturb, op_dropout):
    for name, value, known in (
        ("relaxation", relaxation, RELAXATIONS),
        ("perturb", perturb, ("none", *PERTURBATIONS, ADVERSARIAL)),
    ):
        if value not in known:
            raise InputError(
                f"Expected {name} to be one of {', '.join(known)}. Received: {name}={value!r}"
            )
    if perturb != "none" and relaxation != "softmax":
        raise InputError(
            "Expected the relaxation softmax, whose weights are a distribution to perturb. "
            f"Received: {relaxation=}, {perturb=}"
        )
    if not 0 <= op_dropout < 1:
        raise InputError(f"Expected op_dropout in [0, 1). Received: {op_dropout=}")
