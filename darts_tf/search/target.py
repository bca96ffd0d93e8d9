"""The target network of a search, to which a budget or a cost penalty applies, and its costs."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable

import numpy as np

from darts_tf.configs import BudgetConfig, kind_of
from darts_tf.configs.budgets import parsed_budget
from darts_tf.configs.images import check_cells, training_recipe
from darts_tf.costs import latency_table
from darts_tf.costs.pareto import derive_within
from darts_tf.costs.parts import Target, all_parts
from darts_tf.costs.tables import CellCosts, cell_costs
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.models.counting import checked_target, cost_table
from darts_tf.models.network import check_stack
from darts_tf.runs import files
from darts_tf.runs.alphas import load_space
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import DARTS, SPACES, Space
from darts_tf.spaces.zoo import load_genotype


def target_of(
    config: BudgetConfig,
    preset: str,
    space: Space,
    classes: int,
    image_size: tuple[int, int],
    image_channels: int,
) -> Target:
    """Returns the network to which a budget applies.

    Settings that the budget does not have are those of the preset's training.

    Args:
        config: settings of the budget.
        preset: preset of the search.
        space: search space.
        classes: number of classes.
        image_size: rows and columns of the images of the search.
        image_channels: 3 for color images, 1 for grayscale.

    Raises:
        InputError: images too small for the network, or sizes that the cells' network cannot have.
    """
    check_cells("budget_cells", config.budget_cells, space.genotype_class)
    recipe = training_recipe(preset, space.genotype_class)

    def chosen(name):
        setting = getattr(config, f"budget_{name}")
        return recipe[name] if setting is None else setting

    side, stem = config.budget_image_size, chosen("stem")
    size = image_size if side is None else (side, side)
    check_stack(space.genotype_class, chosen("cells"), stem)
    sizes = (chosen("channels"), chosen("cells"), *size)
    stages = space.genotype_class.stages
    return checked_target(Target(*sizes, stem, classes, image_channels, stages))


def target_of_run(folder: pathlib.Path) -> Target | None:
    """Returns the network that `darts-tf train` makes of the cells of a run.

    Args:
        folder: folder of a search, whose recipe is that of its preset, or of a training.

    Returns:
        The network; None for runs on text and jobs of many runs.

    Raises:
        InputError: a file of the run cannot be read.
    """
    stored = files.read_json(files.existing(folder, files.CONFIG))
    kind = kind_of(stored)
    if kind.on_text or not (kind.searches or kind.trains):
        return None
    if kind.trains:
        path = files.existing(folder, files.GENOTYPE)
        recipe, genotype_class = stored, type(load_genotype(path))
    else:
        genotype_class = load_space(folder).genotype_class
        recipe = training_recipe(stored["preset"], genotype_class)
    classes, size, image_channels = images_of_run(folder)
    sizes = (recipe["channels"], recipe["cells"], *size, recipe["stem"])
    return checked_target(Target(*sizes, classes, image_channels, genotype_class.stages))


def images_of_run(folder: pathlib.Path) -> tuple[int, tuple[int, int], int]:
    """Returns the number of classes of a run, and rows and columns and channels of its images.

    Raises:
        InputError: the file of the run's dataset cannot be read.
    """
    classes, fields = files.read_dataset(files.existing(folder, files.DATASET))
    images = Preprocessing.from_dict(fields)
    return len(classes), (images.height, images.width), images.channels


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
        table = cost_table(metric, all_parts(target, space))
    return cell_costs(table, target, space)


def within_budget(
    config: BudgetConfig, target: Target, space: Space = SPACES[DARTS], **options
) -> Callable[..., AnyGenotype] | None:
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
    equal = [np.zeros(table.shape) for table in costs.tables]
    derived = functools.partial(derive_within, budget, costs, **options)
    derived(*equal)  # fails before the search if no cells meet the budget
    return derived
