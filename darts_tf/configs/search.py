"""Settings of the relaxation, early stopping and selection of a search."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Literal

from darts_tf.configs.base import Config, names, setting
from darts_tf.configs.run import ArchConfig
from darts_tf.configs.selections import SELECTIONS, STRENGTH
from darts_tf.errors import InputError, shown
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space

REGULARIZED = {
    "beta-decay": ("softmax", "gumbel"),
    "zero-one": ("sigmoid",),
    "concentration": ("dirichlet",),
}
"""Relaxations that each regularizer is made for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RelaxationConfig(ArchConfig):
    """Settings of the relaxation of a search, and of its regularization."""

    group = "search method"

    space: Literal[(*SPACES,)] = setting(DARTS, is_open=True)
    """Search space, the candidate operations per edge and the nodes per cell: `darts` is the
    paper's, eight operations and four nodes. Those of Robust DARTS: `s1` has two operations per
    edge, `s2` only skip connections and 3x3 separable convolutions, `s3` also `none`, `s4` such
    convolutions and noise. `nas-bench-201` is one cell of three nodes with an operation on every
    edge, five to choose from, in a network of three stages."""
    relaxation: Literal["softmax", "sigmoid", "gumbel", "dirichlet"] = "softmax"
    """Mixture weights of an edge's operations: a softmax of its alphas, a sigmoid of each alpha
    (Fair DARTS), one operation sampled in each step (GDAS), at a temperature that falls from 10 to
    0.1, or weights sampled from a Dirichlet distribution (DrNAS)."""
    regularizer: Literal["auto", "none", "beta-decay", "zero-one", "concentration"] = "auto"
    """Regularizer in the loss of the alphas: `beta-decay` keeps them small (beta-DARTS), for
    softmax and gumbel; `zero-one` drives sigmoids to 0 or 1 (Fair DARTS), the default there;
    `concentration` keeps those of dirichlet near 1 (DrNAS), the default there."""
    regularizer_weight: float | None = setting(None, "zero or more")
    """Weight of the regularizer; that of beta-decay grows from 0 to it over the epochs. By default
    the papers': 50 for beta-decay, 10 for zero-one, 0.001 for concentration."""
    perturb: Literal["none", "random", "adversarial"] = "none"
    """Move the mixture weights in the update steps of the network's weights (SmoothDARTS): by
    uniform noise, or to where the training loss is high, found in seven passes; for softmax."""
    perturb_radius: float = setting(0.3, "zero or more")
    """Radius of this perturbation in the last epoch; it grows from 0.03 over the epochs."""
    alignment_weight: float = setting(0.0, "zero or more")
    """Weight of the layer alignment in the loss of the network's weights (Lambda-DARTS), so that
    cells that share alphas agree about them; it grows from 0 over the epochs, and updates of the
    weights take three times as long. 0 for none; 0.125 in the authors' code."""
    op_dropout: float = setting(0.0, "from 0 to below 1")
    """Dropout rate of skip connections (P-DARTS). It decreases over the epochs before
    arch_from_epoch, restarts there, and decreases again."""

    stages: tuple[str, ...] = setting((), read=names)
    """Search in stages (P-DARTS): each stage has a deeper supernet and keeps the best operations of
    the stage before. Written cells:operations:op_dropout, as in 5:8:0,11:5:0.4,17:3:0.7; each stage
    runs the full number of epochs."""

    def __post_init__(self):
        super().__post_init__()
        _check_stages(self.stages, SPACES[self.space])
        fitting = REGULARIZED.get(self.regularizer)
        if fitting and self.relaxation not in fitting:
            raise InputError(
                f"Expected regularizer={self.regularizer} with relaxation={' or '.join(fitting)}. "
                f"Received: relaxation={self.relaxation}"
            )
        if self.alignment_weight and self.perturb != "none":
            raise InputError(
                "Expected alignment_weight with perturb=none, since both move the mixture weights "
                f"in the updates of the network's weights. Received: perturb={self.perturb}"
            )
        if self.perturb != "none" and self.relaxation != "softmax":
            raise InputError(
                f"Expected perturb={self.perturb} with relaxation=softmax. "
                f"Received: relaxation={self.relaxation}"
            )

    def stage(self, number: int):
        """Returns the settings of one stage, a search in a subfolder of the run.

        Args:
            number: index of the stage, counted from 0. Stage 0 searches over all operations.
        """
        cells, _, rate = _parsed(self.stages[number])
        folder = self.workdir / "stages" / str(number + 1)
        own = {"cells": cells, "op_dropout": rate, "workdir": folder}
        return dataclasses.replace(self, **own, stages=(), overwrite=False)

    @property
    def last_folder(self) -> pathlib.Path:
        """Folder of the search that derives the final cells: the last stage's, or the run's."""
        return self.stage(len(self.stages) - 1).workdir if self.stages else self.workdir

    @property
    def stage_operations(self) -> list[int]:
        """Number of operations per edge in each stage."""
        return [_parsed(stage)[1] for stage in self.stages]

    @property
    def chosen_regularizer(self) -> str | None:
        """Name of the regularizer with "auto" resolved; None for none."""
        if self.regularizer == "auto":
            return {"sigmoid": "zero-one", "dirichlet": "concentration"}.get(self.relaxation)
        return None if self.regularizer == "none" else self.regularizer


def _parsed(stage: str) -> tuple[int, int, float]:
    """Returns the number of cells, the number of operations and the dropout rate of a stage.

    Raises:
        ValueError: the text is not three numbers separated by colons.
    """
    cells, operations, rate = stage.split(":")
    return int(cells), int(operations), float(rate)


def _check_stages(stages: tuple[str, ...], space: Space):
    first, *others = space.columns
    if stages and others not in ([], [first]):
        raise InputError(
            "Expected a space with as many operations on all edges for stages. "
            f"Received: {first} in normal cells, {others[0]} in reductions"
        )
    fewest = space.genotype_class.fewest_cells
    try:
        parsed = [_parsed(stage) for stage in stages]
    except ValueError:
        parsed = [(0, 0, 0.0)]
    operations = [count for _, count, _ in parsed]
    fine = all(cells >= fewest and count >= 2 and 0 <= rate < 1 for cells, count, rate in parsed)
    falling = operations == sorted(operations, reverse=True)
    if stages and not (fine and falling and operations[0] == first):
        raise InputError(
            f"Expected stages as cells:operations:op_dropout, {fewest} cells or more and fewer "
            f"operations from stage to stage, {first} in the first and 2 at least. "
            f"Received: stages={','.join(stages)}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoppingConfig(Config):
    """Settings of the eigenvalue measure and the early stop, for every search."""

    group = "search method"

    eigenvalue: bool = False
    """Measure after every epoch the dominant eigenvalue of the Hessian of the validation loss with
    respect to the alphas, which grows when a search is about to collapse (Robust DARTS)."""
    stop_eigenvalue: bool = False
    """Stop when the eigenvalue has grown, and keep the genotype from before it grew."""
    stop_window: int = setting(5, "positive")
    """Number of epochs in each of the two means of the eigenvalue that are compared: that of the
    last epochs, and that of the epochs before them."""
    stop_factor: float = setting(1.3, "positive")
    """Largest allowed ratio of the later mean of the eigenvalue to the earlier one."""
    stop_from_epoch: int = setting(10, "positive")
    """First epoch, counted from 1, after which the eigenvalue may stop the search."""

    until_decided: bool = False
    """Stop when every choice of the cells is decided, so that `epochs` is only the bound; needs
    restart_every."""

    def __post_init__(self):
        super().__post_init__()
        if self.until_decided and not getattr(self, "restart_every", None):
            raise InputError(
                "Expected restart_every with until_decided: without restarts of weights nothing "
                "is known about how sure the choices are. Received: restart_every=None"
            )

    @property
    def measures_eigenvalue(self) -> bool:
        """True if the eigenvalue is requested, as a measure or for the early stop."""
        return self.eigenvalue or self.stop_eigenvalue


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectionConfig(Config):
    """Settings of the selection of the final cells."""

    group = "search method"

    max_skips: int | None = setting(None, "zero or more")
    """Maximum number of skip connections in the normal cell: the weakest are replaced by the next
    best choice (P-DARTS)."""
    selection: Literal[(*SELECTIONS,)] = setting(STRENGTH, is_open=True)
    """Selection rule of the cells: `strength` takes the largest alphas; `perturbation` the
    operations whose removal lowers the supernet's validation accuracy most (DARTS-PT), which takes
    as long as many epochs of the search."""
    selection_epochs: int = setting(1, "zero or more")
    """Epochs of fine-tuning of the weights after each choice by perturbation; 5 in the paper."""
    selection_images: int | None = setting(None, "positive")
    """Maximum number of validation images that choices by perturbation are measured on; by default
    all."""

    def __post_init__(self):
        super().__post_init__()
        for name in ("max_skips", "budget"):
            value = getattr(self, name, None)
            if not SELECTIONS[self.selection].obeys_limits and value is not None:
                raise InputError(
                    f"Expected {name} with selection='strength'. "
                    f"Received: {name}={shown(value)}, selection={self.selection!r}"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollapseConfig(StoppingConfig, SelectionConfig):
    """Settings of the collapse measures, early stops and selection of a search on images."""

    group = "search method"

    discretisation_gap: bool = False
    """Measure after every epoch how much the supernet's validation accuracy falls when it is
    reduced to the edges and operations of the genotype."""
    stop_skips: int | None = setting(None, "zero or more")
    """Stop when the normal cell has more skip connections than this, and keep the last genotype
    that does not."""
    stop_operations: float | None = setting(None, "from 0 to below 1")
    """Stop training the weights of an operation when the cosine of their gradients on training and
    validation batches has a mean below this (OLES); 0.4 in the authors' code. For
    arch_gradient=first_order."""
    stop_operations_steps: int = setting(20, "positive")
    """Number of steps in the means of stop_operations."""
