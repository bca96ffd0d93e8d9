"""Settings of costs: budgets of networks, cost penalties and latency measurements."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Literal

from darts_tf.configs.base import Config, setting
from darts_tf.configs.budgets import checked_budget, parsed_budget
from darts_tf.errors import InputError
from darts_tf.spaces.search_spaces import DARTS, SPACES

Stem = Literal["cifar", "imagenet"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetConfig(Config):
    """Settings of the budget for the network built from the derived cells."""

    group = "budget"

    budget: str | None = setting(None, read=checked_budget, common=True)
    """Maximum cost of the network built from the derived cells: latency=12ms, macs=600M, params=3M
    or bytes=5MB (of its TFLite file). Exact optimization finds the strongest cells within it."""
    budget_channels: int | None = setting(None, "positive")
    """Channels of the budget's network; its channels, cells and stem are by default those of
    `darts-tf train` with the search's preset."""
    budget_cells: int | None = setting(None, "positive")
    """Number of cells of the budget's network, 3 or more; in the space of NAS-Bench-201 those of
    each stage."""
    budget_stem: Stem | None = None
    """First layers of the budget's network."""
    budget_image_size: int | None = setting(None, "8 or more")
    """Height and width of the images of the budget's network; by default those of the search."""
    latency_table: pathlib.Path | None = setting(None, names="file")
    """File written by `darts-tf profile` for the budget's network; required for latencies."""
    latency_threads: int = setting(1, "positive")
    """Number of threads the latency table must have been measured with."""
    latency_of_any_machine: bool = False
    """Accept a latency table of any machine, runtime and number of threads: for networks that will
    run elsewhere."""

    def __post_init__(self):
        super().__post_init__()
        if self.latency_table is None and "latency" in self.metrics():
            raise InputError(
                "Expected latency_table with latencies, the file of darts-tf profile. "
                "Received: none"
            )

    def metrics(self) -> set[str]:
        """Returns the metrics, keys of `UNITS`, that the settings need."""
        return set() if self.budget is None else {parsed_budget(self.budget).metric}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostConfig(BudgetConfig):
    """Settings of the cost penalty in a search."""

    group = "budget"

    cost: Literal["macs", "params", "bytes", "latency"] | None = None
    """Penalize this cost in the search: the expected cost of the budget's network under the alphas
    is added to their loss."""
    cost_weight: float = setting(0.1, "zero or more")
    """Weight of the cost penalty, which is relative to the expected cost at the search's start."""

    def metrics(self) -> set[str]:
        """Returns the metrics, keys of `UNITS`, that the settings need."""
        return super().metrics() | ({self.cost} - {None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProfileConfig(Config):
    """Measure the latency of every part of a network, as a table for search and derive."""

    output: pathlib.Path = setting(dataclasses.MISSING)
    """File for the table."""
    channels: int = setting(16, "positive")
    """Channels of the network's first cell."""
    cells: int = setting(5, "positive")
    """Number of cells of the network, 3 or more; in the space of NAS-Bench-201 those of each
    stage."""
    stem: Stem = "cifar"
    """First layers: `cifar` keeps the image size, `imagenet` divides it by eight."""
    image_size: int | None = setting(None, "8 or more")
    """Height and width of the images; by default 32, or 224 with the ImageNet stem."""
    image_channels: Literal[1, 3] = 3
    """1 for grayscale images, 3 for color images."""
    classes: int | None = setting(None, "positive")
    """Classes of the network; by default 10, or 1000 with the ImageNet stem."""
    space: Literal[(*SPACES,)] = setting(DARTS, is_open=True)
    """Search space whose operations are measured; see darts-tf search."""
    threads: int = setting(1, "positive")
    """Number of threads of the runtime."""
    seconds: float = setting(0.2, "positive")
    """Seconds spent on measuring each part."""
