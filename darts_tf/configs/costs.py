"""Settings of costs: what networks may cost, and how that is measured and met."""

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
    """What the network of the derived cells may cost."""

    budget: str | None = setting(None, read=checked_budget)
    """The most that the network of the derived cells may cost: latency=12ms, macs=600M, params=3M
    or bytes=5MB (of its TFLite file). The strongest cells within it are derived, exactly."""
    budget_channels: int | None = setting(None, "positive")
    """Channels of that network; by default, as its cells and stem, those of `darts-tf train` with
    the search's preset."""
    budget_cells: int | None = setting(None, "3 or more")
    """Cells of that network."""
    budget_stem: Stem | None = None
    """First layers of that network."""
    budget_image_size: int | None = setting(None, "8 or more")
    """Height and width of its images; by default those of the search."""
    latency_table: pathlib.Path | None = None
    """What `darts-tf profile` has measured for that network; for latencies."""
    latency_threads: int = setting(1, "positive")
    """With how many threads the table must have been measured."""
    latency_of_any_machine: bool = False
    """Take the table whatever machine, runtime and threads it was measured with: for networks that
    will run elsewhere."""

    def __post_init__(self):
        super().__post_init__()
        if self.latency_table is None and "latency" in self.metrics():
            raise InputError(
                "Expected latency_table with latencies, the file of darts-tf profile. "
                "Received: none"
            )

    def metrics(self) -> set[str]:
        """In what costs are to be counted."""
        return set() if self.budget is None else {parsed_budget(self.budget).metric}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostConfig(BudgetConfig):
    """How a search is led to cells that cost little."""

    cost: Literal["macs", "params", "bytes", "latency"] | None = None
    """Lead the search to cells of little such cost: what it is expected to be, of the network that
    a budget would be for, is added to the loss of the alphas."""
    cost_weight: float = setting(0.1, "zero or more")
    """Weight of that cost in the loss, as a multiple of what it is when a search begins."""

    def metrics(self) -> set[str]:
        """In what costs are to be counted."""
        return super().metrics() | ({self.cost} - {None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProfileConfig(Config):
    """Measure how long every part of a network takes, as a table for search and derive."""

    output: pathlib.Path
    """File for the table."""
    channels: int = setting(16, "positive")
    """Channels of the network's first cell."""
    cells: int = setting(5, "3 or more")
    """Cells of the network."""
    stem: Stem = "cifar"
    """First layers: `cifar` keeps the image's size, `imagenet` divides it by eight."""
    image_size: int | None = setting(None, "8 or more")
    """Height and width of the images; by default 32, or 224 with the ImageNet stem."""
    image_channels: Literal[1, 3] = 3
    """1 for gray images, 3 for colour."""
    classes: int | None = setting(None, "positive")
    """Classes of the network; by default 10, or 1000 with the ImageNet stem."""
    space: Literal[(*SPACES,)] = setting(DARTS, is_open=True)
    """Search space whose operations and nodes the network may have; see darts-tf search."""
    threads: int = setting(1, "positive")
    """Threads of the runtime."""
    seconds: float = setting(0.2, "positive")
    """Seconds for which each part is measured."""
