"""Settings of studies: baselines of a search, and hyperparameters."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import ClassVar, Literal

from darts_tf.configs.base import RANGES, JobConfig, counts, names, setting
from darts_tf.configs.budgets import checked_allowance
from darts_tf.configs.images import RecipeConfig, SearchConfig, TrainConfig
from darts_tf.configs.presets import METHODS, TRAIN_PRESETS
from darts_tf.configs.ranges import assigned
from darts_tf.configs.run import SeededConfig
from darts_tf.errors import InputError, listed, unknown_name

Method = Literal["random", "evolution", "bayesian", "hyperband"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig(JobConfig):
    """What all studies have in common: who chooses, and for how long."""

    inner_runs = "trials"
    may_differ: ClassVar[frozenset[str]] = frozenset({"budget"})

    method: Method = "random"
    """Who chooses: chance, regularised evolution, a Gaussian process, or Hyperband, which gives
    many trials few epochs and the best of them up to `epochs`."""
    budget: str = setting("trials=20", read=checked_allowance)
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

    command = kind = "baseline"
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

    command = "tune"
    kind = "study of settings"

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
        if (self.of == "train") == (self.genotype is None):
            expected = "with of=train" if self.genotype else "for of=train"
            raise InputError(
                f"Expected genotype {expected}, and only there. Received: of={self.of}, "
                f"genotype={self.genotype}"
            )
        if not self.over:
            raise InputError("Expected over to name a setting. Received: none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(RecipeConfig):
    """Compare genotypes, or ways to find them: sizes and, trained by one recipe, test errors."""

    command = "compare"
    kind = "comparison"
    presets = TRAIN_PRESETS
    inner_runs = "trainings"
    # how far it goes: its runs stand for themselves
    may_differ: ClassVar[frozenset[str]] = frozenset({"genotypes", "methods", "seeds", "train"})

    genotypes: tuple[str, ...] = setting((), read=names)
    """Names of published genotypes and genotype files, with commas or spaces between them."""
    methods: tuple[str, ...] = setting((), read=names)
    """In place of genotypes ways to find them, all at the same cost: first_order, second_order,
    finite_difference, partial_channels, perturbation, random, evolution, bayesian, hyperband."""
    budget: str = setting("time=10min", read=checked_allowance)
    """With methods: the time that each may spend on finding cells, for each seed."""
    against: str = "random"
    """With methods: the one that all others are tested against."""
    search: tuple[str, ...] = setting((), read=names)
    """With methods: other settings of the searches, as in channels=8,batch_size=32."""
    trial_epochs: int | None = setting(None, "positive")
    """With methods: the epochs of a baseline's trial; by default a sixth of epochs, as the paper's
    100 of 600."""
    population: int = setting(8, "positive")
    """With methods: how many trials are alive in evolution; it and the Gaussian process begin with
    as many random ones."""
    sample: int = setting(3, "positive")
    """With methods: how many of those evolution draws; the best is the parent of the next."""
    train: bool = False
    """Train every network; without it the data set is not needed. What methods find is always
    trained."""
    seeds: tuple[int | str, ...] = setting((0,), read=counts)
    """Train every network once with each of these seeds, with commas or spaces between them."""
    classes: int | None = setting(None, "positive")
    """Classes of networks that are not trained; by default 10, or 1000 with the ImageNet stem."""
    image_channels: Literal[1, 3] = 3
    """Of networks that are not trained: 1 for gray images, 3 for colour."""

    def __post_init__(self):
        super().__post_init__()
        if bool(self.genotypes) == bool(self.methods):
            received = "both" if self.methods else "none"
            raise InputError(f"Expected one of genotypes and methods. Received: {received}")
        name = "methods" if self.methods else "genotypes"
        _check_each_once(name, getattr(self, name))
        _check_seeds("seeds", self.seeds)
        if self.methods:
            self._check_methods()

    def _check_methods(self):
        for name in self.methods:
            if name not in METHODS:
                raise unknown_name("method", name, METHODS)
        if self.against not in self.methods:
            raise InputError(
                "Expected against to be one of the methods that are compared. "
                f"Received: against={self.against}, methods={listed(self.methods)}"
            )
        if not self.budget.startswith("time="):
            raise InputError(
                f"Expected budget as in time=10min with methods. Received: budget={self.budget}"
            )

    @property
    def seed(self) -> int:
        """The first of them: that of the images by which networks are measured."""
        return self.seeds[0]


OWN = ("dataset", "limit", "seed", "validation_split")
"""Settings of runs which a protocol has settings of its own for."""

BRIEF = 6
"""A brief training has one epoch in so many: 100 of 600 in the paper."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectConfig(JobConfig):
    """Search several times, choose the best cell by brief trainings, and train it in full.

    Every setting of the searches and of the trainings is that of the preset of this name, but for
    those that `search` and `train` give.
    """

    command = "select"
    kind = "protocol"
    inner_runs = "runs"
    # how far it goes: its runs stand for themselves
    may_differ: ClassVar[frozenset[str]] = frozenset({"seeds", "final_seeds"})

    workdir: pathlib.Path
    """Folder of the protocol, with one for every run; must be new or empty, unless resumed or
    overwritten."""
    preset: Literal["digits", "cifar10", "pc-darts", "tiny"] = "digits"
    """Which defaults the searches and the trainings start from."""
    dataset: str | None = None
    """`digits`, the name of a TFDS dataset, or a folder of images; by default the preset's."""
    limit: int | None = setting(None, "positive")
    """Use at most so many images of each split; by default as the preset does."""
    seeds: tuple[int | str, ...] = setting((0, 1, 2, 3), read=counts)
    """Search once with each of these seeds, with commas or spaces between them."""
    final_seeds: tuple[int | str, ...] = setting((0, 1, 2), read=counts)
    """Train the best cell in full once with each of these seeds."""
    brief_epochs: int | None = setting(None, "positive")
    """Epochs of the trainings by which cells are ranked; by default a sixth of the full ones, as
    in the paper."""
    validation_split: float = setting(0.2, "from 0 to below 1")
    """Share of the training images that the brief trainings hold out, and the best cell is chosen
    by; the test split is only for the full trainings."""
    seed: int = setting(0, "zero or more, below 2**32")
    """Of the brief trainings and of the images they hold out, the same for all cells."""
    search: tuple[str, ...] = ()
    """Other settings of the searches, as in epochs=5 arch_gradient=first_order."""
    train: tuple[str, ...] = ()
    """Other settings of the brief and the full trainings, as in epochs=60 drop_path=0.1."""
    overwrite: bool = False
    """Delete the earlier protocol in the folder first, with all its runs."""
    resume: bool = False
    """Go on with the protocol in the folder, or help the processes that are at it: each takes what
    no other does. It may be given more seeds."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("seeds", "final_seeds"):
            _check_seeds(name, getattr(self, name))
        if not self.validation_split:
            raise InputError(
                "Expected validation_split above 0, so that the best cell is chosen without the "
                f"test split. Received: validation_split={self.validation_split}"
            )
        self.search_run(self.seeds[0])
        self.brief_run(self.seeds[0], "")

    def search_run(self, seed: int) -> SearchConfig:
        """The settings of the search with a seed."""
        folder = self.workdir / "search" / f"seed-{seed}"
        return self._run(SearchConfig, "search", workdir=folder, seed=seed)

    def brief_run(self, seed: int, genotype: str) -> TrainConfig:
        """The settings of the brief training of the genotype that the search with a seed found."""
        folder = self.workdir / "brief" / f"seed-{seed}"
        epochs = self.brief_epochs or max(1, self._training(folder).epochs // BRIEF)
        own = {"epochs": epochs, "seed": self.seed, "validation_split": self.validation_split}
        return self._training(folder, genotype=genotype, **own)

    def full_run(self, found_by: int, seed: int, genotype: str) -> TrainConfig:
        """The settings of a full training of the genotype that the search with a seed found."""
        # its folder says so, since more searches may find a better one
        folder = self.workdir / "final" / f"search-{found_by}-seed-{seed}"
        return self._training(folder, genotype=genotype, seed=seed)

    def _training(self, folder, genotype: str = "", **own) -> TrainConfig:
        return self._run(TrainConfig, "train", workdir=folder, genotype=genotype, **own)

    def _run(self, config_class, name: str, **own):
        given = assigned(config_class, getattr(self, name))
        elsewhere = [each for each in given if each in OWN]
        if elsewhere:
            raise InputError(
                f"Expected {listed(OWN)} as settings of the protocol, which are those of all runs. "
                f"Received: {listed(elsewhere)} in {name}"
            )
        shared = {"dataset": self.dataset, "limit": self.limit}
        shared = {each: value for each, value in shared.items() if value is not None}
        return config_class.from_preset(self.preset, **{**given, **shared, **own})


def _check_each_once(name: str, values: Sequence) -> None:
    if not values or len(set(values)) < len(values):
        received = listed(values) or "none"
        raise InputError(f"Expected {name} to name each of one or more once. Received: {received}")


def _check_seeds(name: str, seeds: Sequence[int]) -> None:
    _check_each_once(name, seeds)
    if not all(RANGES["zero or more, below 2**32"](seed) for seed in seeds):
        raise InputError(
            f"Expected {name} to be zero or more, below 2**32. Received: {listed(seeds)}"
        )
