"""Settings of the commands that show genotypes and runs: pictures, reports, TensorBoard."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, Literal

import tyro

from darts_tf.configs.base import Config, setting
from darts_tf.configs.serve import HIGHEST_PORT
from darts_tf.errors import InputError

What = Annotated[
    tyro.conf.Positional[str],
    tyro.conf.arg(metavar="GENOTYPE", help_behavior_hint="(required)"),
]
Runs = Annotated[
    tyro.conf.Positional[tuple[pathlib.Path, ...]],
    tyro.conf.arg(metavar="RUN...", help_behavior_hint="(required)"),
]
File = Annotated[pathlib.Path | None, tyro.conf.arg(aliases=("-o",))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlotConfig(Config):
    """Draw cells: of a genotype, of a search's supernet, or how a search went on."""

    genotype: What = ""
    """Name of a published genotype, a file with one, or the folder of a run."""
    output: File = None
    """File to write, .svg, .png, .pdf or .gif, or of a film .svg or .gif; by default one here that
    is named after the genotype."""
    cell: Literal["normal", "reduce", "both"] = "both"
    """Which cell of a network for images."""
    recurrent: bool = False
    """The name is that of a recurrent cell; a file tells this by itself."""
    supernet: bool = False
    """Of a search's folder draw all edges, as wide as they are strong, those that are kept in
    full."""
    animate: bool = False
    """Of a search's folder make a film of all its epochs."""
    dark: bool = False
    """Light on dark."""
    overwrite: bool = False
    """Replace the file if it is there."""

    def __post_init__(self):
        super().__post_init__()
        if not self.genotype:
            raise InputError("Expected a genotype, its file or a run's folder. Received: none")
        if self.supernet and self.animate:
            raise InputError("Expected one of --supernet and --animate. Received: both")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardConfig(Config):
    """Show runs in TensorBoard, until Ctrl-C."""

    runs: Runs = ()
    """Folders of runs, or with runs in them, as those of a comparison, a protocol or a study."""
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
    """Make one HTML file of a run, or of several side by side."""

    runs: Runs = ()
    """Folders of runs: searches, trainings, selections, comparisons, studies."""
    output: File = None
    """File for the report; by default report.html in the run's folder, or in that which several
    runs have in common."""
    export: pathlib.Path | None = None
    """Folder of the run's export; by default the one beside it."""

    def __post_init__(self):
        super().__post_init__()
        if not self.runs:
            raise InputError("Expected a run's folder or more. Received: none")
