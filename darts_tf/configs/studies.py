"""Settings of studies: baselines of a search, and hyperparameters."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from darts_tf.configs.base import RANGES, JobConfig, counts, names, setting
from darts_tf.configs.budgets import checked_allowance
from darts_tf.configs.images import (
    RecipeConfig,
    SearchConfig,
    TrainConfig,
    check_cells,
    fields_in_stages,
)
from darts_tf.configs.methods import METHODS
from darts_tf.configs.presets import SEARCH_PRESETS, STAGED_TRAIN, TRAIN_PRESETS
from darts_tf.configs.ranges import assigned
from darts_tf.configs.run import SeededConfig
from darts_tf.errors import InputError, listed, unknown_name
from darts_tf.spaces.search_spaces import SPACES

Method = Literal["random", "evolution", "bayesian", "hyperband"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig(JobConfig):
    """Settings shared by all studies: the search method and its budget."""

    group = "search method"

    inner_runs = "trials"
    may_differ: ClassVar[frozenset[str]] = frozenset({"budget"})

    method: Method = setting("random", common=True)
    """Search method: random search, regularized evolution, Bayesian optimization with a Gaussian
    process, or Hyperband, which gives many trials few epochs and the best ones up to `epochs`."""
    budget: str = setting("trials=20", read=checked_allowance, group="budget", common=True)
    """Budget of all trials together: trials=20, epochs=100, time=30min of training, or like=FOLDER,
    the time that a finished search took. It can be raised with --resume."""
    population: int = setting(20, "positive")
    """Number of trials in the population of evolution; it and the Gaussian process start with as
    many random trials."""
    sample: int = setting(5, "positive")
    """Number of trials that evolution samples from the population; the best is the next parent."""

    def __post_init__(self):
        super().__post_init__()
        if self.sample > self.population:
            raise InputError(
                f"Expected sample to be at most population={self.population}. "
                f"Received: sample={self.sample}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselineConfig(SeededConfig, StudyConfig, RecipeConfig):
    """Search for cells without a supernet, by training each from scratch."""

    command = kind = "baseline"
    presets = TRAIN_PRESETS

    space: Literal["darts", "nas-bench-201"] = setting("darts", group="search method")
    """Space of the cells: the paper's, or that of NAS-Bench-201."""
    cells: int = setting(5, "positive", group="size and time", common=True)
    """Cells of the network, 3 or more; those at one and two thirds of the depth are reduction
    cells. In the space of NAS-Bench-201 the cells of each of three stages, 1 by default."""
    validation_split: float = setting(0.2, "from 0 to below 1", group="data and folder")
    """Hold out this fraction of the training images to rank trials; the test split is not used."""

    def __post_init__(self):
        super().__post_init__()
        check_cells("cells", self.cells, SPACES[self.space].genotype_class)
        if not self.validation_split:
            raise InputError(
                "Expected validation_split to be above zero: trials are ranked by it. "
                f"Received: validation_split={self.validation_split}"
            )

    @classmethod
    def fields_of_cells(cls, preset: str, given: Mapping[str, object]) -> dict[str, object]:
        """Returns the fields of a preset that follow the search space."""
        return fields_in_stages(STAGED_TRAIN, preset, given.get("space"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig(SeededConfig, StudyConfig):
    """Optimize the settings of a search or a training on images."""

    command = "tune"
    kind = "study of settings"

    group = "recipe"

    of: Literal["search", "train"] = setting(dataclasses.MISSING, common=True)
    """Command whose settings are optimized."""
    over: tuple[str, ...] = setting(dataclasses.MISSING, common=True)
    """Settings to optimize, each with a range or values, as in learning_rate=0.01..0.1:log
    channels=8,16 flip=true,false; `:log` samples a range on a logarithmic scale."""
    workdir: pathlib.Path = setting(
        dataclasses.MISSING, group="data and folder", common=True, names="run to make"
    )
    """Folder where the study is kept; must be new or empty, unless resumed or overwritten."""
    preset: str = setting("digits", group="size and time", common=True)
    """Preset of the command, for all other settings."""
    set: tuple[str, ...] = setting((), common=True)
    """Fixed values of other settings of the command, as in epochs=5 dataset=cifar10."""
    genotype: str | None = setting(None, group="data and folder", common=True, names="genotype")
    """Cells to train, only with --of train: the folder of a search, a file with a genotype, or the
    name of a published one."""
    overwrite: bool = setting(False, group="data and folder", common=True)
    """Delete an existing study in the folder first."""
    resume: bool = setting(False, group="data and folder", common=True)
    """Resume the study in the folder, with its own settings."""

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


ALL_METHODS = "all"
"""Stands for all methods in `compare --methods`."""


def method_names(name: str, value):
    """Splits names as `names` does, and replaces `ALL_METHODS` by all methods."""
    value = names(name, value)
    return METHODS if value == (ALL_METHODS,) else value


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(RecipeConfig):
    """Compare genotypes, or search methods: sizes and, trained by one recipe, test accuracies."""

    command = "compare"
    kind = "comparison"
    presets = TRAIN_PRESETS
    inner_runs = "trainings"
    # these only add runs; each run checks its own settings
    may_differ: ClassVar[frozenset[str]] = frozenset({"genotypes", "methods", "seeds", "train"})
    dataset_with = ("train", "methods")

    genotypes: tuple[str, ...] = setting(
        (), read=names, group="data and folder", common=True, place="GENOTYPE...", names="genotypes"
    )
    """Cells to compare, separated by commas or spaces: folders of searches, files with genotypes,
    and names of published ones."""
    methods: tuple[str, ...] = setting((), read=method_names, group="search method", common=True)
    """Search methods to compare at equal cost, instead of genotypes: those of `search --method`
    (first_order, second_order, finite_difference, partial_channels, fair, gdas, drnas, beta_decay,
    smooth_random, smooth_adversarial, early_stop, oles, lambda, perturbation, stages), and the
    baselines random, evolution, bayesian and hyperband; or `all`."""
    budget: str = setting("time=10min", read=checked_allowance, group="budget", common=True)
    """With methods: time that each may spend on its search, for each seed."""
    against: str = setting("random", group="search method")
    """With methods: the method that all others are tested against."""
    search: tuple[str, ...] = setting((), read=names, group="search method")
    """With methods: other settings of the searches, as in channels=8,batch_size=32."""
    trial_epochs: int | None = setting(None, "positive", group="search method")
    """With methods: epochs of a baseline's trial; by default a sixth of epochs, as the paper's 100
    of 600."""
    population: int = setting(8, "positive", group="search method")
    """With methods: number of trials in the population of evolution; it and the Gaussian process
    start with as many random trials."""
    sample: int = setting(3, "positive", group="search method")
    """With methods: number of trials that evolution samples; the best is the next parent."""
    train: bool = setting(False, group="size and time", common=True)
    """Train every network; otherwise the dataset is not needed. Cells of methods are always
    trained."""
    seeds: tuple[int | str, ...] = setting((0,), read=counts, group="machine", common=True)
    """Seeds to train every network with, separated by commas or spaces."""
    classes: int | None = setting(None, "positive", group="data and folder")
    """Classes of networks that are not trained; by default 10, or 1000 with the ImageNet stem."""
    image_channels: Literal[1, 3] = setting(3, group="data and folder")
    """For networks that are not trained: 1 for grayscale images, 3 for color images."""

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
        """First seed, which selects the images on which networks are measured."""
        return self.seeds[0]


OWN = ("dataset", "limit", "seed", "validation_split")
"""Settings of runs that a protocol replaces by its own settings."""

BRIEF = 6
"""Ratio of the epochs of full and brief trainings: 600 and 100 in the paper."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectConfig(JobConfig):
    """Search several times, choose the best cell by brief trainings, and train it in full.

    All settings of the searches and trainings come from the preset, except those that `search` and
    `train` set.
    """

    command = "select"
    kind = "protocol"
    inner_runs = "runs"
    # these only add runs; each run checks its own settings
    may_differ: ClassVar[frozenset[str]] = frozenset({"seeds", "final_seeds"})

    workdir: pathlib.Path = setting(
        dataclasses.MISSING, group="data and folder", names="run to make"
    )
    """Folder where the protocol is kept, with a subfolder for every run; must be new or empty,
    unless resumed or overwritten."""
    preset: Literal["digits", "photos", "cifar10", "pc-darts", "tiny"] | None = setting(
        None, group="size and time"
    )
    """Preset that defines the defaults of the searches and the trainings; by default `digits` for
    that dataset, and `photos` for others."""
    dataset: str | None = setting(None, group="data and folder", names="dataset")
    """`digits`, the name of a TFDS dataset, or a folder of images; by default the preset's, if it
    has one."""
    limit: int | None = setting(None, "positive", group="data and folder")
    """Maximum number of images to use of each split; by default the preset's."""
    seeds: tuple[int | str, ...] = setting((0, 1, 2, 3), read=counts, group="machine")
    """Seeds of the searches, separated by commas or spaces."""
    final_seeds: tuple[int | str, ...] = setting((0, 1, 2), read=counts, group="machine")
    """Seeds of the full trainings of the best cell."""
    brief_epochs: int | None = setting(None, "positive", group="size and time")
    """Epochs of the trainings by which cells are ranked; by default a sixth of the full ones, as
    in the paper."""
    validation_split: float = setting(0.2, "from 0 to below 1", group="data and folder")
    """Fraction of the training images that the brief trainings hold out to choose the best cell;
    only the full trainings use the test split."""
    seed: int = setting(0, "zero or more, below 2**32", group="machine")
    """Seed of the brief trainings and of the images they hold out, equal for all cells."""
    search: tuple[str, ...] = setting((), group="recipe")
    """Other settings of the searches, as in epochs=5 arch_gradient=first_order."""
    train: tuple[str, ...] = setting((), group="recipe")
    """Other settings of the brief and the full trainings, as in epochs=60 drop_path=0.1."""
    overwrite: bool = setting(False, group="data and folder")
    """Delete an existing protocol in the folder first, with all its runs."""
    resume: bool = setting(False, group="data and folder")
    """Resume the protocol in the folder, or join the processes that work on it: each takes runs
    that no other has. Seeds can be added."""

    def __post_init__(self):
        super().__post_init__()
        if self.preset is None and self.dataset is not None:
            preset = "digits" if self.dataset == "digits" else "photos"
            object.__setattr__(self, "preset", preset)
        for name in ("seeds", "final_seeds"):
            _check_seeds(name, getattr(self, name))
        if not self.validation_split:
            raise InputError(
                "Expected validation_split above 0, so that the best cell is chosen without the "
                f"test split. Received: validation_split={self.validation_split}"
            )
        if self.preset is not None:
            self.search_run(self.seeds[0])
            self.brief_run(self.seeds[0], "")
        if self.dataset is None and "dataset" not in SEARCH_PRESETS.get(self.preset, {}):
            raise InputError(
                "Expected dataset: a folder of images, a name of TensorFlow Datasets, or digits, "
                "which is embedded. Received: none"
            )

    def search_run(self, seed: int) -> SearchConfig:
        """Returns the settings of the search with a seed."""
        folder = self.workdir / "search" / f"seed-{seed}"
        return self._run(SearchConfig, "search", workdir=folder, seed=seed)

    def brief_run(self, seed: int, genotype: str) -> TrainConfig:
        """Returns the settings of the brief training of the genotype of the search with a seed."""
        folder = self.workdir / "brief" / f"seed-{seed}"
        epochs = self.brief_epochs or max(1, self._training(folder).epochs // BRIEF)
        own = {"epochs": epochs, "seed": self.seed, "validation_split": self.validation_split}
        return self._training(folder, genotype=genotype, **own)

    def full_run(self, found_by: int, seed: int, genotype: str) -> TrainConfig:
        """Returns the settings of a full training of the genotype of the search `found_by`."""
        # the folder names the search, since later searches may find a better genotype
        folder = self.workdir / "final" / f"search-{found_by}-seed-{seed}"
        return self._training(folder, genotype=genotype, seed=seed)

    def _training(self, folder, genotype: str = "", **own) -> TrainConfig:
        return self._run(TrainConfig, "train", workdir=folder, genotype=genotype, **own)

    def _run(self, config_class, name: str, **own):
        assignments = assigned(config_class, getattr(self, name))
        elsewhere = [each for each in assignments if each in OWN]
        if elsewhere:
            raise InputError(
                f"Expected {listed(OWN)} as settings of the protocol, which are those of all runs. "
                f"Received: {listed(elsewhere)} in {name}"
            )
        shared = {"dataset": self.dataset, "limit": self.limit}
        shared = {each: value for each, value in shared.items() if value is not None}
        return config_class.from_preset(self.preset, **{**assignments, **shared, **own})


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
