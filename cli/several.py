"""What commands share that make many runs one after the other."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

import tensorflow as tf
from rich import box
from rich.table import Table

from cli import output
from darts_tf.errors import InputError
from darts_tf.runtime.distribution import workers
from darts_tf.runtime.signals import Interrupted

Found = TypeVar("Found")

WORDS = ("genotype", "method", "found by")
"""Columns of words, under these headings."""


def alone() -> None:
    """Makes ready for many networks one after the other, each in this process alone.

    Raises:
        InputError: this process is one of several that share every step.
    """
    if workers() > 1:
        raise InputError(f"Expected one worker. Received: TF_CONFIG with {workers()} of them")
    # a trace of its own for every network is meant, and no mistake to be warned of
    tf.get_logger().setLevel(logging.ERROR)


def kept_on_stop(workdir, job: Callable[[], Found]) -> Found:
    """What a job gives; where it is stopped, how to go on is said.

    Raises:
        Interrupted: it was.
    """
    try:
        return job()
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"; what is done is kept, and --workdir {workdir} --resume goes on from there",
            getattr(stop, "signal", signal.SIGINT),
        ) from None


def say(line: str) -> None:
    """Prints a line on what comes next after an empty one."""
    output.event("next", text=line)
    output.say(f"\n{line}")


def show_table(lines: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """Prints a table, the first line of which has the headings, with notes below."""
    head, *others = lines
    output.event("table", headings=head, rows=others, notes=notes)
    shown = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))  # to fit a terminal
    for heading, *texts in zip(head, *others, strict=True):
        # headings are folded to the width of what is below, and the methods to what is left
        width = None if heading == "method" else max(map(len, [*heading.split(), *texts]))
        justify = "left" if heading in WORDS else "right"
        shown.add_column(heading, justify=justify, min_width=width, max_width=width)
    for line in others:
        shown.add_row(*line)
    output.result(shown)
    for note in notes:
        output.result(note, "dim")
