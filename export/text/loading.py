"""Loading of a trained language model to generate text: from a run, an export or one model."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from darts_tf.data import splitting_of
from darts_tf.errors import InputError, first_line
from darts_tf.export import folder, loading
from darts_tf.export.text import saved_model, tflite
from darts_tf.export.text.words import Words
from darts_tf.models.language_model import LanguageModel, load_language_model
from darts_tf.runs import files

Advance = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ExportedText:
    """A language model with its vocabulary.

    Attributes:
        words: vocabulary, and the rule that splits a text into words.
        units: size of the state.
        advance: function from tokens `(1, time)` and the state before them `(1, units)`, zeros at
            the beginning, to logits `(1, time, vocabulary)` and the state after them.
    """

    words: Words
    units: int
    advance: Advance


def load_text_model(path: str | os.PathLike[str]) -> ExportedText:
    """Loads a trained language model.

    Args:
        path: a path that `export.load` takes: the folder of a run, of an export or of a SavedModel,
            or a `.keras` or `.tflite` file. The vocabulary is read from inside the model, or else
            from the file beside it.

    Raises:
        InputError: `path` is none of these, or the model cannot be read, is for images, or has no
            vocabulary.
    """
    model = loading.model_at(pathlib.Path(path))
    words = _words(model)
    if model.suffix == ".keras":
        network = load_language_model(model)
        advance, units = _in_keras(network), network.cell.units
        _check_size(words, network.vocabulary)
        return ExportedText(words, units, advance)
    opener = saved_model.open_steps if model.is_dir() else tflite.open_steps
    advance, units = loading.opened(opener, model)
    return ExportedText(words, units, advance)


def _words(model: pathlib.Path) -> Words:
    """Reads the vocabulary and the splitting rule of a model."""
    for place in loading.places(model):
        if (place / folder.VOCABULARY).is_file():
            return _read(place)
        if any((place / name).is_file() for name in (folder.LABELS, files.DATASET)):
            raise InputError(
                f"Expected a language model. Received: {str(model)!r}, a network for images, which "
                "darts-tf predict is for"
            )
    raise InputError(
        f"Expected {folder.VOCABULARY} beside the model. Received: {str(model)!r} without it"
    )


def _read(place) -> Words:
    """Reads the vocabulary and the splitting rule from files, which may be inside an archive."""
    vocabulary, settings = place / folder.VOCABULARY, place / folder.TEXT
    try:
        if not settings.is_file():  # the folder of a run
            dataset = files.read_json(place / files.DATASET)
            splitting = splitting_of(dataset.get("name"))
            return Words(Words.vocabulary_from(vocabulary.read_bytes()), splitting)
        return Words.from_descriptions(vocabulary.read_bytes(), settings.read_bytes())
    except (InputError, AttributeError, *loading.BROKEN) as error:
        raise InputError(
            f"Expected {folder.VOCABULARY} and {folder.TEXT} of an export, or {files.DATASET} of a "
            f"run. Received: {str(place)!r} ({first_line(error)})"
        ) from error


def _in_keras(model: LanguageModel) -> Advance:
    @tf.function(autograph=False, reduce_retracing=True)
    def run(tokens, state):
        return model(tokens, initial_state=state, return_state=True)

    def advance(tokens, state):
        outputs = run(tf.constant(tokens, tf.int32), tf.constant(state))
        return tuple(np.asarray(tf.cast(tensor, tf.float32)) for tensor in outputs)

    return advance


def _check_size(words: Words, logits: int) -> None:
    if len(words.vocabulary) != logits:
        raise InputError(
            f"Expected a vocabulary of {logits} words, as the model has. "
            f"Received: {len(words.vocabulary)} words"
        )
