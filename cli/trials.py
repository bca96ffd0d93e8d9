"""Trials of a study, as `baseline` and `tune` print them."""

from __future__ import annotations

from darts_tf.cli import jobs, output

from darts_tf.errors import InputError
from darts_tf.runtime.duration import duration
from darts_tf.studies.oracles import OBJECTIVE, Bounded, seconds
from darts_tf.studies.workers import role


def ready() -> None:
    """As `jobs.alone`, and says what a chief does."""
    jobs.alone()
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
        f"trial {trial.trial_id}  valid accuracy {trial.score:.1%}  {duration(seconds(trial))}  "
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
        f"{duration(total)} of training"
    )
