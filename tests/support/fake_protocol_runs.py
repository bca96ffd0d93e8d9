"""Fake runs of a protocol, in this process and in separate ones."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from darts_tf.configs import SearchConfig, SelectConfig
from darts_tf.runs import files
from darts_tf.runs.metrics import append_metrics, append_time
from darts_tf.spaces.zoo import GENOTYPES, load_genotype
from darts_tf.studies import protocol

FOUND = tuple(GENOTYPES.values())
"""Genotypes of the searches by seed."""
SECONDS = {"search": 100.0, "brief": 10.0, "final": 1.0}
SUPERNET = (0.5, 0.25, 0.125, 0.75)
"""Validation accuracies of the searches by seed."""
VALID = (0.75, 0.875, 0.875, 0.9375)
"""Validation accuracies of the short trainings of their genotypes."""
TEST = (0.96, 0.97, 0.98, 0.95)
"""Test accuracies by seed of the training."""


def leave(config) -> None:
    """Writes the files of a finished run."""
    folder = config.workdir
    stage, seed = folder.parent.name, int(folder.name.rpartition("-")[2])
    is_search = isinstance(config, SearchConfig)
    genotype = FOUND[seed] if is_search else load_genotype(config.genotype)
    genotype.save(folder / files.GENOTYPE)
    accuracy = {"search": SUPERNET, "brief": VALID, "final": TEST}[stage][seed]
    watched = "test_accuracy" if stage == "final" else "valid_accuracy"
    append_metrics(folder, {"epoch": 0, watched: 0.0})
    append_metrics(folder, {"epoch": 1, watched: accuracy})
    append_time(folder, 0, SECONDS[stage] / 4)
    append_time(folder, 1, 3 * SECONDS[stage] / 4)
    begin(config)


def begin(config) -> None:
    """Writes the files of a run that has started."""
    size = 32 if config.preset == "cifar10" else 8
    channels = 3 if config.preset == "cifar10" else 1
    images = {"height": size, "width": size, "channels": channels}
    images |= {"mean": [0.5] * channels, "std": [0.25] * channels}
    described = {"classes": list("0123456789"), "preprocessing": images}
    files.write_json(config.workdir / files.DATASET, described)
    if not isinstance(config, SearchConfig):
        load_genotype(config.genotype).save(config.workdir / files.GENOTYPE)
    files.write_json(config.workdir / files.CONFIG, config.to_dict())


# Processes

ROOT = pathlib.Path(__file__).resolve().parents[2]


def worker(folder, log, dies: bool) -> subprocess.Popen:
    """Starts a process that works on a protocol in a folder; see `work`."""
    code = (
        f"import fake_protocol_runs; fake_protocol_runs.work({str(folder)!r}, {str(log)!r}, {dies})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def work(folder: str, log: str, dies: bool) -> None:
    """Joins a protocol and takes turns with one other process.

    A turn is a run that is started, or a wait for the other process's run. A run ends only after
    the other process has had as many turns, so that neither can do all runs, however late it
    starts.

    Args:
        folder: folder of the protocol.
        log: file to append a line to for every turn.
        dies: whether the process kills itself in its first run.
    """

    def add_turn(**line):
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps({"process": os.getpid(), "dies": dies, **line}) + "\n")

    def is_behind():
        others = [each for each in lines(log) if each["process"] != os.getpid()]
        if any(each["dies"] for each in others):
            return False
        return len(others) < sum(each["process"] == os.getpid() for each in lines(log))

    def run(config):
        add_turn(job=str(config.workdir), resume=config.resume)
        begin(config)
        while is_behind():
            time.sleep(0.01)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        leave(config)

    def say(line):
        print(line, flush=True)
        if line.startswith("waiting"):
            add_turn(waits=line)

    protocol.PAUSE = 0.05
    protocol._size = lambda *given: {"params": 1, "macs": 1}
    protocol.select(protocol.current(SelectConfig(workdir=folder, dataset="digits")), run, say)


def lines(log) -> list[dict]:
    """Returns the logged lines, without an incomplete last one."""
    text = pathlib.Path(log).read_text(encoding="utf-8") if os.path.exists(log) else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]
