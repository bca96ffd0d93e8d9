"""Settings shared by all runs, on images and on text."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from darts_tf.configs.base import Config, JobConfig, setting
from darts_tf.configs.estimators import ESTIMATORS
from darts_tf.configs.methods import PRESET_METHOD, Method
from darts_tf.configs.selections import SELECTIONS, STRENGTH
from darts_tf.errors import InputError, shown, unknown_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeededConfig(Config):
    """Seed of the commands that use a single one."""

    seed: int = setting(0, "zero or more, below 2**32", group="machine", common=True)
    """Seed of all random numbers; runs with equal seeds are repetitions of each other."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(JobConfig):
    """Settings shared by searches, trainings, comparisons and baselines."""

    presets: ClassVar[dict[str, dict[str, object]]]
    """Presets of this kind of run: by name, the fields that differ from the defaults."""
    search_methods: ClassVar[Mapping[str, Method]] = {}
    """Methods of this kind of run, the values of `method`; their settings override the preset's."""
    dataset_with: ClassVar[tuple[str, ...]] = ()
    """Settings with which a dataset is needed; always if there are none."""

    group = "recipe"

    dataset: str = setting(
        dataclasses.MISSING, group="data and folder", common=True, names="dataset"
    )
    """Name or folder of the dataset."""
    workdir: pathlib.Path = setting(
        dataclasses.MISSING, group="data and folder", common=True, names="run to make"
    )
    """Folder where the run is kept; must be new or empty, unless resumed or overwritten."""
    preset: str = setting(dataclasses.MISSING, group="size and time", common=True)
    """Preset that defines the defaults of all other settings."""
    epochs: int = setting(20, "positive", group="size and time", common=True)
    """Passes over the training data."""
    batch_size: int = setting(64, "positive", group="size and time", common=True)
    """Number of images per step, or of parallel streams of text."""
    learning_rate: float = setting(0.025, "positive")
    """Learning rate of the weights in the first epoch."""
    learning_rate_min: float = setting(0.0, "zero or more")
    """Final learning rate of the schedule."""
    schedule: Literal["cosine", "linear", "exponential", "constant"] = "cosine"
    """Schedule by which the learning rate decreases."""
    learning_rate_decay: float = setting(0.97, "positive")
    """Factor of the learning rate per epoch in the exponential schedule."""
    schedule_per: Literal["epoch", "step"] = "epoch"
    """Update the learning rate once per epoch or once per step."""
    warmup_epochs: int = setting(0, "zero or more")
    """Number of first epochs in which the learning rate grows to that of the schedule."""
    weight_decay: float = setting(3e-4, "zero or more")
    """L2 penalty of the weights, added to the gradient."""
    clip_norm: float = setting(5.0, "positive")
    """Largest global norm of the weights' gradient."""
    limit: int | None = setting(None, "positive", group="data and folder", common=True)
    """Maximum number of images, or words, to use of each split."""
    precision: Literal["float32", "mixed_bfloat16"] = setting("float32", group="machine")
    """Precision of computations; weights, statistics and architecture parameters stay float32."""
    jit_compile: Literal["auto", "on", "off"] = setting("auto", group="machine")
    """Compile the training step with XLA; by default only if there is a GPU."""
    deterministic: bool = setting(False, group="machine")
    """Use only deterministic operations: runs with equal seeds are equal bit for bit."""
    strategy: Literal["auto", "one", "mirrored", "multi_worker", "tpu"] = setting(
        "auto", group="machine"
    )
    """Distribution strategy of tf.distribute. By default `multi_worker` if TF_CONFIG names several
    workers, `mirrored` for several devices, else `one`."""
    devices: int | None = setting(None, "positive", group="machine")
    """Number of devices of this host: GPUs, or logical CPU devices if there are none. By default
    one, and with `mirrored` all GPUs."""
    checkpoint_steps: int | None = setting(None, "positive", group="machine")
    """Save a checkpoint every this many steps, in addition to every epoch."""
    checkpoint_minutes: float | None = setting(10.0, "positive", group="machine")
    """Save a checkpoint every this many minutes, in addition to every epoch."""
    keep_checkpoints: int = setting(3, "positive", group="machine")
    """Number of most recent checkpoints to keep."""
    max_bad_steps: int = setting(10, "positive", group="machine")
    """Number of consecutive steps with non-finite values, all of them skipped, after which the run
    rolls back to its last checkpoint with a lower learning rate."""
    profile_steps: str | None = setting(None, group="machine")
    """First and last step to record with TensorFlow's profiler, as in 10,15, counted from the start
    of this process; TensorBoard shows the profile."""
    overwrite: bool = setting(False, group="data and folder", common=True)
    """Delete an existing run in the folder first."""
    resume: bool = setting(False, group="data and folder", common=True)
    """Resume the run in the folder from its last checkpoint, with its own settings; with more
    epochs, a finished one too."""

    def __new__(cls, **given):
        """Notes which fields are given, since the preset sets all others."""
        config = super().__new__(cls)
        if given:  # not in a copy
            object.__setattr__(config, "_given", given.keys())
        return config

    def __post_init__(self):
        self._apply_preset()
        super().__post_init__()
        if self.learning_rate_min > self.learning_rate:
            raise InputError(
                f"Expected learning_rate_min to be at most learning_rate={self.learning_rate}. "
                f"Received: learning_rate_min={self.learning_rate_min}"
            )
        self.profiled()

    def _apply_preset(self) -> None:
        """Sets the fields that are not given to the values of the preset and of the method."""
        names = self.__dict__.pop("_given")
        given = {name: getattr(self, name) for name in names}
        method = getattr(self, "method", None)
        fields = preset_fields(type(self), str(self.preset), method, given)
        for name, value in fields.items():
            if name not in given:
                object.__setattr__(self, name, value)

    @classmethod
    def fields_of_cells(cls, preset: str, given: Mapping[str, object]) -> dict[str, object]:
        """Returns the fields of a preset that follow the kind of cells.

        Args:
            preset: name of the preset.
            given: fields that are set otherwise, by name.
        """
        return {}

    @property
    def schedule_epochs(self) -> int:
        """Number of epochs after which the learning rate schedule starts again: all epochs."""
        return self.epochs

    @property
    def last_folder(self) -> pathlib.Path:
        """Folder with the metrics, alphas and checkpoints of the run's last part."""
        return self.workdir

    def profiled(self) -> range:
        """Returns the steps of this process to profile, counted from 1.

        Raises:
            InputError: `profile_steps` is not two step numbers in ascending order.
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
        """Returns the config of a preset; `fields` override its values and those of a method.

        Raises:
            InputError: the preset, the method or a field is unknown, or a value is invalid.
        """
        method = fields.get("method")
        return cls.from_dict({**preset_fields(cls, preset, method, fields), **fields})

    @classmethod
    def from_dict(cls, values: dict[str, object]):
        """Restores a config as `Config.from_dict` does; reports the settings of another command.

        Fields that `values` lack have their defaults, whatever the preset: a run of an earlier
        version did not have them.
        """
        for other in _kinds(RunConfig):
            names = {field.name for field in dataclasses.fields(other)}
            if other is not cls and isinstance(values, dict) and values.keys() == names:
                raise InputError(
                    f"Expected the settings of a {cls.kind}. Received: those of a {other.kind}"
                )
        return super().from_dict(values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArchConfig(RunConfig):
    """Settings of the optimization of the architecture parameters."""

    command = "search"
    searches = True
    group = "search method"

    # annotations are evaluated when a config is made, so that they include what users register
    arch_gradient: Literal[(*ESTIMATORS,)] = setting("second_order", is_open=True, common=True)
    """Estimator of the architecture gradient: `second_order` is exact, `first_order` omits the
    virtual step (faster), `finite_difference` is the paper's approximation."""
    arch_from_epoch: int = setting(0, "zero or more")
    """First epoch that updates the architecture parameters; before, only the weights learn."""
    restart_every: int | None = setting(None, "positive", common=True)
    """Restart the weights every this many epochs, from other initial values and on images with
    other halves, while the architecture parameters go on; so the result does not depend on what one
    set of weights has memorized. More epochs are more restarts. By default never."""
    restart_warmup: int = setting(0, "zero or more")
    """Number of first steps after every start of the weights that update only the weights; less
    than an epoch."""
    arch_learning_rate: float = setting(3e-3, "positive")
    """Learning rate of the Adam optimizer of the architecture parameters."""
    arch_beta_1: float = setting(0.5, "from 0 to below 1")
    """Decay of the first moment in the Adam optimizer of the architecture parameters."""
    arch_beta_2: float = setting(0.999, "from 0 to below 1")
    """Decay of the second moment in the Adam optimizer of the architecture parameters."""
    arch_second_moment: Literal["each", "shared"] = "each"
    """Second moment in the Adam optimizer of the architecture parameters: one for `each`, as in the
    paper, or one `shared` by all of a cell, so that operations whose gradient is small and noisy do
    not move as far as others."""
    arch_weight_decay: float = setting(1e-3, "zero or more")
    """L2 penalty of the architecture parameters."""

    def __post_init__(self):
        super().__post_init__()
        if self.arch_from_epoch >= self.epochs:
            raise InputError(
                f"Expected arch_from_epoch to be below epochs={shown(self.epochs)}, otherwise the "
                "architecture parameters are never updated. "
                f"Received: arch_from_epoch={shown(self.arch_from_epoch)}"
            )

    def restarts_before(self, epoch: int) -> int:
        """Returns how often the weights have been restarted when an epoch, from 0, runs."""
        return epoch // self.restart_every if self.restart_every else 0

    def starts_weights(self, epoch: int) -> bool:
        """Returns True if an epoch, counted from 0, is the first one of a set of weights."""
        return epoch % (self.restart_every or self.epochs) == 0

    @property
    def schedule_epochs(self) -> int:
        """Number of epochs after which the weights, and the schedule, start again."""
        return self.restart_every or self.epochs

    @property
    def selects_on_supernet(self) -> bool:
        """True if the final cells are chosen by measuring the supernet instead of by the alphas."""
        selection = SELECTIONS.get(getattr(self, "selection", STRENGTH))
        return bool(selection and selection.needs_supernet)


def _kinds(config_class: type[RunConfig]) -> list[type[RunConfig]]:
    """Returns the class and all its subclasses, direct and indirect, that define a `kind`."""
    below = (each for child in config_class.__subclasses__() for each in _kinds(child))
    return [*([config_class] if "kind" in vars(config_class) else []), *below]


def preset_fields(
    config_class: type[RunConfig],
    preset: str,
    method: str | None = None,
    given: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Returns the fields that a preset and a method set, including their own names.

    Args:
        config_class: the kind of run.
        preset: a name in its `presets`.
        method: a name in its `search_methods`, whose settings override the preset's, or
            `PRESET_METHOD`; ignored by kinds of runs without methods.
        given: fields that are set otherwise, which may name the kind of cells.

    Raises:
        InputError: the preset or the method is unknown.
    """
    presets, methods = config_class.presets, config_class.search_methods
    if preset not in presets:
        raise unknown_name("preset", preset, presets)
    of_cells = config_class.fields_of_cells(preset, given or {})
    fields = {"preset": preset, **presets[preset], **of_cells}
    if not methods or method in (None, PRESET_METHOD):
        return fields
    if method not in methods:
        raise unknown_name("method", method, methods)
    return {**fields, **methods[method].settings, "method": method}
