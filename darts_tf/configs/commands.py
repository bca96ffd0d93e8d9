"""Settings of the commands that use a finished run, and of those that need none."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Literal

from darts_tf.configs.base import Config, count, setting
from darts_tf.configs.costs import BudgetConfig, Stem
from darts_tf.configs.descriptions import flag_of
from darts_tf.configs.run import SeededConfig
from darts_tf.configs.search import SelectionConfig
from darts_tf.errors import InputError
from darts_tf.spaces.genotype import AnyGenotype

ModelFormat = Literal[
    "saved_model", "tflite", "tflite_float16", "tflite_weight_int8", "tflite_int8", "web"
]
"""Export formats of a network; `export.FORMATS` has their writers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Config):
    """Test a trained network on the test split of its dataset, or on other images."""

    workdir: pathlib.Path = setting(dataclasses.MISSING, place="RUN", names="training")
    """Folder of a training run."""
    dataset: str | None = setting(None, names="dataset")
    """Other images to test on: a folder with a subfolder of images for each class, or the name of a
    dataset; they may have fewer classes than the network, but no other. By default the test split
    of the run's dataset."""
    batch_size: int | None = setting(None, "positive")
    """Images per step, by default 256; the result does not depend on it. For a text, the number of
    parallel streams it is divided into, by default 1, as in published results: more streams are
    faster but change the result, since each one starts from a zero state."""
    limit: int | None = setting(None, "positive")
    """Maximum number of images, or words, to use."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeriveConfig(BudgetConfig, SelectionConfig):
    """Derive a search's cells again: in a budget, with few skip connections, by perturbation."""

    workdir: pathlib.Path = setting(dataclasses.MISSING, place="RUN", names="search")
    """Folder of a search."""
    output: pathlib.Path | None = setting(None, names="file to write")
    """File for the genotype; by default it is only printed."""
    overwrite: bool = False
    """Replace the file if it exists."""
    seed: int | None = setting(None, "zero or more, below 2**32")
    """Seed of the order of edges in selection by perturbation; by default the search's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportConfig(Config):
    """Create a training run from weights that the authors' PyTorch code has trained."""

    checkpoint: pathlib.Path = setting(dataclasses.MISSING, place="CHECKPOINT", names="file")
    """State dict of an evaluation network or a language model: a .pt, .pth, .npz or .safetensors
    file."""
    genotype: str = setting(dataclasses.MISSING)
    """Cells of the network: name of a published genotype, a file, or the folder of a run."""
    kind: str
    """Dataset it was trained on: `cifar10` or `imagenet`, which determines the stem, preprocessing
    and class names; for a language model `ptb` or `wikitext2`."""
    output: pathlib.Path = setting(dataclasses.MISSING, names="run to make")
    """Folder of the run; must be new or empty, unless overwritten."""
    classes: pathlib.Path | None = setting(None, names="file")
    """File with other class names, one per line, in the order of the logits."""
    dataset: str | None = None
    """Dataset that `evaluate` uses: name of a TFDS dataset, or a folder; by default that of the
    kind. A language model needs the folder of its text, whose files define the word order."""
    overwrite: bool = False
    """Delete an existing run in the folder first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(Config):
    """Export a trained network as SavedModel, TFLite or web page, and check each against Keras.

    A language model is exported, by default, in all its formats: SavedModel, and TFLite except
    full int8.
    """

    workdir: pathlib.Path = setting(dataclasses.MISSING, place="RUN", names="training")
    """Folder of a training run."""
    output: pathlib.Path = setting(dataclasses.MISSING, names="export to make")
    """Folder to write to; must be new or empty, unless overwritten."""
    format: tuple[ModelFormat, ...] = (
        *("saved_model", "tflite"),
        *("tflite_float16", "tflite_weight_int8", "tflite_int8"),
    )
    """Formats to write; `tflite` computes in float32."""
    name: str = "model"
    """Name of the model on a server."""
    model_version: int | None = setting(None, "positive")
    """Version of the SavedModel; by default one more than the newest in the folder."""
    check_images: int = setting(256, "positive")
    """Number of test images, or words, on which exported models are compared with Keras."""
    calibration_images: int = setting(128, "positive")
    """Number of training images used to calibrate the value ranges of quantized models."""
    calibration: pathlib.Path | None = setting(None, names="folder")
    """Folder of image files to calibrate with instead of training images."""
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

    model: pathlib.Path | None = setting(None, names="model")
    """Folder of a training run, of an export or of a SavedModel, or a .keras or .tflite file."""
    url: str | None = None
    """Server to query instead of a local model: grpc://HOST:8500 or http://HOST:8501, as with
    `darts-tf serve` and TensorFlow Serving."""
    name: str = "model"
    """Name of the model on that server."""
    images: tuple[pathlib.Path, ...] = setting((), place="IMAGE...", names="files")
    """Image files: JPEG, PNG, GIF, BMP or WEBP."""
    top: int = setting(3, "positive")
    """Number of most probable classes to print; a server may return fewer, often five."""

    def __post_init__(self):
        super().__post_init__()
        if (self.model is None) == (self.url is None):
            received = "none" if self.model is None else "both"
            raise InputError(f"Expected one of --model and --url. Received: {received}")
        if not self.images:
            raise InputError("Expected one image file or more. Received: none")


OF_IMAGES = {
    **{"channels": None, "cells": None, "classes": None, "stem": "cifar", "image_size": None},
    **{"image_channels": 3, "max_macs": None},
}
"""Settings of `inspect` for a network on images, with their defaults; channels and cells are by
default the genotype's `usual_sizes`."""
OF_TEXT = {"units": 850, "vocabulary": 10_000}
"""Settings of `inspect` for a language model; the defaults are those published for PTB."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleConfig(SeededConfig):
    """Generate text with a language model."""

    on_text = True

    model: pathlib.Path = setting(dataclasses.MISSING, place="MODEL", names="model")
    """Folder of a training run on text, of its export or SavedModel, or a .keras or .tflite
    file."""
    words: int = setting(100, "positive")
    """Number of words to generate; a line end counts as one."""
    prompt: str = ""
    """Text that the model continues; without a prompt it starts a new line."""
    temperature: float = setting(1.0, "positive")
    """Divisor of the logits: below 1 makes likely words more likely, above 1 unlikely ones."""
    top: int = setting(0, "zero or more")
    """Draw only from this number of most probable words; 0 for all words."""
    unknown: bool = False
    """Allow <unk>, the token for words outside the vocabulary, in the generated text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectConfig(Config):
    """Show a genotype: its cells, parameters and multiply-adds; or check a primitive."""

    genotype: str | None = setting(None, place="GENOTYPE", names="genotype of any kind")
    """Cells to show: the folder of a run, a file with a genotype, the name of a published one, or a
    cell in NAS-Bench-201's notation."""
    primitive: str | None = None
    """Primitive to check instead of a genotype, such as your own from --plugin FILE: shows its
    costs, exports it as TFLite files and compares these with Keras."""
    recurrent: bool = False
    """The name refers to a recurrent cell; not needed for a file."""
    channels: int | None = setting(None, "positive")
    """Channels of the first cell; by default those of the run's network, or the papers' 36, or
    NAS-Bench-201's 16."""
    cells: int | None = setting(None, "positive")
    """Cells of the network, 3 or more; by default those of the run's network, or the papers' 20.
    For a cell of NAS-Bench-201 the cells of each of three stages, the benchmark's 5."""
    classes: int | None = setting(None, "positive")
    """Classes of the network; by default 10, or 1000 with the ImageNet stem."""
    stem: Stem | None = None
    """First layers: `cifar` (default) keeps the image size, `imagenet` divides it by eight."""
    image_size: int | None = setting(None, "8 or more")
    """Height and width of the images; by default 32, or 224 with the ImageNet stem."""
    image_channels: Literal[1, 3] | None = None
    """1 for grayscale images, 3 for color images; by default 3."""
    max_macs: int | str | None = setting(None, "positive", read=count)
    """Replaces `channels`: use the most channels with which the network needs at most this number
    of multiply-adds, as in 600M (the mobile setting)."""
    units: int | None = setting(None, "positive")
    """Size of a recurrent cell's hidden state and of the word embedding; by default 850."""
    vocabulary: int | None = setting(None, "positive")
    """Vocabulary size of the recurrent cell's language model; by default 10000."""
    notation: Literal["python", "nni", "nas-bench-201", "json"] | None = None
    """Print only the genotype, in the notation of the authors' code, NNI, NAS-Bench-201 or
    darts-tf."""
    picture: pathlib.Path | None = setting(None, names="file to write")
    """New file for a drawing of the cells: .svg, .png, .pdf or .gif; see `darts-tf plot`."""

    def __post_init__(self):
        super().__post_init__()
        if (self.genotype is None) == (self.primitive is None):
            received = "none" if self.primitive is None else "both"
            raise InputError(f"Expected one of --genotype and --primitive. Received: {received}")
        others = {f.name for f in dataclasses.fields(self)} - {"genotype", "primitive", "channels"}
        unused = [name for name in sorted(others) if getattr(self, name)]
        if self.primitive and unused:
            raise InputError(
                f"Expected only --channels with --primitive. Received: {_flags(unused)}"
            )

    def completed(
        self, cells: AnyGenotype, of_run: Mapping[str, object] | None = None
    ) -> InspectConfig:
        """Returns a copy with the defaults of a language model or of a network on images.

        Args:
            cells: the genotype.
            of_run: settings of the run that has the genotype, which go before the defaults.

        Raises:
            InputError: a setting of the other kind of network is not None.
        """
        recurrent = cells.on_text
        own, others = (OF_TEXT, OF_IMAGES) if recurrent else (OF_IMAGES, OF_TEXT)
        foreign = [name for name in others if getattr(self, name) is not None]
        if foreign:
            images = "a network for images"
            text = "the language model of a recurrent cell"
            wanted, received = (text, images) if recurrent else (images, text)
            hint = "" if recurrent else " (--recurrent takes a published one)"
            raise InputError(
                f"Expected settings of {wanted}: {_flags(own)}. "
                f"Received: {_flags(foreign)}, of {received}{hint}"
            )
        defaults = {**own, **cells.usual_sizes, **(of_run or {})}
        missing = {name: defaults[name] for name in own if getattr(self, name) is None}
        return dataclasses.replace(self, **missing)


def _flags(names: Iterable[str]) -> str:
    return ", ".join(map(flag_of, names))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoConfig(SeededConfig):
    """Search, train, test and export on handwritten digits, in a few minutes."""

    workdir: pathlib.Path = setting(pathlib.Path("runs/demo"), names="demo to make")
    """Folder for the three steps' folders: search, train and export."""
    overwrite: bool = False
    """Delete an existing demo in the folder first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoctorConfig(Config):
    """Show what a bug report needs: versions, devices, memory, whether TensorFlow works."""

    json: bool = False
    """Print one JSON object instead of text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompletionConfig(Config):
    """Print a script that makes a shell complete commands, flags and choices at the Tab key."""

    shell: Literal["bash", "zsh", "fish"] = setting(dataclasses.MISSING, place="SHELL")
    """Name of the shell, as in: source <(darts-tf completion bash)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchConfig(Config):
    """Run the search or training that follows `--` in several processes, which share the work."""

    workers: int = setting(dataclasses.MISSING, "positive")
    """Number of processes, as in: darts-tf launch --workers 2 -- search --workdir DIR."""
    logs: pathlib.Path | None = None
    """Folder for the output of all but the first process; by default a temporary folder, which is
    kept after a failure."""
