"""Settings of how a search on images relaxes the choice of operations, and of what guards it."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Literal

from darts_tf.configs.base import Config, names, setting
from darts_tf.configs.run import ArchConfig
from darts_tf.configs.selections import SELECTIONS, STRENGTH
from darts_tf.errors import InputError, shown
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelaxationConfig(ArchConfig):
    """How a search mixes operations, and what keeps its alphas from collapsing."""

    space: Literal[(*SPACES,)] = setting(DARTS, is_open=True)
    """What edges choose from, and how many nodes a cell has: `darts` is the paper's, eight
    operations and four nodes; `s2` has skip connections and 3x3 convolutions alone, `s3` these and
    no edge (Robust DARTS)."""
    relaxation: Literal["softmax", "sigmoid", "gumbel"] = "softmax"
    """How alphas weigh the operations of an edge: by a softmax, each by a sigmoid (Fair DARTS), or
    with one of them drawn in each step (GDAS), at a temperature that falls from 10 to 0.1."""
    regularizer: Literal["auto", "none", "beta-decay", "zero-one"] = "auto"
    """What is added to the loss of the alphas: `beta-decay` keeps them small (beta-DARTS), for
    softmax and gumbel; `zero-one` drives sigmoids to 0 or 1 (Fair DARTS), their default."""
    regularizer_weight: float | None = setting(None, "zero or more")
    """Its factor, to which that of beta-decay grows from 0 over the epochs; by default the papers':
    50 for beta-decay, 10 for zero-one."""
    perturb: Literal["none", "random"] = "none"
    """Add uniform noise to what the operations are weighed by, in steps in which the network's
    weights learn (SmoothDARTS); for softmax."""
    perturb_radius: float = setting(0.3, "zero or more")
    """Largest noise, to which it grows from 0.03 over the epochs."""
    op_dropout: float = setting(0.0, "from 0 to below 1")
    """Rate of dropout on skip connections (P-DARTS). It falls over the epochs before
    arch_from_epoch, and once more from there on."""

    stages: tuple[str, ...] = setting((), read=names)
    """Search in stages (P-DARTS), in deeper supernets with the best operations of the stage before:
    cells:operations:op_dropout of each, as in 5:8:0,11:5:0.4,17:3:0.7, with so many epochs each."""

    def __post_init__(self):
        super().__post_init__()
        _check_stages(self.stages, SPACES[self.space])
        for name, only in (("beta-decay", ("softmax", "gumbel")), ("zero-one", ("sigmoid",))):
            if self.regularizer == name and self.relaxation not in only:
                raise InputError(
                    f"Expected regularizer={name} with relaxation={' or '.join(only)}. "
                    f"Received: relaxation={self.relaxation}"
                )
        if self.perturb != "none" and self.relaxation != "softmax":
            raise InputError(
                f"Expected perturb={self.perturb} with relaxation=softmax. "
                f"Received: relaxation={self.relaxation}"
            )

    def stage(self, number: int):
        """The settings of one stage, counted from 0: a search of its own within the run's folder.

        The first stage has all operations.
        """
        cells, _, rate = _parsed(self.stages[number])
        folder = self.workdir / "stages" / str(number + 1)
        own = {"cells": cells, "op_dropout": rate, "workdir": folder}
        return dataclasses.replace(self, **own, stages=(), overwrite=False)

    @property
    def last_folder(self) -> pathlib.Path:
        """Folder of the search that ends with the cells: that of the last stage, or the run's."""
        return self.stage(len(self.stages) - 1).workdir if self.stages else self.workdir

    @property
    def stage_operations(self) -> list[int]:
        """How many operations an edge has in each stage."""
        return [_parsed(stage)[1] for stage in self.stages]

    @property
    def chosen_regularizer(self) -> str | None:
        """The regulariser by its name; None for none."""
        if self.regularizer == "auto":
            return "zero-one" if self.relaxation == "sigmoid" else None
        return None if self.regularizer == "none" else self.regularizer


def _parsed(stage: str) -> tuple[int, int, float]:
    """Cells, operations and rate of dropout.

    Raises:
        ValueError: there are more, fewer, or others than numbers.
    """
    cells, operations, rate = stage.split(":")
    return int(cells), int(operations), float(rate)


def _check_stages(stages: tuple[str, ...], space: Space):
    normal, reduce = space.columns
    if stages and normal != reduce:
        raise InputError(
            "Expected a space with as many operations on all edges for stages. "
            f"Received: {normal} in normal cells, {reduce} in reductions"
        )
    try:
        parsed = [_parsed(stage) for stage in stages]
    except ValueError:
        parsed = [(0, 0, 0.0)]
    operations = [count for _, count, _ in parsed]
    fine = all(cells >= 3 and count >= 2 and 0 <= rate < 1 for cells, count, rate in parsed)
    falling = operations == sorted(operations, reverse=True)
    if stages and not (fine and falling and operations[0] == normal):
        raise InputError(
            "Expected stages as cells:operations:op_dropout, 3 cells or more and fewer operations "
            f"from stage to stage, {normal} in the first and 2 at least. "
            f"Received: stages={','.join(stages)}"
        )


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
    selection: Literal[(*SELECTIONS,)] = setting(STRENGTH, is_open=True)
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
            if not SELECTIONS[self.selection].obeys_limits and value is not None:
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
