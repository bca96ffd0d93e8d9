"""Settings of pictures."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Annotated, Literal

import tyro

from darts_tf.errors import InputError
from darts_tf.validation import Config

What = Annotated[
    tyro.conf.Positional[str],
    tyro.conf.arg(metavar="GENOTYPE", help_behavior_hint="(required)"),
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
