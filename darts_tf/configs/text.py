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
    """Settings shared by all runs on text: the language model and its training."""

    on_text = True
    group = "recipe"

    dataset: str = setting("pydoc")
    """`pydoc` (embedded: Python's own reference), or a folder with train.txt, valid.txt and
    test.txt: one sentence per line, words separated by white space."""
    preset: str = "pydoc"
    """Preset that defines the defaults of all other settings."""
    batch_size: int = setting(32, "positive")
    """Number of parallel streams of text."""
    valid_batch_size: int = setting(10, "positive", group="size and time")
    """Number of parallel streams of the validation text when it is only evaluated."""
    time_steps: int = setting(35, "positive", group="size and time", common=True)
    """Usual number of words per step of truncated backpropagation through time."""
    units: int = setting(128, "positive", group="size and time", common=True)
    """Size of the hidden state and of the word embedding."""
    learning_rate: float = setting(20.0, "positive")
    """Learning rate of the weights in the first epoch, for a batch of `time_steps` words."""
    schedule: Literal["cosine", "linear", "exponential", "constant"] = "constant"
    """Schedule by which the learning rate decreases."""
    weight_decay: float = setting(5e-7, "zero or more")
    """L2 penalty of the weights, added to the gradient."""
    clip_norm: float = setting(0.25, "positive")
    """Largest global norm of the weights' gradient."""
    word_dropout: float = setting(0.0, "from 0 to below 1")
    """Fraction of the vocabulary whose words are dropped at all their places in a batch."""
    embedding_dropout: float = setting(0.2, "from 0 to below 1")
    """Dropout rate of the embedded words. All dropouts are variational: one mask for all time
    steps."""
    input_dropout: float = setting(0.2, "from 0 to below 1")
    """Dropout rate of the embedded words where they enter the cell's matrix product."""
    hidden_dropout: float = setting(0.1, "from 0 to below 1")
    """Dropout rate of the states where they enter the cell's matrix products."""
    output_dropout: float = setting(0.4, "from 0 to below 1")
    """Dropout rate of the cell's outputs, before the classifier."""
    activation_regularization: float = setting(0.0, "zero or more")
    """Weight in the loss of the mean square of the outputs after dropout."""
    temporal_regularization: float = setting(1e-3, "zero or more")
    """Weight in the loss of the mean squared difference of successive outputs."""

    @property
    def dropouts(self) -> dict[str, float]:
        """The five dropout rates by name."""
        values = dataclasses.asdict(self)
        return {name: rate for name, rate in values.items() if name.endswith("_dropout")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSearchConfig(SeededConfig, StoppingConfig, TextConfig, ArchConfig):
    """Search for recurrent cells with DARTS, on a text."""

    kind = "search on text"
    may_grow = frozenset({"epochs"})
    presets = TEXT_SEARCH_PRESETS

    preset: TextSearchPreset = "pydoc"
    """Preset that defines the defaults of all other settings."""
    epochs: int = setting(10, "positive")
    """Passes over the training text."""
    learning_rate: float = setting(10.0, "positive")
    """Learning rate of the weights in the first epoch, for a batch of `time_steps` words."""
    arch_beta_1: float = setting(0.9, "from 0 to below 1")
    """Decay of the first moment in the Adam optimizer of the architecture parameters."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTrainConfig(SeededConfig, TextConfig):
    """Train the language model of a recurrent genotype from scratch, and test it."""

    command = "train"
    kind = "training on text"
    may_grow = frozenset({"epochs"})
    trains = True
    presets = TEXT_TRAIN_PRESETS
    group = "recipe"

    preset: TextTrainPreset = "pydoc"
    """Preset that defines the defaults of all other settings."""
    genotype: str = setting(
        dataclasses.MISSING,
        group="data and folder",
        common=True,
        place="GENOTYPE",
        names="recurrent genotype",
    )
    """Cell to train: the folder of a search, a file with a genotype, or the name of a published
    one."""
    time_steps_spread: float = setting(5.0, "zero or more")
    """Standard deviation of the number of words per step; 0 for a fixed number."""
    average_after: int | None = setting(5, "positive")
    """Start to average the weights when the validation loss exceeds the minimum of the epochs that
    are at least this many epochs ago (NT-ASGD); none to never average."""


ON_TEXT = {SearchConfig: TextSearchConfig, TrainConfig: TextTrainConfig}
"""Config classes on text, by the config class of the same command on images."""
