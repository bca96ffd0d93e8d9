"""Settings of the commands that show genotypes and runs: pictures, reports, TensorBoard."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, Literal

import tyro

from darts_tf.configs.base import Config, setting
from darts_tf.configs.serve import HIGHEST_PORT
from darts_tf.errors import InputError

File = Annotated[pathlib.Path | None, tyro.conf.arg(aliases=("-o",))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlotConfig(Config):
    """Draw cells: of a genotype, of a search's supernet, or the course of a search."""

    genotype: str = setting("", place="GENOTYPE", names="genotype of any kind")
    """Cells to draw: the folder of a run, a file with a genotype, or the name of a published
    one."""
    output: File = None
    """File to write: .svg, .png, .pdf or .gif; for an animation .svg or .gif. By default a file in
    the working directory, named after the genotype."""
    cell: Literal["normal", "reduce", "both"] = "both"
    """Cells of a network on images to draw."""
    recurrent: bool = False
    """The name refers to a recurrent cell; not needed for a file."""
    supernet: bool = False
    """Draw all edges of a search's supernet with widths by their strength, and highlight those of
    the genotype; needs a search's folder."""
    animate: bool = False
    """Draw an animation of all epochs; needs a search's folder."""
    dark: bool = False
    """Draw in light colors on a dark background."""
    overwrite: bool = False
    """Replace the file if it exists."""

    def __post_init__(self):
        super().__post_init__()
        if not self.genotype:
            raise InputError("Expected a genotype, its file or a run's folder. Received: none")
        if self.supernet and self.animate:
            raise InputError("Expected one of --supernet and --animate. Received: both")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardConfig(Config):
    """Show runs in TensorBoard, until Ctrl-C."""

    runs: tuple[pathlib.Path, ...] = setting((), place="RUN...")
    """Folders of runs, or folders that contain runs: comparisons, protocols, studies."""
    port: int = setting(6006, "zero or more")
    """Port to listen on; 0 for a free one."""
    host: str = "localhost"
    """Address to listen on; 0.0.0.0 for all."""

    def __post_init__(self):
        super().__post_init__()
        if not self.runs:
            raise InputError("Expected one folder of a run or more. Received: none")
        if self.port > HIGHEST_PORT:
            raise InputError(
                f"Expected port to be at most {HIGHEST_PORT}. Received: port={self.port}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig(Config):
    """Write an HTML report of one run, or of several side by side, as a single file."""

    runs: tuple[pathlib.Path, ...] = setting((), place="RUN...")
    """Folders of runs: searches, trainings, selections, comparisons, studies."""
    output: File = None
    """File for the report; by default report.html in the run's folder, or in the common parent
    folder of several runs."""
    export: pathlib.Path | None = setting(None, names="folder")
    """Folder of the run's export; by default the one beside it."""

    def __post_init__(self):
        super().__post_init__()
        if not self.runs:
            raise InputError("Expected one folder of a run or more. Received: none")
