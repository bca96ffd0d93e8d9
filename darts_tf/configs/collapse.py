"""Settings that watch a search for collapse, end it early, and choose the cells."""

from __future__ import annotations

import dataclasses
from typing import Literal

from darts_tf import registered
from darts_tf.errors import InputError
from darts_tf.names import shown
from darts_tf.validation import Config, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoppingConfig(Config):
    """What every search may be watched for."""

    eigenvalue: bool = False
    """Measure after every epoch the dominant eigenvalue of the valid loss's second derivative
    along the alphas, which grows where a search is about to collapse (Robust DARTS)."""
    stop_eigenvalue: bool = False
    """Stop when that eigenvalue has grown, and keep the genotype from before it did."""
    stop_window: int = setting(5, "positive")
    """Epochs over whose mean it is compared with the mean of as many epochs before."""
    stop_factor: float = setting(1.3, "positive")
    """By what factor the mean may grow."""
    stop_from_epoch: int = setting(10, "positive")
    """First epoch, counted from 1, after which the search may stop so."""

    @property
    def measures_eigenvalue(self) -> bool:
        """Whether the eigenvalue is asked for, by itself or to stop by."""
        return self.eigenvalue or self.stop_eigenvalue


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectionConfig(Config):
    """How the cells of a search are chosen in the end."""

    max_skips: int | None = setting(None, "zero or more")
    """Leave the normal cell at most so many skip connections: the weakest are replaced by the next
    best choice (P-DARTS)."""
    selection: Literal[("strength", "perturbation", *registered.SELECTIONS)] = setting(
        "strength", is_open=True
    )
    """How cells are chosen: by the largest alphas, or by how much the supernet's valid accuracy
    falls without an operation (DARTS-PT), which takes as long as many epochs of the search do."""
    selection_epochs: int = setting(1, "zero or more")
    """Epochs in which the weights settle after each choice by perturbation; 5 in the paper."""
    selection_images: int | None = setting(None, "positive")
    """Measure the choices by perturbation on at most so many of the alphas' images; by default on
    all."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("max_skips", "budget"):
            value = getattr(self, name, None)
            if self.selection != "strength" and value is not None:
                raise InputError(
                    f"Expected {name} with cells that are chosen by strength. "
                    f"Received: {name}={shown(value)}, selection={self.selection!r}"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollapseConfig(StoppingConfig, SelectionConfig):
    """What a search for convolutional cells may be watched for, and how it ends."""

    discretisation_gap: bool = False
    """Measure after every epoch by how much the supernet's valid accuracy falls when its edges are
    cut down to the genotype."""
    stop_skips: int | None = setting(None, "zero or more")
    """Stop when the normal cell has more skip connections than this, and keep the last genotype
    that had not."""
