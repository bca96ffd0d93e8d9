"""What a run of a search or a training leaves behind, as an object."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from darts_tf.configs import RunConfig
from darts_tf.plots.figures import plot_genotype
from darts_tf.report.page import write_report
from darts_tf.runs import files
from darts_tf.runs.metrics import read_metrics
from darts_tf.runs.soundness import doubts_of
from darts_tf.spaces.genotype import AnyGenotype
from darts_tf.spaces.zoo import load_genotype

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Result:
    """A finished run.

    Attributes:
        genotype: the cells; notebooks show them as a picture.
        history: the metrics of all epochs, a list for each name, as in Keras.
        workdir: folder of the run, which all functions take in place of the result.
        config: the settings.
        data: the data that the run was given; None for arrays of another program.
    """

    genotype: AnyGenotype
    history: Mapping[str, list]
    workdir: pathlib.Path
    config: RunConfig
    data: Any

    @property
    def doubts(self) -> list[str]:
        """Reasons to doubt the result, in words: few images, chance, overfitting; often none."""
        return doubts_of(self.config)

    def plot(self, **options) -> Figure:
        """Draws the cells; `options` are those of `plot_genotype`."""
        return plot_genotype(self.genotype, **options)

    def report(self) -> pathlib.Path:
        """Writes `report.html` into the folder of the run, a page for browsers; returns its path.

        Raises:
            InputError: the folder has another file of that name.
        """
        return write_report([self.workdir])

    def _repr_svg_(self) -> str:
        return self.genotype._repr_svg_()

    def __repr__(self) -> str:
        """Writes the folder, the data and the last measures of quality in one line."""
        last = {name: self.history[name][-1] for name in QUALITY if name in self.history}
        words = "".join(f", {name} {value:.4g}" for name, value in last.items() if value)
        return f"<{type(self).__name__} on {self.config.dataset} in {self.workdir}{words}>"


QUALITY = ("valid_accuracy", "test_accuracy", "valid_perplexity")
"""Metrics that say how good a result is."""


def fields_of(config: RunConfig, data) -> dict[str, Any]:
    """Returns the fields of the result of a finished run, read from its folder.

    Raises:
        InputError: the folder has no such run, or one that has not got as far as a genotype.
    """
    workdir = pathlib.Path(config.workdir)
    genotype = load_genotype(files.existing(workdir, files.GENOTYPE), recurrent=config.on_text)
    history = columns(read_metrics(config.last_folder))
    return {
        "genotype": genotype,
        "history": history,
        "workdir": workdir,
        "config": config,
        "data": data,
    }


def columns(lines: list[Mapping[str, Any]]) -> dict[str, list]:
    """Returns the values of every name over all lines; None where a line does not have it."""
    names = dict.fromkeys(name for line in lines for name in line)
    return {name: [line.get(name) for line in lines] for name in names}
