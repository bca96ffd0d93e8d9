"""The cells of a finished search, chosen anew by another rule or within other limits."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

from darts_tf.configs import DeriveConfig, SearchConfig
from darts_tf.configs.budgets import Budget, parsed_budget
from darts_tf.configs.selections import SELECTIONS, STRENGTH
from darts_tf.costs.pareto import derive_within
from darts_tf.costs.parts import Target
from darts_tf.costs.tables import CellCosts
from darts_tf.data import ImageDataset
from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runs.alphas import load_alphas, load_space
from darts_tf.runs.folder import resumed
from darts_tf.search import perturbation_selection
from darts_tf.search.images import build_trainer
from darts_tf.search.selection import Context, check_rule, choose
from darts_tf.search.target import costs_of, images_of_run, target_of
from darts_tf.spaces.derivation import derive_recurrent
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.search_spaces import Space


class Choice(NamedTuple):
    """Cells that are chosen anew.

    Attributes:
        genotype: the cells.
        cost: the cost of their network within the budget, in words; None without a budget.
    """

    genotype: AnyGenotype
    cost: str | None = None


def choose_again(
    config: DeriveConfig,
    load: Callable[[SearchConfig], ImageDataset],
    report: Callable[[dict], None] | None = None,
) -> Choice:
    """Chooses the cells of a finished search by another rule or within other limits.

    Args:
        config: the folder of the search, the rule and the limits.
        load: loads the dataset of a search from its settings, for a rule that needs the supernet.
        report: called after every round of a rule that needs the supernet; see
            `perturbation_selection.select`.

    Raises:
        InputError: no finished search on such data, or as `choose`.
    """
    stages = config.workdir / files.STAGES
    if stages.is_dir():
        last = max(stages.iterdir(), key=lambda folder: int(folder.name))
        raise InputError(
            f"Expected one stage of this search, such as {last}. Received: all of them"
        )
    alphas = load_alphas(config.workdir)
    if len(alphas) == 1 and not (config.workdir / files.EDGE_PRIMITIVES).exists():
        _check_no_limits(config)
        return Choice(derive_recurrent(*alphas))
    selection = SELECTIONS[config.selection]
    if not selection.obeys_limits and not selection.needs_supernet:  # independent of the settings
        context = Context(load_space(config.workdir))
        check_rule(config.selection, context, len(alphas) > len(context.space.kinds))
        return Choice(choose(config.selection, context, alphas))
    search = resumed(SearchConfig, config.workdir)
    space = load_space(config.workdir)
    context = Context(space, search.relaxation, config.max_skips)
    if selection.needs_supernet:
        measure = _measurement(config, search, space, load, report)
        context = dataclasses.replace(context, measure_supernet=measure)
    if config.budget is None:
        return Choice(choose(config.selection, context, alphas))
    costs, target = _costs(config, search, space)
    budget = parsed_budget(config.budget)
    limits = {"relaxation": search.relaxation, "max_skips": config.max_skips}
    within = functools.partial(derive_within, budget, costs, **limits)
    context = dataclasses.replace(context, within_budget=within)
    genotype = choose(config.selection, context, alphas)
    cost = Budget(budget.metric, costs.total(genotype))
    return Choice(genotype, f"{cost} of {budget}: {target}")


def _check_no_limits(config: DeriveConfig) -> None:
    """Refuses settings that a recurrent cell does not have."""
    for name in ("budget", "max_skips", "selection"):
        value = getattr(config, name)
        if value not in (None, STRENGTH):
            raise InputError(
                f"Expected a search on images for {name}={shown(value)}. "
                f"Received: {str(config.workdir)!r}, a search on text"
            )


def _costs(config: DeriveConfig, search: SearchConfig, space: Space) -> tuple[CellCosts, Target]:
    """Returns the costs of all choices and the network that they are of.

    Settings of the budget that are not given are those of the search.
    """
    names = ("budget_channels", "budget_cells", "budget_stem", "budget_image_size")
    missing = {name: getattr(search, name) for name in names if getattr(config, name) is None}
    config = dataclasses.replace(config, **missing)
    target = target_of(config, search.preset, space, *images_of_run(config.workdir))
    return costs_of(config, parsed_budget(config.budget).metric, target, space), target


def _measurement(
    config: DeriveConfig,
    search: SearchConfig,
    space: Space,
    load: Callable[[SearchConfig], ImageDataset],
    report: Callable[[dict], None] | None,
) -> Callable[[], AnyGenotype]:
    """Returns the selection on the supernet of a finished search, as a function."""
    if search.relaxation not in SELECTIONS[config.selection].relaxations:
        known = " or ".join(SELECTIONS[config.selection].relaxations)
        raise InputError(
            f"Expected a search by {known} for a selection by {config.selection}. "
            f"Received: {str(config.workdir)!r}, one by {search.relaxation}"
        )
    dataset = load(search)
    sizes = len(dataset.classes), dataset.preprocessing.channels
    build = functools.partial(build_trainer, search, *sizes, space)
    seed = search.seed if config.seed is None else config.seed
    settings = perturbation_selection.SelectionSettings(
        config.selection_epochs, seed, config.selection_images
    )
    return functools.partial(
        perturbation_selection.select_again, search, dataset, build, settings, report
    )
