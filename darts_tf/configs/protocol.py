"""Settings of the paper's protocol: several searches, the best cell of them, trained in full."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import ClassVar, Literal

from darts_tf.configs.images import SearchConfig, TrainConfig
from darts_tf.errors import InputError
from darts_tf.names import listed
from darts_tf.setting_space import assigned
from darts_tf.validation import RANGES, Config, counts, setting

OWN = ("dataset", "limit", "seed", "validation_split")
"""Settings of runs which a protocol has settings of its own for."""

BRIEF = 6
"""A brief training has one epoch in so many: 100 of 600 in the paper."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectConfig(Config):
    """Search several times, choose the best cell by brief trainings, and train it in full.

    Every setting of the searches and of the trainings is that of the preset of this name, but for
    those that `search` and `train` give.
    """

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
        if self.overwrite and self.resume:
            raise InputError("Expected one of overwrite and resume. Received: both")
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


def _check_seeds(name: str, seeds: Iterable[int]) -> None:
    seeds = tuple(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(
            f"Expected {name} to name each of one or more once. Received: {listed(seeds) or 'none'}"
        )
    if not all(RANGES["zero or more, below 2**32"](seed) for seed in seeds):
        raise InputError(
            f"Expected {name} to be zero or more, below 2**32. Received: {listed(seeds)}"
        )
