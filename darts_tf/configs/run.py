"""Settings that all runs share, on images and on text."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import ClassVar, Literal

from darts_tf.configs.base import Config, JobConfig, setting
from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.errors import InputError, shown, unknown_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeededConfig(Config):
    """What commands have in common that draw random numbers once."""

    seed: int = setting(0, "zero or more, below 2**32")
    """Start of every random number; runs with one seed repeat each other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(JobConfig):
    """What search, training and comparison have in common."""

    presets: ClassVar[dict[str, dict[str, object]]]
    """The presets of this kind of run: by name, the fields that differ from its defaults."""

    dataset: str
    """What to run on."""
    workdir: pathlib.Path
    """Folder of the run; must be new or empty, unless resumed or overwritten."""
    preset: str
    """Which defaults all other settings start from."""
    epochs: int = setting(20, "positive")
    """Passes over the training data."""
    batch_size: int = setting(64, "positive")
    """Images in a step, or streams of text side by side."""
    learning_rate: float = setting(0.025, "positive")
    """Learning rate of the weights in the first epoch."""
    learning_rate_min: float = setting(0.0, "zero or more")
    """Where the schedule of the learning rate ends."""
    schedule: Literal["cosine", "linear", "exponential", "constant"] = "cosine"
    """How the learning rate goes down."""
    learning_rate_decay: float = setting(0.97, "positive")
    """Factor of the learning rate in each epoch of the exponential schedule."""
    schedule_per: Literal["epoch", "step"] = "epoch"
    """Whether the learning rate changes with every epoch or with every step."""
    warmup_epochs: int = setting(0, "zero or more")
    """Epochs over which the learning rate first grows to that of the schedule."""
    weight_decay: float = setting(3e-4, "zero or more")
    """L2 penalty of the weights, added to the gradient."""
    clip_norm: float = setting(5.0, "positive")
    """Largest global norm of the weights' gradient."""
    limit: int | None = setting(None, "positive")
    """Use at most so many images, or words, of each split."""
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
    checkpoint_steps: int | None = setting(None, "positive")
    """Save a checkpoint after every so many steps too, not only after every epoch."""
    checkpoint_minutes: float | None = setting(10.0, "positive")
    """Save a checkpoint after so many minutes too."""
    keep_checkpoints: int = setting(3, "positive")
    """How many checkpoints to keep, the last ones."""
    max_bad_steps: int = setting(10, "positive")
    """Steps in a row without finite numbers, all of them skipped, after which the run goes back to
    its last checkpoint with a lower learning rate."""
    profile_steps: str | None = None
    """Have TensorFlow's profiler watch some steps, the first and the last as in 10,15, counted from
    the start of this process; TensorBoard shows it."""
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
        self.profiled()

    @property
    def last_folder(self) -> pathlib.Path:
        """Folder with the metrics, alphas and checkpoints of the run's end."""
        return self.workdir

    def profiled(self) -> range:
        """The steps of this process to watch, counted from 1.

        Raises:
            InputError: `profile_steps` says something else.
        """
        if self.profile_steps is None:
            return range(0)
        match = re.fullmatch(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", self.profile_steps, re.ASCII)
        first, last = map(int, match.groups()) if match else (0, 0)
        if not 1 <= first <= last:
            raise InputError(
                "Expected profile_steps to be the first and the last step, as in 10,15. "
                f"Received: profile_steps={shown(self.profile_steps)}"
            )
        return range(first, last + 1)

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
        for other in _kinds(RunConfig):
            names = {field.name for field in dataclasses.fields(other)}
            if other is not cls and isinstance(values, dict) and values.keys() == names:
                raise InputError(
                    f"Expected the settings of a {cls.kind}. Received: those of a {other.kind}"
                )
        return super().from_dict(values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArchConfig(RunConfig):
    """How a search moves the architecture parameters."""

    command = "search"
    searches = True

    # annotations are text that is read when settings are made: they follow what users register
    arch_gradient: Literal[(*ESTIMATORS,)] = setting("second_order", is_open=True)
    """How the architecture's gradient is computed: exactly, without the virtual step (faster), or
    by the paper's approximation."""
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
        if self.arch_from_epoch >= self.epochs:
            raise InputError(
                f"Expected arch_from_epoch to be below epochs={shown(self.epochs)}, or nothing is "
                f"searched. Received: arch_from_epoch={shown(self.arch_from_epoch)}"
            )


def _kinds(config_class: type[RunConfig]) -> list[type[RunConfig]]:
    """Returns the kinds of runs among a class and those below it."""
    below = (each for child in config_class.__subclasses__() for each in _kinds(child))
    return [*([config_class] if "kind" in vars(config_class) else []), *below]


def preset_fields(config_class: type[RunConfig], preset: str) -> dict[str, object]:
    """The fields that a preset sets, its own name among them.

    Raises:
        InputError: Unknown preset.
    """
    presets = config_class.presets
    if preset not in presets:
        raise unknown_name("preset", preset, presets)
    return {"preset": preset, **presets[preset]}
