"""What a run made of the authors' PyTorch language models consists of."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import numpy as np

from darts_tf.configs import ImportConfig, TextTrainConfig
from darts_tf.data import TextDataset, load_text
from darts_tf.errors import InputError
from darts_tf.models.language_model import LanguageModel, build_language_model
from darts_tf.names import listed, shown
from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.spaces.zoo import load_genotype

PRESETS = {"ptb": "ptb", "wikitext2": "wikitext-2"}
"""The kinds of language models by name, each with the preset that it was trained by."""

EMBEDDING, FIRST_KERNEL = "encoder.weight", "rnns.0._W0"
_NODE = re.compile(r"rnns\.0\._Ws\.[0-9]+")


def language_model_of(
    config: ImportConfig, state: Mapping[str, np.ndarray]
) -> tuple[TextTrainConfig, TextDataset, RecurrentGenotype, LanguageModel]:
    """The settings, text, genotype and new model of a run for these weights.

    The settings are those of the kind's preset, but for the size, which the state dict tells.

    Args:
        config: what the user asks for.
        state: names as the reference has them.

    Raises:
        InputError: classes are given or no text, the weights are no language model's or of another
            cell, or the text has another number of words.
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
    vocabulary, units, nodes = architecture(state)
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


def architecture(state: Mapping[str, np.ndarray]) -> tuple[int, int, int]:
    """Vocabulary, units and nodes of a language model, from a state dict.

    Args:
        state: names as the reference has them.

    Raises:
        InputError: the embedding or the first kernel is not there, or they do not fit each other.
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
    """Its vocabulary alone: this run has seen no text, and can't be resumed with any."""
    none = np.zeros(0, np.int32)
    return dataclasses.replace(text, train=none, valid=none, test=none)
