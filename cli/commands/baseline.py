"""`darts-tf baseline`: search for cells without a supernet."""

from __future__ import annotations

from darts_tf.cli import jobs
from darts_tf.cli.jobs import begin, end_of_search, introduced, prepare
from darts_tf.cli.trials import ready, show, show_made, summarise
from darts_tf.configs import BaselineConfig
from darts_tf.spaces.mutation import genotype_of
from darts_tf.studies.baseline import baseline
from darts_tf.studies.study import allowance_of
from darts_tf.studies.workers import role
from darts_tf.training.images import dataset_of, train


def run(config: BaselineConfig) -> int:
    """Tries genotypes, prints a line for each, and prints the best."""
    ready()
    allowance_of(config.budget)  # reports an invalid budget before data is loaded
    if role() != "worker":
        prepare(config)
        begin("baseline", config)
    dataset = introduced(lambda: dataset_of(config))
    oracle = jobs.kept_on_stop(config.workdir, lambda: baseline(config, dataset, show, _train))
    if role() == "worker":
        return 0
    summarise(oracle)
    end_of_search("baseline", config, genotype_of(oracle.best().hyperparameters.values))
    return 0


def _train(config, genotype, dataset) -> None:
    metrics = train(config, genotype, dataset)
    show_made(config.workdir.name, metrics)
