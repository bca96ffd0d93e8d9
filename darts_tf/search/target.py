"""What a search's cells are for: the network of a budget or penalty, and what it costs."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from darts_tf.configs import BudgetConfig, TrainConfig
from darts_tf.configs.budgets import parsed_budget
from darts_tf.costs import latency_table
from darts_tf.costs.pareto import derive_within
from darts_tf.costs.parts import Target, all_parts
from darts_tf.costs.tables import CellCosts, cell_costs
from darts_tf.models.counting import checked_target, cost_table
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space


def target_of(
    config: BudgetConfig,
    preset: str,
    classes: int,
    image_size: tuple[int, int],
    image_channels: int,
) -> Target:
    """The network that a budget is for: as trained by the preset, where nothing else is asked for.

    Args:
        config: settings of the budget.
        preset: of the search.
        classes: number of labels.
        image_size: rows and columns of the images of the search.
        image_channels: 3 for colour, 1 for gray.

    Raises:
        InputError: images too small for the network.
    """
    recipe = TrainConfig.presets.get(preset, {})

    def chosen(name):
        given = getattr(config, f"budget_{name}")
        return recipe.get(name, getattr(TrainConfig, name)) if given is None else given

    side, stem = config.budget_image_size, chosen("stem")
    size = image_size if side is None else (side, side)
    sizes = (chosen("channels"), chosen("cells"), *size)
    return checked_target(Target(*sizes, stem, classes, image_channels))


def costs_of(
    config: BudgetConfig, metric: str, target: Target, space: Space = SPACES[DARTS]
) -> CellCosts:
    """What every choice in the cells adds to the cost of a network.

    Args:
        config: names the table of latencies, where they are the metric.
        metric: a key of `budgets.UNITS`.
        target: the network.
        space: of its cells.

    Raises:
        InputError: the table cannot be used, or has not all parts of the network.
    """
    if metric == latency_table.METRIC:
        threads = None if config.latency_of_any_machine else config.latency_threads
        table = latency_table.load(config.latency_table, threads)
    else:
        table = cost_table(metric, all_parts(target, space.nodes, space.all_primitives))
    return cell_costs(table, target, space)


def within_budget(
    config: BudgetConfig, target: Target, space: Space = SPACES[DARTS], **options
) -> Callable[..., Genotype] | None:
    """A function of alphas: the best cells within the budget; None where there is none.

    Args:
        config: settings of the budget.
        target: the network that it is for.
        space: of its cells.
        **options: of `derive_within`.

    Raises:
        InputError: no cells are within the budget, or as `costs_of`.
    """
    if config.budget is None:
        return None
    budget = parsed_budget(config.budget)
    costs = costs_of(config, budget.metric, target, space)
    equal = [np.zeros(table.shape) for table in (costs.normal, costs.reduce)]
    derived = functools.partial(derive_within, budget, costs, **options)
    derived(*equal)  # a budget that no cells meet is told at once
    return derived
