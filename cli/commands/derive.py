"""`darts-tf derive`: another choice of the genotype of a finished search, e.g. within a budget."""

from __future__ import annotations

import dataclasses
import functools

from darts_tf.cli import startup
from darts_tf.cli.jobs import dataset_of, show_round

from darts_tf import registry
from darts_tf.configs import DeriveConfig, SearchConfig
from darts_tf.configs.budgets import Budget, parsed_budget
from darts_tf.costs.pareto import derive_within
from darts_tf.costs.parts import Target
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError, shown
from darts_tf.runs import files
from darts_tf.runs.alphas import load_alphas, load_space
from darts_tf.runs.folder import resumed
from darts_tf.runtime.outputs import check_output_file
from darts_tf.search.images import build_trainer
from darts_tf.search.perturbation_selection import SelectionSettings, select_again
from darts_tf.search.selection_rules import by_rule
from darts_tf.search.target import costs_of, target_of
from darts_tf.spaces.collapse import BOUNDED, COLLAPSED, describe_collapse
from darts_tf.spaces.derivation import derive_genotype, derive_recurrent
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype


def run(config: DeriveConfig) -> int:
    """Prints the genotype, a warning if it is degenerate, and its network's cost if bounded."""
    if config.output:
        check_output_file("output", config.output, config.overwrite)
    stages = config.workdir / files.STAGES
    if stages.is_dir():
        last = max(stages.iterdir(), key=lambda folder: int(folder.name))
        raise InputError(
            f"Expected one stage of this search, such as {last}. Received: all of them"
        )
    alphas = load_alphas(config.workdir)
    if len(alphas) == 1:
        genotype = _recurrent(config, alphas)
    elif config.selection == "perturbation":
        genotype = _by_perturbation(config)
    elif config.selection in registry.SELECTIONS:
        choose = by_rule(config.selection, load_space(config.workdir), len(alphas) > 2)
        genotype = choose(*alphas)
    else:
        genotype = _by_strength(config, alphas)
    print(genotype)
    if words := describe_collapse(genotype):
        print(f"\nwarning: {words}: {BOUNDED if config.budget else COLLAPSED}")
    if config.output:
        genotype.save(config.output)
        print(f"\ngenotype: {config.output}")
    return 0


def _recurrent(config: DeriveConfig, alphas) -> RecurrentGenotype:
    asked = {name: getattr(config, name) for name in ("budget", "max_skips", "selection")}
    for name, value in asked.items():
        if value not in (None, "strength"):
            raise InputError(
                f"Expected a search on images for {name}={shown(value)}. "
                f"Received: {str(config.workdir)!r}, a search on text"
            )
    return derive_recurrent(*alphas)


def _by_strength(config: DeriveConfig, alphas) -> Genotype:
    begun = resumed(SearchConfig, config.workdir)
    options = {"relaxation": begun.relaxation, "max_skips": config.max_skips}
    space = load_space(config.workdir)
    if config.budget is None:
        return derive_genotype(space, alphas, **options)
    target, budget = _target(config, begun), parsed_budget(config.budget)
    with startup.held_stderr():
        costs = costs_of(config, budget.metric, target, space)
    genotype = derive_within(budget, costs, *alphas, **options)
    print(f"{Budget(budget.metric, costs.total(genotype))} of {budget}: {target}\n")
    return genotype


def _target(config: DeriveConfig, begun: SearchConfig) -> Target:
    """Returns the target network; settings that are not given are those of the run."""
    given = {
        name: getattr(begun, name)
        for name in ("budget_channels", "budget_cells", "budget_stem", "budget_image_size")
        if getattr(config, name) is None
    }
    config = dataclasses.replace(config, **given)
    classes, fields = files.read_dataset(files.existing(config.workdir, files.DATASET))
    images = Preprocessing.from_dict(fields)
    size = (images.height, images.width)
    return target_of(config, begun.preset, len(classes), size, images.channels)


def _by_perturbation(config: DeriveConfig) -> Genotype:
    begun = resumed(SearchConfig, config.workdir)
    if begun.relaxation == "gumbel":
        raise InputError(
            "Expected a search by softmax or sigmoid for a selection by perturbation. "
            f"Received: {str(config.workdir)!r}, one by gumbel"
        )
    dataset = dataset_of(begun)
    colours = dataset.preprocessing.channels
    space = load_space(config.workdir)
    build = functools.partial(build_trainer, begun, len(dataset.classes), colours, space)
    seed = begun.seed if config.seed is None else config.seed
    settings = SelectionSettings(config.selection_epochs, seed, config.selection_images)
    return select_again(begun, dataset, build, settings, show_round)
