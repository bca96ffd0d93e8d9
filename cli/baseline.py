"""`darts-tf baseline`: cells found without a supernet."""

from __future__ import annotations

from cli import several
from cli.search import introduced, prepare
from darts_tf import runs
from darts_tf.baseline import baseline
from darts_tf.chief import role
from darts_tf.configs import BaselineConfig
from darts_tf.errors import InputError
from darts_tf.genotype_space import genotype_of
from darts_tf.oracles import OBJECTIVE, Bounded, seconds
from darts_tf.studies import allowance_of
from darts_tf.training import dataset_of, train


def run(config: BaselineConfig) -> int:
    """Tries genotypes, with a line for each, and prints the best."""
    ready()
    allowance_of(config.budget)  # what is wrong with it is told before data is loaded
    if role() != "worker":
        prepare(config)
    dataset = introduced(lambda: dataset_of(config))
    oracle = several.kept_on_stop(config.workdir, lambda: baseline(config, dataset, show, _train))
    if role() == "worker":
        return 0
    path = config.workdir / runs.GENOTYPE
    summarise(oracle)
    print(f"\n{genotype_of(oracle.best().hyperparameters.values)}\n\ngenotype: {path}")
    print(f"next: darts-tf train --genotype {path} --dataset {config.dataset} --workdir DIR")
    return 0


def ready() -> None:
    """As `several.alone`, and says what a chief does."""
    several.alone()
    if role() == "chief":
        print("chief: chooses what workers try, and ends when they have heard of its end")


def show(oracle: Bounded, trial) -> None:
    """A line on a trial that has ended, the best one so far, and what is left."""
    best = oracle.best()
    left = oracle.allowance.written(oracle.left())
    print(
        f"trial {trial.trial_id}  valid accuracy {trial.score:.1%}  {seconds(trial):.1f} s  "
        f"best {best.score:.1%} (trial {best.trial_id})  {left} left",
        flush=True,
    )


def show_made(name: str, outcome) -> None:
    """A worker's line on a trial that it has made."""
    if role() == "worker":
        print(f"trial {name}  valid accuracy {outcome[OBJECTIVE]:.1%}", flush=True)


def summarise(oracle: Bounded) -> None:
    """How many trials there were, and which was the best.

    Raises:
        InputError: There was none.
    """
    done = oracle.done()
    if not done:
        raise InputError("Expected a budget for one trial at least. Received: no trial has ended")
    best, total = oracle.best(), sum(map(seconds, done))
    print(
        f"\nbest of {len(done)}: trial {best.trial_id}, valid accuracy {best.score:.1%}; "
        f"{total:.0f} s of training"
    )


def _train(config, genotype, dataset) -> None:
    metrics = train(config, genotype, dataset)
    show_made(config.workdir.name, metrics)
