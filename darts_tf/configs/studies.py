"""Settings of studies: baselines of a search, and hyperparameters."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import ClassVar, Literal

from darts_tf.configs.images import RecipeConfig
from darts_tf.configs.running import SeededConfig
from darts_tf.errors import InputError
from darts_tf.presets import TRAIN_PRESETS
from darts_tf.spending import checked
from darts_tf.validation import Config, setting

Method = Literal["random", "evolution", "bayesian", "hyperband"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig(Config):
    """What all studies have in common: who chooses, and for how long."""

    may_differ: ClassVar[frozenset[str]] = frozenset({"budget"})

    method: Method = "random"
    """Who chooses: chance, regularised evolution, a Gaussian process, or Hyperband, which gives
    many trials few epochs and the best of them up to `epochs`."""
    budget: str = setting("trials=20", read=checked)
    """What all trials may spend together: trials=20, epochs=100, time=30min of training, or
    like=FOLDER, the time that a finished search took. More may be given on --resume."""
    population: int = setting(20, "positive")
    """How many trials are alive in evolution; it and the Gaussian process begin with as many
    random ones."""
    sample: int = setting(5, "positive")
    """How many of those evolution draws, the best of which is the parent of the next."""

    def __post_init__(self):
        super().__post_init__()
        if self.sample > self.population:
            raise InputError(
                f"Expected sample to be at most population={self.population}. "
                f"Received: sample={self.sample}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineConfig(SeededConfig, StudyConfig, RecipeConfig):
    """Look for cells without a supernet, by training each from scratch."""

    command = "baseline"
    presets = TRAIN_PRESETS

    validation_split: float = setting(0.2, "from 0 to below 1")
    """Hold out this share of the training images, and choose by these; the test split is not
    touched."""

    def __post_init__(self):
        super().__post_init__()
        if not self.validation_split:
            raise InputError(
                "Expected validation_split to be above zero: something is chosen by it. "
                f"Received: validation_split={self.validation_split}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig(SeededConfig, StudyConfig):
    """Look for good settings of a search or a training on images."""

    of: Literal["search", "train"]
    """Which command the settings are of."""
    over: tuple[str, ...]
    """What to choose: settings of that command, each with a range or values, as in
    learning_rate=0.01..0.1:log channels=8,16 flip=true,false; `:log` divides a range evenly by
    factors."""
    workdir: pathlib.Path
    """Folder of the study; must be new or empty, unless resumed or overwritten."""
    preset: str = "digits"
    """Of that command, for all other settings."""
    set: tuple[str, ...] = ()
    """Other settings of that command that are to be what they are here, as in epochs=5
    dataset=cifar10."""
    genotype: str | None = None
    """Of a training: name of a published genotype, or a file."""
    overwrite: bool = False
    """Delete the earlier study in the folder first."""
    resume: bool = False
    """Go on with the study in the folder, under its own settings."""

    def __post_init__(self):
        super().__post_init__()
        if self.overwrite and self.resume:
            raise InputError("Expected one of overwrite and resume. Received: both")
        if (self.of == "train") == (self.genotype is None):
            expected = "with of=train" if self.genotype else "for of=train"
            raise InputError(
                f"Expected genotype {expected}, and only there. Received: of={self.of}, "
                f"genotype={self.genotype}"
            )
        if not self.over:
            raise InputError("Expected over to name a setting. Received: none")
