"""Settings of runs on text."""

from __future__ import annotations

import dataclasses
from typing import Literal

from darts_tf.configs.base import setting
from darts_tf.configs.images import SearchConfig, TrainConfig
from darts_tf.configs.presets import TEXT_SEARCH_PRESETS, TEXT_TRAIN_PRESETS
from darts_tf.configs.run import ArchConfig, RunConfig, SeededConfig
from darts_tf.configs.search import StoppingConfig

TextSearchPreset = Literal["pydoc", "ptb", "tiny"]
TextTrainPreset = Literal["pydoc", "ptb", "wikitext-2", "tiny"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig(RunConfig):
    """What all runs on text have in common: a language model and how it is trained."""

    on_text = True

    dataset: str = "pydoc"
    """`pydoc` (embedded: Python's own reference), or a folder with train.txt, valid.txt and
    test.txt: a sentence a line, words divided by white space."""
    preset: str = "pydoc"
    """Which defaults all other settings start from."""
    batch_size: int = setting(32, "positive")
    """Streams of text side by side."""
    valid_batch_size: int = setting(10, "positive")
    """Streams that the valid text is divided into where it is only tested on."""
    time_steps: int = setting(35, "positive")
    """Usual number of words between two steps of the weights, over which gradients go back."""
    units: int = setting(128, "positive")
    """Of the hidden state, and of the words' embedding."""
    learning_rate: float = setting(20.0, "positive")
    """Learning rate of the weights in the first epoch, for a batch of the usual length."""
    schedule: Literal["cosine", "linear", "exponential", "constant"] = "constant"
    """How the learning rate goes down."""
    weight_decay: float = setting(5e-7, "zero or more")
    """L2 penalty of the weights, added to the gradient."""
    clip_norm: float = setting(0.25, "positive")
    """Largest global norm of the weights' gradient."""
    word_dropout: float = setting(0.0, "from 0 to below 1")
    """Share of the vocabulary that is dropped wherever it stands in a batch."""
    embedding_dropout: float = setting(0.2, "from 0 to below 1")
    """Dropout of the embedded words; it is variational, as all here: one mask for all steps."""
    input_dropout: float = setting(0.2, "from 0 to below 1")
    """Dropout of the same once more, where the cell multiplies them."""
    hidden_dropout: float = setting(0.1, "from 0 to below 1")
    """Dropout of the states that the cell multiplies."""
    output_dropout: float = setting(0.4, "from 0 to below 1")
    """Dropout of the cell's outputs, before the classifier."""
    activation_regularization: float = setting(0.0, "zero or more")
    """Factor of the mean square of the dropped outputs in the loss."""
    temporal_regularization: float = setting(1e-3, "zero or more")
    """Factor of the mean square of the outputs' change from word to word in the loss."""

    @property
    def dropouts(self) -> dict[str, float]:
        """The five rates of dropout by their names."""
        found = dataclasses.asdict(self)
        return {name: rate for name, rate in found.items() if name.endswith("_dropout")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSearchConfig(SeededConfig, StoppingConfig, TextConfig, ArchConfig):
    """Search for recurrent cells with DARTS, on a text."""

    kind = "search on text"
    presets = TEXT_SEARCH_PRESETS

    preset: TextSearchPreset = "pydoc"
    """Which defaults all other settings start from."""
    epochs: int = setting(10, "positive")
    """Passes over the training text."""
    learning_rate: float = setting(10.0, "positive")
    """Learning rate of the weights in the first epoch, for a batch of the usual length."""
    arch_beta_1: float = setting(0.9, "from 0 to below 1")
    """Decay of that Adam's first moment."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTrainConfig(SeededConfig, TextConfig):
    """Train the language model of a recurrent genotype from scratch, and test it."""

    command = "train"
    kind = "training on text"
    trains = True
    presets = TEXT_TRAIN_PRESETS

    preset: TextTrainPreset = "pydoc"
    """Which defaults all other settings start from."""
    genotype: str
    """Name of a published recurrent genotype, or a JSON file such as a search's genotype.json."""
    time_steps_spread: float = setting(5.0, "zero or more")
    """Standard deviation of the number of words between two steps; 0 for none."""
    average_after: int | None = setting(5, "positive")
    """Begin to average the weights when the valid loss is above the least one of this many epochs
    ago or earlier (NT-ASGD); none for never."""


ON_TEXT = {SearchConfig: TextSearchConfig, TrainConfig: TextTrainConfig}
"""The settings that a command has for a text, by those that it has for images."""
