"""`darts-tf derive`: another choice of the genotype of a finished search, e.g. within a budget."""

from __future__ import annotations

from darts_tf.cli import output
from darts_tf.cli.jobs import introduced, show_round
from darts_tf.configs import DeriveConfig
from darts_tf.runtime.outputs import check_output_file
from darts_tf.search.reselection import choose_again
from darts_tf.spaces.collapse import BOUNDED, COLLAPSED, describe_collapse
from darts_tf.training.images import dataset_of


def run(config: DeriveConfig) -> int:
    """Prints the genotype, a warning if it is degenerate, and its network's cost if bounded."""
    if config.output:
        check_output_file("output", config.output, config.overwrite)
    genotype, cost = choose_again(
        config, lambda search: introduced(lambda: dataset_of(search)), show_round
    )
    if cost:
        output.result(f"{cost}\n")
    output.result(str(genotype))
    if degenerate := describe_collapse(genotype):
        output.result(f"\nwarning: {degenerate}: {BOUNDED if config.budget else COLLAPSED}")
    if config.output:
        genotype.save(config.output)
        output.result(f"\ngenotype: {config.output}")
    return 0
