"""`darts-tf compare`: a table of genotypes, or of search methods, as in the papers."""

from __future__ import annotations

import functools

import keras

from darts_tf.cli import jobs, output
from darts_tf.cli.jobs import (
    begin,
    introduced,
    prepare,
    show_round,
    train_with_progress,
    warn_of_doubts,
)
from darts_tf.cli.progress import EpochProgress
from darts_tf.cli.trials import show
from darts_tf.configs import BaselineConfig, CompareConfig, SearchConfig, TrainConfig
from darts_tf.data import ImageDataset
from darts_tf.runs import files
from darts_tf.search.stages import search_as_asked
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.mutation import genotype_of
from darts_tf.studies import tables
from darts_tf.studies.baseline import baseline
from darts_tf.studies.compare_genotypes import (
    compare,
    named_genotypes,
    network_in_words,
    sizes_of,
)
from darts_tf.studies.compare_methods import check_methods, compare_methods
from darts_tf.training.images import dataset_of


def run(config: CompareConfig) -> int:
    """Compares, and prints the table and the paths of its files."""
    jobs.alone()
    if config.methods:  # report invalid settings before data is loaded
        check_methods(config)
    else:
        named_genotypes(config.genotypes)
    prepare(config)
    begin("compare", config)
    jobs.show_table(*jobs.kept_on_stop(config.workdir, lambda: _compare(config)))
    written = [config.workdir / name for name in files.TABLES]
    output.event("end", command="compare", run=config.workdir, tables=written)
    output.result(f"table: {' and '.join(map(str, written))}")
    return 0


def _compare(config: CompareConfig) -> tuple[list[list[str]], list[str]]:
    """Returns the rows of the table, and its notes."""
    trained = config.train or config.methods
    dataset = introduced(lambda: dataset_of(config)) if trained else None
    if config.methods:
        find = functools.partial(_find, dataset)
        results = compare_methods(config, dataset, find, _train, jobs.say)
        against = config.against
        return tables.method_table(results, against), tables.method_notes(results, against)
    rows = compare(config, dataset, _train, jobs.say)
    network = network_in_words(config, rows, sizes_of(config, dataset))
    return tables.genotype_table(rows, config.stem), tables.genotype_notes(rows, network)


def _train(config: TrainConfig) -> None:
    train_with_progress(config)
    keras.backend.clear_session()  # free the memory of this network


def _find(dataset: ImageDataset, config: SearchConfig | BaselineConfig) -> Genotype:
    try:
        if config.searches:
            with EpochProgress(config.epochs, config.arch_from_epoch, config.workdir) as progress:
                reports = {"report": progress.report, "report_selection": show_round}
                genotype = search_as_asked(config, dataset, callbacks=(progress,), **reports)
            warn_of_doubts(config)
            return genotype
        return genotype_of(baseline(config, dataset, show).best().hyperparameters.values)
    finally:
        keras.backend.clear_session()
