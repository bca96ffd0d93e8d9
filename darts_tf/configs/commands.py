"""Settings of the commands that come after a run, or stand alone."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Annotated, Literal

import tyro

from darts_tf.configs.base import Config, count, setting
from darts_tf.configs.costs import BudgetConfig, Stem
from darts_tf.configs.run import SeededConfig
from darts_tf.configs.search import SelectionConfig
from darts_tf.errors import InputError

Images = Annotated[
    tyro.conf.Positional[tuple[pathlib.Path, ...]],
    tyro.conf.arg(metavar="IMAGE...", help_behavior_hint="(required)"),
]

ModelFormat = Literal[
    "saved_model", "tflite", "tflite_float16", "tflite_weight_int8", "tflite_int8", "web"
]
"""What a network can be written as; `export.FORMATS` knows how."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Config):
    """Test a trained network on the test split of its dataset."""

    workdir: pathlib.Path
    """Folder of a training run."""
    batch_size: int | None = setting(None, "positive")
    """Images in a step, by default 256; the result does not depend on it. Of a text the streams
    that it is divided into, by default one, as results are published: more are faster, and another
    measure, since each begins without a memory."""
    limit: int | None = setting(None, "positive")
    """Use at most so many images, or words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeriveConfig(BudgetConfig, SelectionConfig):
    """Derive a search's cells anew: in a budget, with few skip connections, by perturbation."""

    workdir: pathlib.Path
    """Folder of a search."""
    output: pathlib.Path | None = None
    """File for the genotype; by default it is printed alone."""
    overwrite: bool = False
    """Replace that file if it is there."""
    seed: int | None = setting(None, "zero or more, below 2**32")
    """Of the order of the choices by perturbation; by default the search's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportConfig(Config):
    """Make a training run of weights that the authors' PyTorch code has trained."""

    checkpoint: pathlib.Path
    """State dict of an evaluation network or a language model: a .pt, .pth, .npz or .safetensors
    file."""
    genotype: str
    """Its cells: name of a published genotype, or a file."""
    kind: str
    """What it was trained on, `cifar10` or `imagenet`: gives the stem, how images are prepared and
    the names of the classes. Or, of a language model, `ptb` or `wikitext2`."""
    output: pathlib.Path
    """Folder of the run; must be new or empty, unless overwritten."""
    classes: pathlib.Path | None = None
    """File with names of other classes, one a line, in the order of the logits."""
    dataset: str | None = None
    """What `evaluate` tests it on: name of a TFDS dataset, or a folder; by default the kind's. A
    language model needs the folder of its text, whose files give the order of the words."""
    overwrite: bool = False
    """Delete the earlier run in the folder first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(Config):
    """Write a trained network as SavedModel, TFLite or web page, and check each against Keras.

    A language model is written as SavedModel and TFLite without full int8: by default all of them.
    """

    workdir: pathlib.Path
    """Folder of a training run."""
    output: pathlib.Path
    """Folder to write to; must be new or empty, unless overwritten."""
    format: tuple[ModelFormat, ...] = (
        *("saved_model", "tflite"),
        *("tflite_float16", "tflite_weight_int8", "tflite_int8"),
    )
    """What to write; `tflite` computes in float32."""
    name: str = "model"
    """Of the model, by which a server knows it."""
    model_version: int | None = setting(None, "positive")
    """Of the SavedModel; by default one more than the newest there."""
    check_images: int = setting(256, "positive")
    """How many test images, or words, the exported models are compared with Keras on."""
    calibration_images: int = setting(128, "positive")
    """How many training images the numbers' ranges in quantised models are measured on."""
    calibration: pathlib.Path | None = None
    """Folder with image files to take instead of training images."""
    overwrite: bool = False
    """Replace an earlier export in the folder; the versions of its SavedModel stay."""

    def __post_init__(self):
        super().__post_init__()
        if not self.format or len(set(self.format)) < len(self.format):
            raise InputError(
                f"Expected format to name each format once. Received: {' '.join(self.format)!r}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictConfig(Config):
    """Classify image files."""

    model: pathlib.Path | None = None
    """Folder of a training run, of an export or of a SavedModel, or a .keras or .tflite file."""
    url: str | None = None
    """Instead of a model a server to ask: grpc://HOST:8500 or http://HOST:8501, as `darts-tf serve`
    and TensorFlow Serving have them."""
    name: str = "model"
    """The model's name on that server."""
    images: Images = ()
    """Image files: JPEG, PNG, GIF, BMP or WEBP."""
    top: int = setting(3, "positive")
    """How many of the most probable classes to print; a server may know fewer, often five."""

    def __post_init__(self):
        super().__post_init__()
        if (self.model is None) == (self.url is None):
            given = "none" if self.model is None else "both"
            raise InputError(f"Expected one of --model and --url. Received: {given}")
        if not self.images:
            raise InputError("Expected one image file or more. Received: none")


OF_IMAGES = {
    **{"channels": 36, "cells": 20, "classes": None, "stem": "cifar", "image_size": None},
    **{"image_channels": 3, "max_macs": None},
}
"""What `inspect` takes of a network for images, with what it is where it is not given."""
OF_TEXT = {"units": 850, "vocabulary": 10_000}
"""The same of a language model: as published on Penn Treebank."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleConfig(SeededConfig):
    """Write text that a language model makes."""

    on_text = True

    model: pathlib.Path
    """Folder of a training run on text, of its export or SavedModel, or a .keras or .tflite
    file."""
    words: int = setting(100, "positive")
    """How many words to make; a line end counts as one."""
    prompt: str = ""
    """Text that the model goes on from; without one it begins a line."""
    temperature: float = setting(1.0, "positive")
    """What the logits are divided by: below 1 likely words become likelier, above 1 unlikely
    ones."""
    top: int = setting(0, "zero or more")
    """Draw from so many most probable words alone; 0 for all."""
    unknown: bool = False
    """Write <unk> too where the model says so, the word in place of all that it does not know."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectConfig(Config):
    """Show a genotype: its cells, parameters and multiply-adds; or check a primitive."""

    genotype: str | None = None
    """Name of a published genotype, or a file."""
    primitive: str | None = None
    """In place of a genotype a primitive, such as your own from --plugin FILE: what it costs, and
    whether it can be exported: written as TFLite files and compared with Keras."""
    recurrent: bool = False
    """The name is that of a recurrent cell; a file tells this by itself."""
    channels: int | None = setting(None, "positive")
    """Channels of the first cell; by default 36."""
    cells: int | None = setting(None, "3 or more")
    """Cells of the network; by default 20."""
    classes: int | None = setting(None, "positive")
    """Classes of the network; by default 10, or 1000 with the ImageNet stem."""
    stem: Stem | None = None
    """First layers: `cifar` keeps the image's size, and is the default, `imagenet` divides it by
    eight."""
    image_size: int | None = setting(None, "8 or more")
    """Height and width of the images; by default 32, or 224 with the ImageNet stem."""
    image_channels: Literal[1, 3] | None = None
    """1 for gray images, 3 for colour; by default 3."""
    max_macs: int | str | None = setting(None, "positive", read=count)
    """Instead of `channels` the most with which the network costs at most so many multiply-adds,
    as in 600M: the mobile setting."""
    units: int | None = setting(None, "positive")
    """Of a recurrent cell's hidden state, and of the words' embedding; by default 850."""
    vocabulary: int | None = setting(None, "positive")
    """Different words that its language model knows; by default 10000."""
    notation: Literal["python", "nni", "json"] | None = None
    """Print the genotype alone, as the authors' code, NNI or darts-tf writes it."""
    picture: pathlib.Path | None = None
    """New file for a picture of the cells, .svg, .png, .pdf or .gif; see `darts-tf plot`."""

    def __post_init__(self):
        super().__post_init__()
        if (self.genotype is None) == (self.primitive is None):
            given = "none" if self.primitive is None else "both"
            raise InputError(f"Expected one of --genotype and --primitive. Received: {given}")
        others = {f.name for f in dataclasses.fields(self)} - {"genotype", "primitive", "channels"}
        given = [name for name in sorted(others) if getattr(self, name)]
        if self.primitive and given:
            raise InputError(
                f"Expected --channels alone with --primitive. Received: {_flags(given)}"
            )

    def completed(self, recurrent: bool) -> InspectConfig:
        """The same with the defaults of a language model's settings, or of an image network's.

        Args:
            recurrent: whether the genotype turned out to be a recurrent cell.

        Raises:
            InputError: a setting of the other kind of network is given.
        """
        own, others = (OF_TEXT, OF_IMAGES) if recurrent else (OF_IMAGES, OF_TEXT)
        given = [name for name in others if getattr(self, name) is not None]
        if given:
            images = "a network for images"
            text = "the language model of a recurrent cell"
            wanted, received = (text, images) if recurrent else (images, text)
            hint = "" if recurrent else " (--recurrent takes a published one)"
            raise InputError(
                f"Expected settings of {wanted}: {_flags(own)}. "
                f"Received: {_flags(given)}, of {received}{hint}"
            )
        missing = {name: own[name] for name in own if getattr(self, name) is None}
        return dataclasses.replace(self, **missing)


def _flags(names: Iterable[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoConfig(SeededConfig):
    """Search, train, test and export on handwritten digits, in a few minutes."""

    workdir: pathlib.Path = pathlib.Path("runs/demo")
    """Folder for the three steps' folders: search, train and export."""
    overwrite: bool = False
    """Delete an earlier demo in the folder first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoctorConfig(Config):
    """Show what matters for a bug report: versions, devices, memory, whether TensorFlow works."""

    json: bool = False
    """Print one JSON object, for programs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompletionConfig(Config):
    """Print what makes a shell complete commands, flags and choices at the Tab key."""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """Which shell, as in: source <(darts-tf completion bash)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchConfig(Config):
    """Run the search or train that follows `--` in several processes, which share the work."""

    workers: int = setting(dataclasses.MISSING, "positive")
    """How many, as in: darts-tf launch --workers 2 -- search --workdir DIR."""
    logs: pathlib.Path | None = None
    """Folder for the output of all but the first; by default one that is kept after a failure."""
