"""Import of weights trained with the authors' PyTorch implementation as finished training runs."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import re
from collections.abc import Callable, Mapping

import keras
import numpy as np

from darts_tf.configs import ImportConfig, TextTrainConfig, TrainConfig
from darts_tf.configs.text_datasets import is_text
from darts_tf.data import (
    PUBLISHED_STATISTICS,
    ImageDataset,
    Preprocessing,
    Split,
    TextDataset,
    class_names,
    lasting_name,
    load_text,
)
from darts_tf.errors import InputError, listed, shown, unknown_name
from darts_tf.models.language_model import LanguageModel, build_language_model
from darts_tf.models.network import Network, build_network
from darts_tf.models.reference_weights import load_reference_weights
from darts_tf.models.state_dicts import read_state_dict
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runtime.atomic import replacing
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype
from darts_tf.spaces.zoo import load_genotype

PRESETS = {"ptb": "ptb", "wikitext2": "wikitext-2"}
"""Kinds of language models by name, with the preset used for their training."""

EMBEDDING, FIRST_KERNEL = "encoder.weight", "rnns.0._W0"
_NODE = re.compile(r"rnns\.0\._Ws\.[0-9]+")


def language_model_of(
    config: ImportConfig, state: Mapping[str, np.ndarray]
) -> tuple[TextTrainConfig, TextDataset, RecurrentGenotype, LanguageModel]:
    """Returns settings, text, genotype and a new model of a run for these weights.

    The settings are those of the kind's preset, except for the size, which is read from the state
    dict.

    Args:
        config: the user's settings.
        state: state dict with the reference's names.

    Raises:
        InputError: a file of classes was passed, or no text; the weights are not those of a
            language model, or of another cell; or the text has another number of words.
    """
    if config.classes is not None:
        raise InputError(
            "Expected no file of classes: those of a language model are the words of its text. "
            f"Received: {str(config.classes)!r}"
        )
    if config.dataset is None:
        raise InputError(
            "Expected the folder of the text that it was trained on (--dataset FOLDER), since the "
            "order of the words is that of its files. Received: none"
        )
    genotype = load_genotype(config.genotype, recurrent=True)
    vocabulary, units, nodes = text_architecture(state)
    if nodes != len(genotype.recurrent):
        raise InputError(
            f"Expected weights of a cell of {len(genotype.recurrent)} nodes, as "
            f"{shown(config.genotype)} has. Received: those of {nodes}"
        )
    text = load_text(config.dataset)
    if len(text.vocabulary) != vocabulary:
        raise InputError(
            f"Expected the text that it was trained on, of {vocabulary} different words. "
            f"Received: {shown(text.name)} with {len(text.vocabulary)}"
        )
    trained = TextTrainConfig.from_preset(
        PRESETS[config.kind],
        genotype=config.genotype,
        dataset=text.name,
        units=units,
        workdir=config.output,
        overwrite=config.overwrite,
    )
    model = build_language_model(genotype, vocabulary, units, **trained.dropouts)
    return trained, _unseen(text), genotype, model


def text_architecture(state: Mapping[str, np.ndarray]) -> tuple[int, int, int]:
    """Reads the vocabulary's size, units and nodes of a language model from a state dict.

    Args:
        state: state dict with the reference's names.

    Raises:
        InputError: the embedding or the first kernel is missing, or their shapes do not match.
    """
    absent = [name for name in (EMBEDDING, FIRST_KERNEL) if np.ndim(state.get(name)) != 2]
    if absent:
        raise InputError(
            f"Expected a language model, which has {' and '.join(absent)}. "
            f"Received: names {listed(state)}"
        )
    vocabulary, units = state[EMBEDDING].shape
    if state[FIRST_KERNEL].shape != (2 * units, 2 * units):
        raise InputError(
            f"Expected {FIRST_KERNEL} of {2 * units} rows and columns, as {EMBEDDING} has {units} "
            f"columns. Received: shape {state[FIRST_KERNEL].shape}"
        )
    return vocabulary, units, sum(map(bool, map(_NODE.fullmatch, state)))


def _unseen(text: TextDataset) -> TextDataset:
    """Returns the text with empty splits: an imported run has no text to be resumed with."""
    none = np.zeros(0, np.int32)
    return dataclasses.replace(text, train=none, valid=none, test=none)


_LOGGER = logging.getLogger("darts_tf")

CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
"""Names in the order of the labels, since TFDS knows them only after downloading the images."""


@dataclasses.dataclass(frozen=True)
class ImageKind:
    """Properties of an image network that cannot be read from its weights.

    Attributes:
        stem: kind of the network's stem.
        dataset: name of the dataset.
        size: height and width of the images in pixels.
        shorter_side: length in pixels to which the shorter side of an image is resized before its
            centre is cropped; None for no crop.
        classes: returns the names of the classes, in the order of the logits.
    """

    stem: str
    dataset: str
    size: int
    shorter_side: int | None
    classes: Callable[[], tuple[str, ...]]


IMAGE_KINDS = {
    "cifar10": ImageKind("cifar", "cifar10", 32, None, lambda: CIFAR10_CLASSES),
    "imagenet": ImageKind(
        "imagenet", "imagenet2012", 224, 256, lambda: class_names("imagenet2012")
    ),
}
"""Kinds of image networks by name."""

_STEMS = {"cifar": ("stem.0.weight", 3), "imagenet": ("stem1.1.weight", 1)}
"""Last kernel of each stem, and its output channels as a multiple of the first cell's channels."""


def import_run(config: ImportConfig) -> keras.Model:
    """Creates the folder of a finished training run from a state dict, and returns its network.

    The network's size is read from the state dict. Only the saved settings of the network and the
    data describe the imported run; how it was trained is unknown.

    Raises:
        InputError: an unknown kind or genotype, a file that is not a state dict, or one of another
            architecture, a wrong number of class names, a text with another vocabulary or none, or
            a folder that is in use. Nothing has been written in these cases.
        OSError: a file could not be written.
    """
    if config.kind not in KINDS:
        raise unknown_name("kind", config.kind, KINDS)
    run_folder.check_workdir(
        config.output, overwrite=config.overwrite, instead="--overwrite", name="output"
    )
    state = read_state_dict(config.checkpoint)
    trained, dataset, genotype, network = KINDS[config.kind](config, state)
    load_reference_weights(network, state)
    with run_folder.started_run(trained, dataset, genotype) as folder:
        _LOGGER.info("importing %d arrays of %s", len(state), config.checkpoint)
        with replacing(folder / files.MODEL) as path:
            network.save(path)
    return network


def network_of(
    config: ImportConfig, state: Mapping[str, np.ndarray]
) -> tuple[TrainConfig, ImageDataset, Genotype, Network]:
    """Returns settings, dataset, genotype and a new network of a run for these weights.

    Args:
        config: the user's settings.
        state: state dict with the reference's names.

    Raises:
        InputError: as in `import_run`.
    """
    kind = IMAGE_KINDS[config.kind]
    if config.dataset is not None and is_text(config.dataset):
        raise InputError(
            f"Expected a dataset of images. Received: {config.dataset}, which is a text"
        )
    genotype = load_genotype(config.genotype)
    if not isinstance(genotype, Genotype):
        raise InputError(
            f"Expected {Genotype.described}, the only ones whose networks can be imported. "
            f"Received: {genotype.described}"
        )
    trained = TrainConfig(
        genotype=config.genotype,
        dataset=lasting_name(config.dataset or kind.dataset),
        image_size=kind.size,
        random_resized_crop=kind.shorter_side is not None,
        workdir=config.output,
        overwrite=config.overwrite,
        **architecture(state, kind.stem),
    )
    classes = _classes(config, kind, state["classifier.weight"].shape[0])
    network = build_network(
        genotype,
        trained.channels,
        trained.cells,
        len(classes),
        stem=trained.stem,
        auxiliary=trained.auxiliary,
    )
    return trained, _dataset(trained, kind, classes), genotype, network


KINDS = {
    **dict.fromkeys(IMAGE_KINDS, network_of),
    **dict.fromkeys(PRESETS, language_model_of),
}
"""Functions that make settings, dataset, genotype and network of a run, by kind."""


def architecture(state: Mapping[str, np.ndarray], stem: str) -> dict[str, object]:
    """Reads the settings `stem`, `channels`, `cells` and `auxiliary` from a state dict.

    Args:
        state: state dict with the reference's names.
        stem: `"cifar"` or `"imagenet"`.

    Raises:
        InputError: the stem, the cells or the classifier are missing.
    """
    kernel, factor = _STEMS[stem]
    sized = {kernel: 4, "classifier.weight": 2}
    absent = [name for name, axes in sized.items() if name not in state or state[name].ndim != axes]
    if absent:
        others = [other for other, (name, _) in _STEMS.items() if name in state and other != stem]
        received = f"a network with the {others[0]} stem" if others else f"names {listed(state)}"
        raise InputError(
            f"Expected a network with the {stem} stem, which has {' and '.join(absent)}. "
            f"Received: {received}"
        )
    outputs = state[kernel].shape[0]
    if outputs % factor:
        raise InputError(
            f"Expected a multiple of {factor} channels from {kernel}. Received: {outputs}"
        )
    return {
        **{"stem": stem, "channels": outputs // factor, "cells": _count_cells(state)},
        "auxiliary": any(name.startswith("auxiliary_head.") for name in state),
    }


def _count_cells(state) -> int:
    numbers = {match[1] for match in map(re.compile(r"cells\.(\d+)\.").match, state) if match}
    if numbers != {str(i) for i in range(len(numbers))}:
        raise InputError(
            f"Expected cells numbered from 0. Received: cells {listed(sorted(numbers))}"
        )
    return len(numbers)


def _classes(config: ImportConfig, kind: ImageKind, logits: int) -> tuple[str, ...]:
    names = kind.classes() if config.classes is None else _read_lines(config.classes)
    if len(names) != logits:
        whose = f"of {config.kind}" if config.classes is None else f"in {config.classes}"
        raise InputError(
            f"Expected a class for each of the network's {logits} logits, in a file with one name "
            f"a line (--classes FILE). Received: {len(names)} classes {whose}"
        )
    return names


def _read_lines(path: pathlib.Path) -> tuple[str, ...]:
    try:
        lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Expected a text file with one class a line. Received: {str(path)!r} "
            f"({getattr(error, 'strerror', None) or 'which is not UTF-8'})"
        ) from error
    names = tuple(line.strip() for line in lines)
    if not all(names):
        raise InputError(
            f"Expected one class a line. Received: line {names.index('') + 1} of {path} is empty"
        )
    return names


def _dataset(trained: TrainConfig, kind: ImageKind, classes: tuple[str, ...]) -> ImageDataset:
    """Returns a dataset without images: an imported run has none to be resumed with."""
    mean, std = PUBLISHED_STATISTICS[kind.dataset]
    none = Split(np.zeros((0, kind.size, kind.size, 3), np.uint8), np.zeros(0, np.int32))
    preprocessing = Preprocessing(kind.size, kind.size, 3, mean, std, kind.shorter_side)
    return ImageDataset(trained.dataset, classes, none, none, preprocessing)
