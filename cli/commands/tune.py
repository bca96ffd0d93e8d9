"""`darts-tf tune`: tuning of the settings of a search or a training."""

from __future__ import annotations

import shlex

from darts_tf.cli import jobs, lookup, output
from darts_tf.cli.jobs import begin
from darts_tf.cli.trials import ready, show, summarise
from darts_tf.configs import TuneConfig
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.studies.study import allowance_of
from darts_tf.studies.tuning import checked, command_of, tune
from darts_tf.studies.workers import role


def run(config: TuneConfig) -> int:
    """Tries settings, prints a line for each trial, and prints the best as a command."""
    ready()
    checked(config)
    allowance_of(config.budget)
    if role() != "worker":
        run_folder.check_workdir(config.workdir, overwrite=config.overwrite, resume=config.resume)
        begin("tune", config)
    if config.resume:
        output.say(f"resuming with the settings of {config.workdir / files.CONFIG}")
    oracle = jobs.kept_on_stop(config.workdir, lambda: tune(config, show))
    if role() == "worker":
        return 0
    summarise(oracle)
    path = config.workdir / files.BEST
    command = lookup.command(*shlex.split(command_of(config, oracle))[1:])
    output.event("end", command="tune", run=config.workdir, settings=path, next=command)
    output.result(f"settings: {path}")
    jobs.follow("all trials", "board", config.workdir)
    output.result(f"next: {command}")
    return 0
