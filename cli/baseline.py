"""`darts-tf baseline`: cells found without a supernet."""

from __future__ import annotations

from cli import output, several
from cli.search import begin, end_of_search, introduced, prepare
from darts_tf.configs import BaselineConfig
from darts_tf.errors import InputError
from darts_tf.spaces.mutation import genotype_of
from darts_tf.studies.baseline import baseline
from darts_tf.studies.oracles import OBJECTIVE, Bounded, seconds
from darts_tf.studies.study import allowance_of
from darts_tf.studies.workers import role
from darts_tf.training.images import dataset_of, train


def run(config: BaselineConfig) -> int:
    """Tries genotypes, with a line for each, and prints the best."""
    ready()
    allowance_of(config.budget)  # what is wrong with it is told before data is loaded
    if role() != "worker":
        prepare(config)
        begin("baseline", config)
    dataset = introduced(lambda: dataset_of(config))
    oracle = several.kept_on_stop(config.workdir, lambda: baseline(config, dataset, show, _train))
    if role() == "worker":
        return 0
    summarise(oracle)
    end_of_search("baseline", config, genotype_of(oracle.best().hyperparameters.values))
    return 0


def ready() -> None:
    """As `several.alone`, and says what a chief does."""
    several.alone()
    if role() == "chief":
        output.say("chief: chooses what workers try, and ends when they have heard of its end")


def show(oracle: Bounded, trial) -> None:
    """A line on a trial that has ended, the best one so far, and what is left."""
    best = oracle.best()
    left = oracle.allowance.written(oracle.left())
    output.event(
        "trial",
        trial=trial.trial_id,
        valid_accuracy=trial.score,
        seconds=seconds(trial),
        best={"trial": best.trial_id, "valid_accuracy": best.score},
        left={oracle.allowance.unit: oracle.left()},
    )
    output.say(
        f"trial {trial.trial_id}  valid accuracy {trial.score:.1%}  {seconds(trial):.1f} s  "
        f"best {best.score:.1%} (trial {best.trial_id})  {left} left"
    )


def show_made(name: str, outcome) -> None:
    """A worker's line on a trial that it has made."""
    if role() == "worker":
        output.event("trial", trial=name, valid_accuracy=outcome[OBJECTIVE])
        output.say(f"trial {name}  valid accuracy {outcome[OBJECTIVE]:.1%}")


def summarise(oracle: Bounded) -> None:
    """How many trials there were, and which was the best.

    Raises:
        InputError: There was none.
    """
    done = oracle.done()
    if not done:
        raise InputError("Expected a budget for one trial at least. Received: no trial has ended")
    best, total = oracle.best(), sum(map(seconds, done))
    output.result(
        f"\nbest of {len(done)}: trial {best.trial_id}, valid accuracy {best.score:.1%}; "
        f"{total:.0f} s of training"
    )


def _train(config, genotype, dataset) -> None:
    metrics = train(config, genotype, dataset)
    show_made(config.workdir.name, metrics)
