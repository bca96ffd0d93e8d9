"""A search as a plan, and the one way to run it, on images as on text.

Making a plan checks everything and writes nothing; it holds functions and settings, no variables.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np

from darts_tf.configs import ArchConfig
from darts_tf.data import ImageDataset, TextDataset
from darts_tf.runs import files
from darts_tf.runs.alphas import load_history, save_alphas
from darts_tf.runs.confidence import confidence_of, contributions, save_confidence
from darts_tf.runtime.distribution import is_chief
from darts_tf.search.callbacks import restore_best_alphas, search_callbacks, warn_of_collapse
from darts_tf.search.darts import DARTS
from darts_tf.search.indicators import Measure, Probes
from darts_tf.spaces.genotype import AnyGenotype, abbreviated
from darts_tf.training.callbacks import Record
from darts_tf.training.feeds import Feed
from darts_tf.training.loop import fit, run_with_trainer


@dataclasses.dataclass(frozen=True)
class Plan:
    """A search that has been checked.

    Attributes:
        config: the settings.
        dataset: what to search on.
        build: builds the compiled trainer.
        feed: the batches for weights and alphas, and the held-out ones.
        derive: `derive(alphas)` returns the cells of a supernet's arrays of alphas.
        probes: `probes(trainer)` returns the expensive probes that indicators use.
        indicators: names of the indicators to measure after every epoch.
        ramps: `ramps(trainer)` returns callbacks for what changes with the epoch.
        save: `save(folder)` writes files that belong to the run, once its folder exists.
        finish: `finish(trainer, folder)` chooses the final cells where `derive` does not; or None.
    """

    config: ArchConfig
    dataset: ImageDataset | TextDataset
    build: Callable[[], DARTS]
    feed: Feed
    derive: Callable[[Sequence[np.ndarray]], AnyGenotype]
    probes: Callable[[DARTS], Probes]
    indicators: list[str]
    ramps: Callable[[DARTS], list[keras.callbacks.Callback]] = lambda trainer: []
    save: Callable[[pathlib.Path], None] = lambda folder: None
    finish: Callable[[DARTS, pathlib.Path], AnyGenotype] | None = None


def run_plan(
    plan: Plan,
    strategy,
    report: Callable[[dict], None] | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> AnyGenotype:
    """Runs a search: makes its folder, trains, derives cells after every epoch and at the end.

    Args:
        plan: the search.
        strategy: a `tf.distribute` strategy, of as many replicas as the plan was made for.
        report: called with the metrics of every epoch.
        callbacks: further Keras callbacks.

    Returns:
        The final cells.

    Raises:
        InputError: a folder that is in use, or a run that was started with other settings.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint has been written.
        Diverged: losses or gradients were not finite again after a rollback.
        OSError: a file could not be written; earlier checkpoints are unchanged.
    """
    config = plan.config
    with run_with_trainer(config, plan.dataset, strategy, plan.build) as (folder, trainer):
        if is_chief():
            plan.save(folder)

        def describe(epoch: int | None = None) -> dict:
            """Writes alphas, genotype and confidence; returns what the metrics have of them.

            Args:
                epoch: the epoch whose alphas they are; None for the last one.
            """
            alphas = list(map(np.asarray, trainer.network.alphas))
            genotype = trainer.derived = plan.derive(alphas)
            numbers = {"restart": trainer.restarts} if config.restart_every else {}
            if is_chief():
                save_alphas(folder, *alphas, kinds=trainer.network.space.kinds)
                genotype.save(folder / files.GENOTYPE)
                numbers |= _measure_confidence(plan, folder, genotype, epoch)
            return {**numbers, "genotype": abbreviated(genotype)}

        record = Record(folder, describe, report, writes=is_chief())
        measure = Measure(plan.indicators, plan.probes(trainer))
        fit(
            trainer,
            config,
            folder,
            plan.feed,
            [*search_callbacks(config, record, measure), *plan.ramps(trainer), *callbacks],
        )
        restore_best_alphas(config, trainer, folder, describe)
        genotype = plan.derive(list(map(np.asarray, trainer.network.alphas)))
        if plan.finish is not None:
            genotype = plan.finish(trainer, folder)
            genotype.save(folder / files.GENOTYPE)
        warn_of_collapse(genotype, getattr(config, "budget", None))
    return genotype


def _measure_confidence(
    plan: Plan, folder: pathlib.Path, genotype: AnyGenotype, last: int | None
) -> dict[str, float]:
    """Writes how sure the genotype is, if weights were restarted; returns it for the metrics."""
    every = plan.config.restart_every
    if not every:
        return {}
    history = load_history(folder)
    last = max(history) if last is None else last
    parts = contributions({epoch: history[epoch] for epoch in history if epoch <= last}, every)
    confidence = confidence_of(genotype, parts, plan.derive)
    save_confidence(folder, confidence)
    return confidence.numbers() if confidence else {}
