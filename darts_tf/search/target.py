"""The target network of a search, to which a budget or a cost penalty applies, and its costs."""

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
    """Returns the network to which a budget applies.

    Settings that the budget does not have are those of the preset's training.

    Args:
        config: settings of the budget.
        preset: preset of the search.
        classes: number of classes.
        image_size: rows and columns of the images of the search.
        image_channels: 3 for color images, 1 for grayscale.

    Raises:
        InputError: images too small for the network.
    """
    recipe = TrainConfig.presets.get(preset, {})

    def chosen(name):
        setting = getattr(config, f"budget_{name}")
        return recipe.get(name, getattr(TrainConfig, name)) if setting is None else setting

    side, stem = config.budget_image_size, chosen("stem")
    size = image_size if side is None else (side, side)
    sizes = (chosen("channels"), chosen("cells"), *size)
    return checked_target(Target(*sizes, stem, classes, image_channels))


def costs_of(
    config: BudgetConfig, metric: str, target: Target, space: Space = SPACES[DARTS]
) -> CellCosts:
    """Returns the cost that every choice in the cells adds to a network.

    Args:
        config: settings of the budget, with the latency table if latency is the metric.
        metric: a key of `budgets.UNITS`.
        target: the network.
        space: search space of its cells.

    Raises:
        InputError: the table cannot be used, or lacks parts of the network.
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
    """Returns a function that derives the best cells within the budget from alphas.

    Args:
        config: settings of the budget.
        target: the network to which it applies.
        space: search space of its cells.
        **options: keyword arguments of `derive_within`.

    Returns:
        The function; None if there is no budget.

    Raises:
        InputError: no cells meet the budget, or as in `costs_of`.
    """
    if config.budget is None:
        return None
    budget = parsed_budget(config.budget)
    costs = costs_of(config, budget.metric, target, space)
    equal = [np.zeros(table.shape) for table in (costs.normal, costs.reduce)]
    derived = functools.partial(derive_within, budget, costs, **options)
    derived(*equal)  # fails before the search if no cells meet the budget
    return derived
