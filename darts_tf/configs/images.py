"""Settings of runs on images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from darts_tf.configs.base import count, setting
from darts_tf.configs.costs import CostConfig, Stem
from darts_tf.configs.estimators import check_not_unrolled
from darts_tf.configs.methods import GRADIENTS, PRESET_METHOD
from darts_tf.configs.presets import (
    SEARCH_PRESETS,
    STAGED_SEARCH,
    STAGED_TRAIN,
    TRAIN_PRESETS,
    TRAINED_BY,
)
from darts_tf.configs.run import RunConfig, SeededConfig
from darts_tf.configs.search import CollapseConfig, RelaxationConfig
from darts_tf.configs.selections import SELECTIONS, STRENGTH
from darts_tf.errors import InputError, listed, shown
from darts_tf.spaces.genotype import AnyGenotype, EdgeGenotype
from darts_tf.spaces.search_spaces import SPACES
from darts_tf.spaces.zoo import load_genotype

SearchPreset = Literal["digits", "photos", "cifar10", "pc-darts", "p-darts", "tiny"]
TrainPreset = Literal[
    "digits", "photos", "cifar10", "pc-darts", "imagenet", "imagenet-large-batch", "tiny"
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageConfig(RunConfig):
    """Settings shared by all runs on images."""

    group = "recipe"

    dataset: str = setting("digits", common=True)
    """A folder with one folder of images per class (also below train and test), a CSV file of paths
    and labels, the name of a TFDS dataset, or `digits` (embedded); for text `pydoc` (embedded) or a
    folder with train.txt, valid.txt and test.txt. Settings for text: see --dataset pydoc --help."""
    preset: str = "digits"
    """Preset that defines the defaults of all other settings."""
    momentum: float = setting(0.9, "from 0 to below 1")
    """Momentum of the weights' SGD."""
    crop_padding: int = setting(1, "zero or more")
    """Pixels of padding on each side before a random crop to the original size; 0 for no crop."""
    flip: bool = setting(False, common=True)
    """Flip half of the training images horizontally."""
    cutout: int = setting(0, "zero or more")
    """Side in pixels of the square masked in every training image; 0 for none."""
    image_size: int | None = setting(None, "8 or more", group="data and folder", common=True)
    """Resize images to this height and width; by default images of one size up to 96 pixels keep
    it, others become 64x64, or 224x224 with a random resized crop."""
    resize: Literal["crop", "squeeze"] = setting("crop", group="data and folder")
    """How images become squares: resize the shorter side and crop the centre, or squeeze the whole
    image, which changes its aspect ratio."""
    sync_batch_norm: bool = setting(False, group="machine")
    """Normalize by the statistics of the global batch instead of each device's part of it."""
    max_bad_images: int = setting(0, "zero or more", group="data and folder")
    """Maximum number of damaged training images to skip; each is named in the log."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig(SeededConfig, CostConfig, CollapseConfig, ImageConfig, RelaxationConfig):
    """Search for cells with DARTS."""

    kind = "search"
    presets = SEARCH_PRESETS
    search_methods = GRADIENTS

    preset: SearchPreset = "digits"
    """Preset that defines the defaults of all other settings."""
    method: Literal[(PRESET_METHOD, *GRADIENTS)] = setting(
        PRESET_METHOD, group="search method", common=True
    )
    """Method of a paper, which sets other settings as a preset does: `partial_channels` (PC-DARTS),
    `fair` (Fair DARTS), `gdas`, `drnas`, `beta_decay` (beta-DARTS), `smooth_random` and
    `smooth_adversarial` (SmoothDARTS), `early_stop` (Robust DARTS), `oles`, `lambda`
    (Lambda-DARTS), `perturbation` (DARTS-PT), `stages` (P-DARTS), or one of the three gradients of
    DARTS. By default the settings of the preset."""
    epochs: int = setting(12, "positive")
    """Passes over the training data."""
    learning_rate_min: float = setting(0.001, "zero or more")
    """Final learning rate of the schedule."""
    channels: int = setting(8, "positive", group="size and time", common=True)
    """Channels of the supernet's first cell."""
    cells: int = setting(3, "positive", group="size and time", common=True)
    """Cells of the supernet, 3 or more; those at one and two thirds of the depth are reduction
    cells. In the space of NAS-Bench-201 the cells of each of three stages, 1 by default."""
    partial_channels: int = setting(1, "positive", group="search method", common=True)
    """Apply the mixed operations to 1/k of every state's channels, for this k, and pass the others
    through unchanged (PC-DARTS): less memory and time."""

    def __post_init__(self):
        super().__post_init__()
        genotype_class = SPACES[self.space].genotype_class
        for name in ("cells", "budget_cells"):
            check_cells(name, getattr(self, name), genotype_class)
        if self.channels % self.partial_channels:
            raise InputError(
                "Expected channels to be a multiple of partial_channels. Received: "
                f"channels={shown(self.channels)}, partial_channels={shown(self.partial_channels)}"
            )
        without = {name: getattr(self, name) for name in ("budget", "cost", "selection")}
        for name, value in without.items():
            if self.stages and value not in (None, STRENGTH):
                raise InputError(
                    f"Expected {name}={value} with a search without stages. "
                    f"Received: stages={listed(self.stages)}"
                )
        if self.stages and self.max_skips is not None and self.stage_operations[-1] < 3:
            raise InputError(
                "Expected three operations or more in the last stage with max_skips, otherwise an "
                "edge may be left with only a skip connection. "
                f"Received: stages={listed(self.stages)}"
            )
        self._check_sampler()
        if self.stop_operations is not None:
            check_not_unrolled(self.arch_gradient)
        if self.relaxation not in SELECTIONS[self.selection].relaxations:
            raise InputError(
                "Expected selection=perturbation with relaxation=softmax or sigmoid, which apply "
                f"all operations of an edge at once. Received: relaxation={self.relaxation}"
            )
        if self.cost is not None and self.relaxation not in ("softmax", "gumbel"):
            raise InputError(
                "Expected cost with relaxation=softmax or gumbel, whose probabilities it uses. "
                f"Received: relaxation={self.relaxation}"
            )

    def _check_sampler(self):
        """Checks that nothing is asked for that the sampler of Dirichlet distributions lacks."""
        missing = {
            "jit_compile=on": self.jit_compile == "on",
            "strategy=tpu": self.strategy == "tpu",
            "eigenvalue": self.measures_eigenvalue,
        }
        for name, wanted in missing.items():
            if wanted and self.relaxation == "dirichlet":
                raise InputError(
                    f"Expected {name} with another relaxation than dirichlet, whose sampler "
                    "TensorFlow neither compiles with XLA nor differentiates twice. "
                    "Received: relaxation=dirichlet"
                )

    @classmethod
    def fields_of_cells(cls, preset: str, given: Mapping[str, object]) -> dict[str, object]:
        """Returns the fields of a preset that follow the search space."""
        return fields_in_stages(STAGED_SEARCH, preset, given.get("space"))

    @property
    def may_grow(self) -> frozenset[str]:
        """Settings that a resumed search may increase: none if work follows the last epoch."""
        more = self.stages or SELECTIONS[self.selection].needs_supernet
        return frozenset() if more else frozenset({"epochs"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeConfig(ImageConfig):
    """Training recipe of networks, shared by training, comparison and baselines."""

    group = "recipe"

    preset: TrainPreset = "digits"
    """Preset that defines the defaults of all other settings."""
    epochs: int = setting(20, "positive")
    """Passes over the training data."""
    channels: int = setting(16, "positive", group="size and time", common=True)
    """Channels of the first cell."""
    cells: int = setting(5, "3 or more", group="size and time", common=True)
    """Cells of the network; those at one and two thirds of the depth are reduction cells."""
    stem: Stem = setting("cifar", group="size and time")
    """First layers: `cifar` keeps the image size, `imagenet` divides it by eight."""
    auxiliary: bool = False
    """Add an auxiliary classifier at two thirds of the depth during training."""
    auxiliary_weight: float = setting(0.4, "zero or more")
    """Weight of the auxiliary classifier's loss."""
    drop_path: float = setting(0.0, "from 0 to below 1", common=True)
    """Probability of dropping a path in the last epoch; it grows from 0 over the epochs."""
    label_smoothing: float = setting(0.0, "from 0 to below 1")
    """Fraction of the label that is distributed evenly over all classes."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weight training images inversely to the frequency of their class, so that all classes count
    equally."""
    average_decay: float | None = setting(None, "from 0 to below 1")
    """Test and save an exponential moving average of the weights, with this decay per step."""
    max_macs: int | str | None = setting(None, "positive", read=count, group="budget", common=True)
    """Replaces `channels`: use the most channels with which the network needs at most this number
    of multiply-adds, as in 600M (the mobile setting)."""
    random_resized_crop: bool = False
    """Crop 8 to 100 % of the area of each training image and resize the crop, instead of
    crop_padding; images are streamed, so that they need not fit in memory (ImageNet)."""
    color_jitter: bool = False
    """Change brightness, contrast and saturation of training images by up to 40 %, and hue by up to
    20 % of a turn; requires random_resized_crop."""

    def __post_init__(self):
        super().__post_init__()
        if self.color_jitter and not self.random_resized_crop:
            raise InputError(
                "Expected color_jitter with random_resized_crop. Received: color_jitter alone"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(SeededConfig, RecipeConfig):
    """Train the network of a genotype from scratch, and test it."""

    command = "train"
    kind = "training"
    trains = True
    may_grow = frozenset({"epochs"})
    presets = TRAIN_PRESETS

    genotype: str = setting(
        dataclasses.MISSING,
        group="data and folder",
        common=True,
        place="GENOTYPE",
        names="genotype",
    )
    """Cells to train: the folder of a search, a file with a genotype, the name of a published one,
    or a cell in NAS-Bench-201's notation."""
    cells: int = setting(5, "positive", group="size and time", common=True)
    """Cells of the network, 3 or more; those at one and two thirds of the depth are reduction
    cells. For a cell of NAS-Bench-201 the cells of each of three stages, 1 by default."""
    validation_split: float = setting(0.0, "from 0 to below 1", group="data and folder")
    """Hold out this fraction of the training images and evaluate on them instead of the test
    split, e.g. to select a genotype by the result."""

    @classmethod
    def fields_of_cells(cls, preset: str, given: Mapping[str, object]) -> dict[str, object]:
        """Returns the fields of a preset that follow the genotype."""
        fields, name = STAGED_TRAIN.get(preset, {}), given.get("genotype")
        if fields.keys() <= given.keys() or not isinstance(name, str):
            return {}
        try:
            genotype = load_genotype(name)
        except (InputError, OSError):  # reported when the genotype is needed
            return {}
        return dict(fields) if isinstance(genotype, EdgeGenotype) else {}


def fields_in_stages(
    fields: Mapping[str, Mapping[str, object]], preset: str, space: object
) -> dict[str, object]:
    """Returns the fields of a preset in a space whose networks have stages, and none in others.

    Args:
        fields: fields by preset.
        preset: name of the preset.
        space: name of the space; None for the default.
    """
    known = SPACES.get(space)
    staged = known is not None and known.genotype_class is EdgeGenotype
    return dict(fields.get(preset, {})) if staged else {}


def check_cells(name: str, cells: int | None, genotype_class: type[AnyGenotype]) -> None:
    """Checks the number of cells of a network or supernet.

    Args:
        name: name of the setting.
        cells: its value; None for the default.
        genotype_class: class of the genotypes.

    Raises:
        InputError: too few cells.
    """
    if cells is not None and cells < genotype_class.fewest_cells:
        raise InputError(
            f"Expected {name} to be {genotype_class.fewest_cells} or more. Received: {name}={cells}"
        )


def training_recipe(preset: str, genotype_class: type[AnyGenotype]) -> dict[str, object]:
    """Returns the training settings for cells that were searched with a preset.

    They are those of the preset of this name, or else the one that belongs to it.

    Args:
        preset: preset of a search.
        genotype_class: class of the genotypes that the search derives.
    """
    name = TRAINED_BY.get(preset, preset)
    staged = STAGED_TRAIN.get(name, {}) if genotype_class is EdgeGenotype else {}
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    return defaults | TrainConfig.presets.get(name, {}) | staged
