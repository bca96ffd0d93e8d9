"""Output of `baseline` and `tune` about the trials of a study."""

from __future__ import annotations

from darts_tf.cli import jobs, output
from darts_tf.errors import InputError
from darts_tf.runtime.duration import duration
from darts_tf.studies.oracles import OBJECTIVE, Bounded, seconds
from darts_tf.studies.workers import role


def ready() -> None:
    """Prepares the process by `jobs.alone`, and prints what a chief does."""
    jobs.alone()
    if role() == "chief":
        output.say("chief: chooses the trials of the workers, and ends after telling them to end")


def show(oracle: Bounded, trial) -> None:
    """Prints a line about a completed trial, the best one so far and the remaining budget."""
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
        f"trial {trial.trial_id}  validation accuracy {trial.score:.1%}  "
        f"{duration(seconds(trial))}  best {best.score:.1%} (trial {best.trial_id})  {left} left"
    )


def show_made(name: str, outcome) -> None:
    """Prints a worker's line about a trial that it has completed."""
    if role() == "worker":
        output.event("trial", trial=name, valid_accuracy=outcome[OBJECTIVE])
        output.say(f"trial {name}  validation accuracy {outcome[OBJECTIVE]:.1%}")


def summarise(oracle: Bounded) -> None:
    """Prints the number of trials and the best one.

    Raises:
        InputError: No trial was completed.
    """
    done = oracle.done()
    if not done:
        raise InputError(
            "Expected a budget for at least one trial. Received: no trial was completed in it"
        )
    best, total = oracle.best(), sum(map(seconds, done))
    output.result(
        f"\nbest of {len(done)}: trial {best.trial_id}, validation accuracy {best.score:.1%}; "
        f"{duration(total)} of training"
    )
