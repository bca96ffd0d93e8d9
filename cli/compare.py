"""`darts-tf compare`: the papers' table for genotypes of one's choice."""

from __future__ import annotations

import logging
import signal

import keras
import tensorflow as tf
from rich import box
from rich.console import Console
from rich.table import Table

from cli.search import introduced, prepare
from cli.train import train_with_progress
from darts_tf import runs
from darts_tf.comparing import compare, named_genotypes
from darts_tf.configs import CompareConfig, TrainConfig
from darts_tf.distribution import workers
from darts_tf.errors import InputError
from darts_tf.interruption import Interrupted
from darts_tf.tables import Row, notes, table
from darts_tf.training import dataset_of

_WORDS = ("genotype", "method")


def run(config: CompareConfig) -> int:
    """Compares, and prints the table and where it is."""
    if workers() > 1:
        raise InputError(f"Expected one worker. Received: TF_CONFIG with {workers()} of them")
    named_genotypes(config.genotypes)  # what is wrong with them is told before data is loaded
    prepare(config)
    # a trace of its own for every network is meant, and no mistake to be warned of
    tf.get_logger().setLevel(logging.ERROR)
    try:
        dataset = introduced(lambda: dataset_of(config)) if config.train else None
        rows = compare(config, dataset, _train, _say)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"; what is done is kept, and --workdir {config.workdir} --resume goes on from there",
            getattr(stop, "signal", signal.SIGINT),
        ) from None
    _show(rows, config)
    print(f"table: {' and '.join(str(config.workdir / name) for name in runs.TABLES)}")
    return 0


def _train(config: TrainConfig) -> None:
    train_with_progress(config)
    keras.backend.clear_session()  # the next network does not need this one's memory


def _say(line: str) -> None:
    print(f"\n{line}", flush=True)


def _show(rows: list[Row], config: CompareConfig) -> None:
    head, *lines = table(rows, config.stem)
    shown = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))  # to fit a terminal
    for heading, *texts in zip(head, *lines, strict=True):
        # headings are folded to the width of what is below, and the methods to what is left
        width = None if heading == "method" else max(map(len, [*heading.split(), *texts]))
        justify = "left" if heading in _WORDS else "right"
        shown.add_column(heading, justify=justify, min_width=width, max_width=width)
    for line in lines:
        shown.add_row(*line)
    console = Console(highlight=False)
    console.print(shown)
    for note in notes(rows):
        console.print(note, style="dim")
