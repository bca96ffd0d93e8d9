"""`darts-tf launch`: search or training in several processes of this host."""

from __future__ import annotations

import collections
import pathlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence

from darts_tf.cli import arguments, lookup, startup
from darts_tf.cli.help import wants_help
from darts_tf.cli.options import Common, CommonOfJobs, as_json
from darts_tf.configs import LaunchConfig, SearchConfig, TrainConfig
from darts_tf.errors import InputError, shown, unknown_name
from darts_tf.runtime.processes import Outcome, launch

JOBS = {"search": SearchConfig, "train": TrainConfig}
"""Configs of the commands that several processes can share."""

LAST_LINES = 20
"""Number of last lines of a failed worker's log that are shown."""


def main(argv: Sequence[str]) -> int:
    """Runs the command after `--` in several processes; options before it are launch's own.

    All arguments are checked before a process is started. Returns the exit status.

    Raises:
        InputError: Invalid arguments.
    """
    own, job = _halves(list(argv))
    if not job and not wants_help(own):
        raise InputError(
            "Expected a command after --, as in: darts-tf launch --workers 2 -- search "
            f"--workdir DIR. Received: {shown(' '.join(argv))}"
        )
    options, own = arguments.common(Common, own)
    job_options, words = arguments.common(CommonOfJobs, job[1:])
    for path in (*options.plugin, *job_options.plugin):
        startup.load_plugin(path)
    config = arguments.parse(LaunchConfig, own, "darts-tf launch", options.config)
    if job[0] not in JOBS:
        raise unknown_name("command", job[0], JOBS)
    job_config = arguments.parse(JOBS[job[0]], words, f"darts-tf {job[0]}", job_options.config)
    if job_options.print_config or options.print_config:
        print(as_json(job_config if job_options.print_config else config))
        return 0
    lookup.checked(job_config)
    plugins = [f"--plugin={path}" for path in options.plugin]
    return run(config, [sys.executable, "-m", "darts_tf.cli", job[0], *plugins, *job[1:]])


def run(config: LaunchConfig, command: Sequence[str]) -> int:
    """Launches a command; if a worker fails by itself, prints which and why on stderr."""
    logs = _folder(config.logs)
    kept = config.logs is not None
    try:
        outcome = launch(command, config.workers, logs)
        if outcome.worker is not None and outcome.status - 128 not in outcome.signals:
            print(_report(outcome, logs, config.workers), file=sys.stderr)
            kept = kept or config.workers > 1
    finally:
        if not kept:
            shutil.rmtree(logs)
    return outcome.status


def _halves(argv: list[str]) -> tuple[list[str], list[str]]:
    place = argv.index("--") if "--" in argv else len(argv)
    return argv[:place], argv[place + 1 :]


def _folder(logs: pathlib.Path | None) -> pathlib.Path:
    if logs is None:
        return pathlib.Path(tempfile.mkdtemp(prefix="darts-tf-launch-"))
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"Expected logs to be a folder. Received: {str(logs)!r}") from error
    return logs


def _report(outcome: Outcome, logs: pathlib.Path, workers: int) -> str:
    names = {128 + number: f", {number.name}" for number in signal.Signals}
    failure = (
        f"darts-tf: worker {outcome.worker} of {workers} failed first, with status "
        f"{outcome.status}{names.get(outcome.status, '')}"
    )
    if outcome.worker == 0:
        return f"{failure}; logs of the others: {logs}" if workers > 1 else failure
    log = logs / f"worker-{outcome.worker}.log"
    with open(log, encoding="utf-8", errors="replace") as lines:
        last = "".join(collections.deque(lines, maxlen=LAST_LINES))
    return f"{failure}; the end of {log}:\n{last.rstrip()}"
