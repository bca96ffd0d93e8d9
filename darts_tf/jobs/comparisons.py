"""Comparisons of genotypes and of search methods, and the choice of the best of several cells."""

from __future__ import annotations

import dataclasses
import gc
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from darts_tf.configs import BaselineConfig, CompareConfig, SelectConfig
from darts_tf.errors import InputError, shown
from darts_tf.jobs.inputs import (
    cells_of,
    config_of,
    free_folder,
    loaded,
    name_of,
    settings_of,
    suited,
    usual_preset,
)
from darts_tf.jobs.progress import Lines
from darts_tf.jobs.results import fields_of
from darts_tf.jobs.searches import find_cells
from darts_tf.jobs.trainings import Training, train_cells
from darts_tf.plots.figures import plot_genotype
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.mutation import genotype_of
from darts_tf.spaces.zoo import load_genotype
from darts_tf.studies import protocol_report, tables
from darts_tf.studies.baseline import baseline
from darts_tf.studies.compare_genotypes import compare, named_genotypes
from darts_tf.studies.compare_methods import check_methods
from darts_tf.studies.compare_methods import compare_methods as compared_methods
from darts_tf.studies.protocol import select

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """A comparison; notebooks show its table.

    Attributes:
        rows: a row of numbers for each genotype or method.
        table: headings, and a line of texts for each row.
        notes: lines below the table.
        workdir: folder of the comparison, with a run for each training.
    """

    rows: Sequence[tables.Row | tables.MethodRow]
    table: Sequence[Sequence[str]]
    notes: Sequence[str]
    workdir: pathlib.Path

    def __repr__(self) -> str:
        """Writes the folder and the names of the rows in one line."""
        return f"<Comparison in {self.workdir}: {', '.join(row.name for row in self.rows)}>"

    def _repr_markdown_(self) -> str:
        return tables.markdown_of(self.table, self.notes)


def compare_genotypes(
    genotypes: Sequence,
    data=None,
    *,
    preset: str | None = None,
    workdir=None,
    verbose: int | str = "auto",
    **settings,
) -> Comparison:
    """Compares genotypes: sizes and costs of their networks and, with data, test accuracies.

    Example:
        ```python
        darts_tf.compare_genotypes(["DARTS_V2", "PDARTS"])  # sizes and multiply-adds
        darts_tf.compare_genotypes([found, "DARTS_V2"], "photos", seeds=[0, 1, 2])
        ```

    Args:
        genotypes: each the result of a search or its folder, the name of a published genotype, or
            a file.
        data: what to train all networks on with one recipe, as in `search_cells`; None compares
            only their costs.
        preset: as in `train_network`; it sets the recipe, and so the size of the networks.
        workdir: as in `search_cells`, by default the first free one of `runs/compare-1`, ...
        verbose: as in `search_cells`.
        **settings: further flags of `darts-tf compare`, such as `seeds=[0, 1, 2]`.

    Returns:
        The comparison; notebooks show its table.

    Raises:
        InputError: unknown genotypes, or two of one name; or as in `train_network`.
    """
    say = Lines(verbose)
    own = {"genotypes": [_text(each) for each in genotypes], "train": data is not None}
    named_genotypes(own["genotypes"])
    config = settings_of(CompareConfig, data, preset, workdir, settings, **own)
    dataset = None if data is None else loaded(config, data)
    config = config if dataset is None else suited(config, dataset, settings)
    rows = compare(config, dataset, lambda run: _train(run, dataset, say), say)
    table = tables.genotype_table(rows, config.stem)
    return Comparison(rows, table, tables.genotype_notes(rows), config.workdir)


def compare_methods(
    methods: Sequence[str],
    data,
    *,
    preset: str | None = None,
    workdir=None,
    verbose: int | str = "auto",
    **settings,
) -> Comparison:
    """Compares search methods: each searches for the same time, and all cells are trained alike.

    Example:
        ```python
        darts_tf.compare_methods(["first_order", "random"], "photos", budget="time=10min")
        ```

    Args:
        methods: names of search methods, as `--methods` takes them.
        data: as in `search_cells`.
        preset: as in `train_network`.
        workdir: as in `compare_genotypes`.
        verbose: as in `search_cells`.
        **settings: further flags of `darts-tf compare`, such as `budget` and `against`.

    Returns:
        The comparison; notebooks show its table.

    Raises:
        InputError: unknown methods, or as in `train_network`.
    """
    say = Lines(verbose)
    own = {"methods": list(methods)}
    config = settings_of(CompareConfig, data, preset, workdir, settings, **own)
    check_methods(config)
    dataset = loaded(config, data)
    config = suited(config, dataset, settings)

    def find(run) -> Genotype:
        return _find(run, dataset, say)

    def train(run) -> None:
        _train(run, dataset, say)

    rows = compared_methods(config, dataset, find, train, say)
    table = tables.method_table(rows, config.against)
    return Comparison(rows, table, tables.method_notes(rows, config.against), config.workdir)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Selection:
    """Cells that are the best of several searches; notebooks show the table of all of them.

    Attributes:
        genotype: the best cells.
        training: their first full training.
        report: contents of `select.json`: all cells, accuracies and times.
        workdir: folder of the protocol, with a folder for each run.
    """

    genotype: Genotype
    training: Training
    report: Mapping[str, Any]
    workdir: pathlib.Path

    def plot(self, **options) -> Figure:
        """Draws the cells; `options` are those of `plot_genotype`."""
        return plot_genotype(self.genotype, **options)

    def __repr__(self) -> str:
        """Writes the folder and the number of searches in one line."""
        return f"<Selection in {self.workdir}: best of {len(self.report['candidates'])} searches>"

    def _repr_markdown_(self) -> str:
        return tables.markdown_of(
            protocol_report.table(self.report), protocol_report.notes(self.report)
        )


def select_genotype(
    data,
    *,
    preset: str | None = None,
    workdir=None,
    verbose: int | str = "auto",
    search: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
    **settings,
) -> Selection:
    """Searches several times, trains all cells briefly, and the best ones in full.

    Example:
        ```python
        best = darts_tf.select_genotype("photos", seeds=[0, 1, 2], search={"epochs": 20})
        best.training.export("runs/export")
        ```

    Args:
        data: as in `search_cells`.
        preset: as in `search_cells`, for searches and trainings.
        workdir: as in `search_cells`, by default the first free one of `runs/select-1`, ...
        verbose: as in `search_cells`.
        search: further settings of all searches.
        train: further settings of all trainings.
        **settings: further flags of `darts-tf select`, such as `seeds` and `final_seeds`.

    Returns:
        The best cells and their training.

    Raises:
        InputError: as in `search_cells`.
    """
    say = Lines(verbose)
    own = {
        "preset": preset or usual_preset(SelectConfig, data),
        "dataset": name_of(data),
        "workdir": str(free_folder("select") if workdir is None else workdir),
        "search": _assignments(search),
        "train": _assignments(train),
    }
    if settings.get("resume"):
        own = {**run_folder.resumed(SelectConfig, own["workdir"]).to_dict()}
    config = SelectConfig.from_dict({**own, **settings})

    def run(job) -> None:
        dataset = loaded(job, data)
        if job.searches:
            find_cells(job, dataset, say)
            gc.collect()
        else:
            _train(job, dataset, say)

    outcome = select(config, run, say)
    trained = config.workdir / next(iter(outcome["best"]["runs"].values()))
    training = Training(**fields_of(dataclasses.replace(config_of(trained), workdir=trained), data))
    return Selection(training.genotype, training, outcome, config.workdir)


def _text(genotype) -> str:
    """Returns the name or file of a genotype, as comparisons store it."""
    text = cells_of(genotype).text
    if text is None:
        raise InputError(
            "Expected a result, a name or a file for each genotype, which names its row; "
            f"genotype.save('mine.json') makes a file. Received: {shown(str(genotype))}"
        )
    return text


def _assignments(settings: Mapping[str, Any] | None) -> list[str]:
    """Returns settings as the texts that commands take."""
    return [f"{name}={value}" for name, value in (settings or {}).items()]


def _train(config, dataset, say: Lines) -> None:
    own = config.workdir / files.GENOTYPE  # of a training that is resumed
    train_cells(config, load_genotype(own if config.resume else config.genotype), dataset, say)
    gc.collect()  # frees the graphs and weights of this network


def _find(config, dataset, say: Lines) -> Genotype:
    try:
        if isinstance(config, BaselineConfig):
            return genotype_of(baseline(config, dataset).best().hyperparameters.values)
        return find_cells(config, dataset, say)
    finally:
        gc.collect()
