"""Settings of comparisons: genotypes, or ways to find them, side by side."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from darts_tf.configs.images import RecipeConfig
from darts_tf.errors import InputError
from darts_tf.names import listed, unknown_name
from darts_tf.presets import METHODS, TRAIN_PRESETS
from darts_tf.spending import checked
from darts_tf.validation import RANGES, counts, names, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(RecipeConfig):
    """Compare genotypes, or ways to find them: sizes and, trained by one recipe, test errors."""

    command = "comparison"
    presets = TRAIN_PRESETS
    # how far it goes: its runs stand for themselves
    may_differ: ClassVar[frozenset[str]] = frozenset({"genotypes", "methods", "seeds", "train"})

    genotypes: tuple[str, ...] = setting((), read=names)
    """Names of published genotypes and genotype files, with commas or spaces between them."""
    methods: tuple[str, ...] = setting((), read=names)
    """In place of genotypes ways to find them, all at the same cost: first_order, second_order,
    finite_difference, partial_channels, perturbation, random, evolution, bayesian, hyperband."""
    budget: str = setting("time=10min", read=checked)
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
        for name in ("methods" if self.methods else "genotypes", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise InputError(
                    f"Expected {name} to name each of one or more once. "
                    f"Received: {listed(values) or 'none'}"
                )
        if not all(RANGES["zero or more, below 2**32"](seed) for seed in self.seeds):
            raise InputError(
                f"Expected seeds to be zero or more, below 2**32. Received: {listed(self.seeds)}"
            )

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
