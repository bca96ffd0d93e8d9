"""Settings of runs on images."""

from __future__ import annotations

import dataclasses
from typing import Literal

from darts_tf.configs.base import count, setting
from darts_tf.configs.costs import CostConfig, Stem
from darts_tf.configs.presets import SEARCH_PRESETS, TRAIN_PRESETS
from darts_tf.configs.run import RunConfig, SeededConfig
from darts_tf.configs.search import CollapseConfig, RelaxationConfig
from darts_tf.configs.selections import SELECTIONS, STRENGTH
from darts_tf.errors import InputError, listed, shown

SearchPreset = Literal["digits", "cifar10", "pc-darts", "p-darts", "tiny"]
TrainPreset = Literal["digits", "cifar10", "pc-darts", "imagenet", "imagenet-large-batch", "tiny"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageConfig(RunConfig):
    """What all runs on images have in common."""

    dataset: str = "digits"
    """`digits` (embedded), the name of a TFDS dataset, or a folder with train/<class>/* and
    test/<class>/*; for a text `pydoc` (embedded) or a folder with train.txt, valid.txt, test.txt,
    and other settings: see --dataset pydoc --help."""
    preset: str = "digits"
    """Which defaults all other settings start from."""
    momentum: float = setting(0.9, "from 0 to below 1")
    """Momentum of the weights' SGD."""
    crop_padding: int = setting(1, "zero or more")
    """Pixels around an image before a random crop of the old size; 0 for no crop."""
    flip: bool = False
    """Mirror half of the training images, left to right."""
    cutout: int = setting(0, "zero or more")
    """Side in pixels of the square blanked in every training image; 0 for none."""
    image_size: int | None = setting(None, "8 or more")
    """Resize images to this height and width; by default they keep the dataset's size, or get that
    of ImageNet's, 224, by a random resized crop."""
    sync_batch_norm: bool = False
    """Normalise by the statistics of the whole batch rather than of each device's part of it."""
    max_bad_images: int = setting(0, "zero or more")
    """Leave out at most so many damaged training images, each named in the log."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig(SeededConfig, CostConfig, CollapseConfig, ImageConfig, RelaxationConfig):
    """Search for cells with DARTS."""

    kind = "search"
    presets = SEARCH_PRESETS

    preset: SearchPreset = "digits"
    """Which defaults all other settings start from."""
    epochs: int = setting(12, "positive")
    """Passes over the training data."""
    learning_rate_min: float = setting(0.001, "zero or more")
    """Where the schedule of the learning rate ends."""
    channels: int = setting(8, "positive")
    """Channels of the supernet's first cell."""
    cells: int = setting(3, "3 or more")
    """Cells of the supernet; those at one and two thirds are reductions."""
    partial_channels: int = setting(1, "positive")
    """Mix only one k-th of every state's channels, for this k, and let the others pass
    (PC-DARTS): less memory and time."""

    def __post_init__(self):
        super().__post_init__()
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
                "Expected three operations or more in the last stage with max_skips, or some edges "
                f"may have nothing but a skip connection. Received: stages={listed(self.stages)}"
            )
        if self.relaxation not in SELECTIONS[self.selection].relaxations:
            raise InputError(
                "Expected selection=perturbation with relaxation=softmax or sigmoid, by which all "
                "operations are there at once. Received: relaxation=gumbel"
            )
        if self.cost is not None and self.relaxation == "sigmoid":
            raise InputError(
                "Expected cost with relaxation=softmax or gumbel, which say what is drawn. "
                f"Received: relaxation={self.relaxation}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeConfig(ImageConfig):
    """How networks are trained: what training and comparison have in common."""

    preset: TrainPreset = "digits"
    """Which defaults all other settings start from."""
    epochs: int = setting(20, "positive")
    """Passes over the training data."""
    channels: int = setting(16, "positive")
    """Channels of the first cell."""
    cells: int = setting(5, "3 or more")
    """Cells of the network; those at one and two thirds are reductions."""
    stem: Stem = "cifar"
    """First layers: `cifar` keeps the image's size, `imagenet` divides it by eight."""
    auxiliary: bool = False
    """Train a second classifier at two thirds of the depth along."""
    auxiliary_weight: float = setting(0.4, "zero or more")
    """Weight of the auxiliary classifier's loss."""
    drop_path: float = setting(0.0, "from 0 to below 1")
    """Probability of dropping a path in the last epoch; it grows from 0 over the epochs."""
    label_smoothing: float = setting(0.0, "from 0 to below 1")
    """Share of the labels that is spread over all classes."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weigh training images by how rare their class is, so that all classes count alike."""
    average_decay: float | None = setting(None, "from 0 to below 1")
    """Test and keep an exponential moving average of the weights, by this decay for each step."""
    max_macs: int | str | None = setting(None, "positive", read=count)
    """Instead of `channels` the most with which the network costs at most so many multiply-adds,
    as in 600M: the mobile setting."""
    random_resized_crop: bool = False
    """Crop 8 to 100 % of the area of training images and resize that, in place of crop_padding; the
    images are read while they are used, so that they need not fit in memory (ImageNet)."""
    color_jitter: bool = False
    """Change brightness, contrast and saturation of training images by up to 40 %, and hue by up to
    20 % of a turn; with random_resized_crop."""

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
    presets = TRAIN_PRESETS

    genotype: str
    """Name of a published genotype, or a JSON file such as a search's genotype.json."""
    validation_split: float = setting(0.0, "from 0 to below 1")
    """Hold out this share of the training images and watch these in place of the test split, as
    where something is chosen by what they say."""
