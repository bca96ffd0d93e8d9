"""Settings of searches and trainings."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import ClassVar, Literal

from darts_tf.errors import InputError
from darts_tf.names import listed, shown, unknown_name
from darts_tf.presets import SEARCH_PRESETS, TRAIN_PRESETS
from darts_tf.validation import RANGES, Config, count, counts, names, setting

SearchPreset = Literal["digits", "cifar10", "pc-darts", "tiny"]
TrainPreset = Literal["digits", "cifar10", "pc-darts", "imagenet", "imagenet-large-batch", "tiny"]
Stem = Literal["cifar", "imagenet"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeededConfig(Config):
    """What commands have in common that draw random numbers once."""

    seed: int = setting(0, "zero or more, below 2**32")
    """Start of every random number; runs with one seed repeat each other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(Config):
    """What search, training and comparison have in common."""

    command: ClassVar[str]

    dataset: str = "digits"
    """`digits` (embedded), the name of a TFDS dataset, or a folder with train/<class>/* and
    test/<class>/*."""
    workdir: pathlib.Path
    """Folder of the run; must be new or empty, unless resumed or overwritten."""
    preset: str = "digits"
    """Which defaults all other settings start from."""
    epochs: int = setting(20, "positive")
    """Passes over the training data."""
    batch_size: int = setting(64, "positive")
    """Images in a step."""
    learning_rate: float = setting(0.025, "positive")
    """Learning rate of the weights in the first epoch."""
    learning_rate_min: float = setting(0.0, "zero or more")
    """Where the schedule of the learning rate ends."""
    schedule: Literal["cosine", "linear", "exponential"] = "cosine"
    """How the learning rate goes down."""
    learning_rate_decay: float = setting(0.97, "positive")
    """Factor of the learning rate in each epoch of the exponential schedule."""
    schedule_per: Literal["epoch", "step"] = "epoch"
    """Whether the learning rate changes with every epoch or with every step."""
    warmup_epochs: int = setting(0, "zero or more")
    """Epochs over which the learning rate first grows to that of the schedule."""
    momentum: float = setting(0.9, "from 0 to below 1")
    """Momentum of the weights' SGD."""
    weight_decay: float = setting(3e-4, "zero or more")
    """L2 penalty of the weights, added to the gradient."""
    clip_norm: float = setting(5.0, "positive")
    """Largest global norm of the weights' gradient."""
    crop_padding: int = setting(1, "zero or more")
    """Pixels around an image before a random crop of the old size; 0 for no crop."""
    flip: bool = False
    """Mirror half of the training images, left to right."""
    cutout: int = setting(0, "zero or more")
    """Side in pixels of the square blanked in every training image; 0 for none."""
    image_size: int | None = setting(None, "8 or more")
    """Resize images to this height and width; by default they keep the dataset's size, or get that
    of ImageNet's, 224, by a random resized crop."""
    limit: int | None = setting(None, "positive")
    """Use at most so many images of each split."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Type to compute in; weights, statistics and architecture parameters stay float32."""
    jit_compile: Literal["auto", "on", "off"] = "auto"
    """Compile the training step with XLA; by default where there is a GPU."""
    deterministic: bool = False
    """Use deterministic operations alone: runs with one seed are equal bit for bit."""
    strategy: Literal["auto", "one", "mirrored", "multi_worker", "tpu"] = "auto"
    """How devices share the work, by tf.distribute. By default `multi_worker` where TF_CONFIG
    names several workers, `mirrored` for several devices, else `one`."""
    devices: int | None = setting(None, "positive")
    """Devices of this host: GPUs, or parts of the processor where there are none. By default one,
    and with `mirrored` all GPUs."""
    sync_batch_norm: bool = False
    """Normalise by the statistics of the whole batch rather than of each device's part of it."""
    checkpoint_steps: int | None = setting(None, "positive")
    """Save a checkpoint after every so many steps too, not only after every epoch."""
    checkpoint_minutes: float | None = setting(10.0, "positive")
    """Save a checkpoint after so many minutes too."""
    keep_checkpoints: int = setting(3, "positive")
    """How many checkpoints to keep, the last ones."""
    max_bad_images: int = setting(0, "zero or more")
    """Leave out at most so many damaged training images, each named in the log."""
    max_bad_steps: int = setting(10, "positive")
    """Steps in a row without finite numbers, all of them skipped, after which the run goes back to
    its last checkpoint with a lower learning rate."""
    overwrite: bool = False
    """Delete the earlier run in the folder first."""
    resume: bool = False
    """Go on with the run in the folder, under its own settings, from its last checkpoint."""

    def __post_init__(self):
        super().__post_init__()
        if self.learning_rate_min > self.learning_rate:
            raise InputError(
                f"Expected learning_rate_min to be at most learning_rate={self.learning_rate}. "
                f"Received: learning_rate_min={self.learning_rate_min}"
            )
        if self.overwrite and self.resume:
            raise InputError("Expected one of overwrite and resume. Received: both")

    @classmethod
    def from_preset(cls, preset: str, **fields):
        """The config of a preset by its name, with `fields` in place of the preset's own.

        Raises:
            InputError: Unknown preset or field, or a value that cannot be.
        """
        return cls.from_dict({**preset_fields(cls, preset), **fields})

    @classmethod
    def from_dict(cls, values: dict[str, object]):
        """As `Config.from_dict`, with an error of its own for the settings of another command."""
        for other in PRESETS.keys() - {cls}:
            names = {field.name for field in dataclasses.fields(other)}
            if isinstance(values, dict) and values.keys() == names:
                raise InputError(
                    f"Expected the settings of a {cls.command}. "
                    f"Received: those of a {other.command}"
                )
        return super().from_dict(values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchConfig(SeededConfig, RunConfig):
    """Search for cells with DARTS."""

    command = "search"

    preset: SearchPreset = "digits"
    """Which defaults all other settings start from."""
    epochs: int = setting(12, "positive")
    """Passes over the training data."""
    learning_rate_min: float = setting(0.001, "zero or more")
    """Where the schedule of the learning rate ends."""
    arch_gradient: Literal["second_order", "first_order", "finite_difference"] = "second_order"
    """How the architecture's gradient is computed: exactly, without the virtual step (faster), or
    by the paper's approximation."""
    channels: int = setting(8, "positive")
    """Channels of the supernet's first cell."""
    cells: int = setting(3, "3 or more")
    """Cells of the supernet; those at one and two thirds are reductions."""
    partial_channels: int = setting(1, "positive")
    """Mix only one k-th of every state's channels, for this k, and let the others pass
    (PC-DARTS): less memory and time."""
    arch_from_epoch: int = setting(0, "zero or more")
    """First epoch that moves the architecture parameters; before it weights learn alone."""
    arch_learning_rate: float = setting(3e-3, "positive")
    """Learning rate of the architecture's Adam."""
    arch_beta_1: float = setting(0.5, "from 0 to below 1")
    """Decay of that Adam's first moment."""
    arch_beta_2: float = setting(0.999, "from 0 to below 1")
    """Decay of that Adam's second moment."""
    arch_weight_decay: float = setting(1e-3, "zero or more")
    """L2 penalty of the architecture parameters."""

    def __post_init__(self):
        super().__post_init__()
        if self.channels % self.partial_channels:
            raise InputError(
                "Expected channels to be a multiple of partial_channels. Received: "
                f"channels={shown(self.channels)}, partial_channels={shown(self.partial_channels)}"
            )
        if self.arch_from_epoch >= self.epochs:
            raise InputError(
                f"Expected arch_from_epoch to be below epochs={shown(self.epochs)}, or nothing is "
                f"searched. Received: arch_from_epoch={shown(self.arch_from_epoch)}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecipeConfig(RunConfig):
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

    command = "training"

    genotype: str
    """Name of a published genotype, or a JSON file such as a search's genotype.json."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(RecipeConfig):
    """Compare genotypes: parameters, multiply-adds and, trained by one recipe, test errors."""

    command = "comparison"

    genotypes: tuple[str, ...] = setting(dataclasses.MISSING, read=names)
    """Names of published genotypes and genotype files, with commas or spaces between them."""
    train: bool = False
    """Train every network; without it the data set is not needed."""
    seeds: tuple[int | str, ...] = setting((0,), read=counts)
    """Train every network once with each of these seeds, with commas or spaces between them."""
    classes: int | None = setting(None, "positive")
    """Classes of networks that are not trained; by default 10, or 1000 with the ImageNet stem."""
    image_channels: Literal[1, 3] = 3
    """Of networks that are not trained: 1 for gray images, 3 for colour."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("genotypes", "seeds"):
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

    @property
    def seed(self) -> int:
        """The first of them: that of the images by which networks are measured."""
        return self.seeds[0]


PRESETS = {
    SearchConfig: SEARCH_PRESETS,
    TrainConfig: TRAIN_PRESETS,
    CompareConfig: TRAIN_PRESETS,
}
"""The configs that have presets."""


def preset_fields(config_class: type[RunConfig], preset: str) -> dict[str, object]:
    """The fields that a preset sets, its own name among them.

    Raises:
        InputError: Unknown preset.
    """
    presets = PRESETS[config_class]
    if preset not in presets:
        raise unknown_name("preset", preset, presets)
    return {"preset": preset, **presets[preset]}
