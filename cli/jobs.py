"""Whole jobs of commands, with progress, tables, and a hint at the next command."""

from __future__ import annotations

import dataclasses
import logging
import shlex
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

import tensorflow as tf
from rich import box
from rich.table import Table

from darts_tf.cli import lookup, output, startup
from darts_tf.cli.progress import EpochProgress
from darts_tf.configs import SearchConfig, TextSearchConfig, TextTrainConfig, TrainConfig
from darts_tf.data import ImageDataset, TextDataset, load_text
from darts_tf.errors import InputError, escaped, listed
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.runs.confidence import describe_confidence, load_confidence
from darts_tf.runs.metrics import read_metrics, seconds_of
from darts_tf.runs.soundness import doubts_of
from darts_tf.runtime.distribution import is_chief, make_strategy, workers
from darts_tf.runtime.duration import duration
from darts_tf.runtime.signals import Interrupted
from darts_tf.search.memory_estimate import check_memory
from darts_tf.search.stages import search_as_asked
from darts_tf.search.text import search_text as search_on_text
from darts_tf.spaces.genotype import AnyGenotype, RecurrentGenotype, cells_in_words
from darts_tf.spaces.search_spaces import DARTS, SPACES
from darts_tf.spaces.zoo import load_genotype
from darts_tf.training import text as text_training
from darts_tf.training.images import dataset_of, scaled_to, train
from darts_tf.training.schedules import rate_at

Result = TypeVar("Result")

WORDS = ("genotype", "method", "found by")
"""Headings of the columns with text, which are aligned to the left."""


def alone() -> None:
    """Prepares this process to train many networks one after the other, without other workers.

    Raises:
        InputError: this process is one of several that share every step.
    """
    if workers() > 1:
        raise InputError(f"Expected one worker. Received: TF_CONFIG with {workers()} of them")
    # every network is traced anew on purpose, so TensorFlow's warning about retracing is wrong
    tf.get_logger().setLevel(logging.ERROR)


def kept_on_stop(workdir, job: Callable[[], Result]) -> Result:
    """Runs a job and returns its result; if it is stopped, the message says how to resume.

    Raises:
        Interrupted: the job was stopped.
    """
    try:
        return job()
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"; completed work is kept, and --workdir {shlex.quote(str(workdir))} --resume "
            "resumes it",
            getattr(stop, "signal", signal.SIGINT),
        ) from None


def say(line: str) -> None:
    """Prints an empty line and a line about the next step."""
    output.event("next", text=line)
    output.say(f"\n{line}")


def show_table(lines: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """Prints a table, whose first line has the headings, with notes below it."""
    head, *others = [[*map(escaped, line)] for line in lines]
    output.event("table", headings=head, rows=others, notes=notes)
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))  # to fit a terminal
    for heading, *texts in zip(head, *others, strict=True):
        # headings wrap to the width of their column; the methods wrap to the remaining width
        width = None if heading == "method" else max(map(len, [*heading.split(), *texts]))
        justify = "left" if heading in WORDS else "right"
        table.add_column(heading, justify=justify, min_width=width, max_width=width)
    for line in others:
        table.add_row(*line)
    output.result(table)
    for note in notes:
        output.result(note, "dim")


Dataset = TypeVar("Dataset", ImageDataset, TextDataset)


def begin(command: str, config) -> None:
    """Writes the event that a command starts, with its settings."""
    output.event("start", command=command, run=config.workdir, settings=config.to_dict())


def end_of_search(command: str, config, genotype: AnyGenotype) -> None:
    """Prints the resulting cells, the path of their file, and possible next commands."""
    path = config.workdir / files.GENOTYPE
    cells = dataclasses.asdict(genotype)
    output.event("end", command=command, run=config.workdir, genotype=path, cells=cells)
    output.result(f"\n{cells_in_words(genotype)}\n")
    output.result(f"genotype: {path}")
    _say_confidence(config, genotype)
    end_of_run(config.workdir)
    output.say(f"next: {lookup.train_command(config.workdir, config.to_dict())}")


def _say_confidence(config, genotype: AnyGenotype) -> None:
    """Prints how sure the choices are, if that is known, and how to decide more of them."""
    confidence = load_confidence(config.last_folder, genotype) if is_chief() else None
    if confidence is None:
        return
    for line in describe_confidence(confidence, genotype):
        output.result(line)
    if confidence.undecided and "epochs" in config.may_grow:
        words = ("search", "--workdir", config.workdir, "--resume", "--epochs", 2 * config.epochs)
        follow("more restarts decide more", *words)


def end_of_run(workdir) -> None:
    """Prints where everything of a finished run is, and how long its epochs have taken."""
    seconds = seconds_of(workdir) if is_chief() else 0
    if seconds:
        output.say(f"time: {duration(seconds)} in all epochs")
    output.say(f"everything is in {workdir}: settings, metrics, checkpoints, log")
    follow("look", "report", workdir)


def follow(what: str, *words: object) -> None:
    """Prints a possible next command, with the plugins of this one."""
    output.say(f"{what}: {lookup.command(*words)}")


def prepare(config) -> None:
    """Checks the folder of the run and sets its strategy, before any slow step."""
    if is_chief():  # the others would see the folder that the chief has created
        run_folder.check_workdir(config.workdir, overwrite=config.overwrite, resume=config.resume)
    if config.resume:
        _say_what_is_resumed(config)
    strategy = make_strategy(config.strategy, config.devices)
    if strategy.num_replicas_in_sync > 1:
        output.say(f"{strategy.num_replicas_in_sync} replicas by {type(strategy).__name__}")


def _say_what_is_resumed(config) -> None:
    """Prints how far the run is, and what other settings change."""
    path = config.workdir / files.CONFIG
    output.say(f"resuming with the settings of {path}")
    if not (config.searches or config.trains) or not is_chief():
        return
    done = len(read_metrics(config.last_folder))
    before = files.read_json(path).get("epochs", config.epochs)
    if config.epochs != before:
        output.say(
            f"{config.epochs} epochs instead of {before}: {_of_schedule(config, before, done)}"
        )
    elif done >= config.epochs:
        output.say(
            f"this run has ended: {done} of {config.epochs} epochs are done; "
            f"--resume --epochs {2 * config.epochs} trains on"
        )


def _of_schedule(config, before: int, done: int) -> str:
    """Says how the learning rate continues in a run that has become longer.

    Args:
        config: settings of the run.
        before: number of epochs that it had.
        done: number of epochs that are done.
    """
    if getattr(config, "restart_every", None):
        return "the weights restart more often, and nothing before changes"
    if config.schedule in ("constant", "exponential"):
        return f"the learning rate goes on as it was ({config.schedule})"
    rate = rate_at(config, done)
    last = rate_at(dataclasses.replace(config, epochs=before), max(0, done - 1))
    return (
        f"the {config.schedule} schedule now spans all of them, and the learning rate of epoch "
        f"{done + 1} is {rate:.3g}, after {last:.3g}"
    )


def introduced(load: Callable[[], Dataset]) -> Dataset:
    """Loads a dataset by `load`, prints a line about it and returns it."""
    with startup.held_stderr():
        dataset = load()
    output.event("dataset", name=dataset.name, text=str(dataset))
    output.say(str(dataset))
    for note in getattr(dataset, "notes", ()):
        output.say(note)
    return dataset


def search_with_progress(config: SearchConfig) -> AnyGenotype:
    """Searches with a line per epoch on standard output."""
    dataset = introduced(lambda: dataset_of(config))
    say_steps(config, dataset.train.size // 2)
    size, space = dataset.preprocessing, SPACES[config.space]
    if config.space != DARTS:
        names = listed(space.all_primitives)
        output.say(f"space {config.space}: {space.nodes} nodes, {names}; {space.cells():,} cells")
    first = config.stage(0) if config.stages else config
    output.say(f"needs {check_memory(first, size.height, size.width)}")
    with _progress_of_search(config) as progress:
        reports = {"report": progress.report, "report_selection": show_round}
        genotype = search_as_asked(config, dataset, callbacks=(progress,), **reports)
    warn_of_doubts(config)
    return genotype


def _progress_of_search(config: SearchConfig | TextSearchConfig) -> EpochProgress:
    settings = config.arch_from_epoch, config.workdir
    return EpochProgress(config.epochs, *settings, warmup=config.restart_warmup)


def warn_of_doubts(config) -> None:
    """Prints the doubts about a finished search or training as warnings."""
    for sentence in doubts_of(config) if is_chief() else ():
        output.warn(sentence)


def say_steps(config: SearchConfig | TrainConfig, images: int) -> None:
    """Prints the steps of an epoch over this many images, and the number of epochs."""
    steps = -(-images // config.batch_size)
    output.say(
        f"{steps:,} step{'s' * (steps != 1)} per epoch, of at most {config.batch_size} images; "
        f"{config.epochs} epochs{_restarts(config)}"
    )


def _restarts(config: SearchConfig | TrainConfig) -> str:
    every = getattr(config, "restart_every", None)
    if every is None:
        return ""
    return f", and new weights every {f'{every} epochs' if every > 1 else 'epoch'}"


def show_round(done: dict) -> None:
    """Prints the choices of a round of the selection by perturbation, and the time left."""
    chosen = "; ".join(words.partition(" (")[0] for words in done["chosen"])
    left = f"about {duration(done['seconds_left'])} left"
    output.event("selection_round", **done)
    output.say(f"round {done['round']:>2}/{done['rounds']}  {chosen}; {left}")


def search_text(config: TextSearchConfig) -> RecurrentGenotype:
    """Searches on a text with a line per epoch on standard output."""
    dataset = introduced(lambda: load_text(config.dataset, limit=config.limit))
    with _progress_of_search(config) as progress:
        genotype = search_on_text(config, dataset, progress.report, callbacks=(progress,))
    warn_of_doubts(config)
    return genotype


def train_with_progress(config: TrainConfig) -> dict[str, float]:
    """Trains with a line per epoch on standard output."""
    genotype = cells_of(config)
    dataset = introduced(lambda: dataset_of(config))
    searched = files.searched_on(config.genotype)
    if not config.resume and searched not in (None, dataset.name):
        output.say(f"the genotype was searched on other data: {searched}")
    say_steps(config, dataset.train.size)
    if config.max_macs:
        channels = scaled_to(config, genotype, dataset).channels
        output.say(f"{channels} channels, for at most {config.max_macs:,} MACs")
    with EpochProgress(config.epochs, run=config.workdir) as progress:
        metrics = train(config, genotype, dataset, report=progress.report, callbacks=(progress,))
    warn_of_doubts(config)
    return metrics


def train_text(config: TextTrainConfig) -> dict[str, float]:
    """Trains a language model with a line per epoch on standard output, and tests it."""
    genotype = cells_of(config)
    dataset = introduced(lambda: load_text(config.dataset, limit=config.limit))
    with EpochProgress(config.epochs, run=config.workdir) as progress:
        report, callbacks = progress.report, (progress,)
        best = text_training.train(config, genotype, dataset, report, callbacks)
    output.result(
        f"\nvalidation perplexity {best['valid_perplexity']:.2f}, in epoch {best['epoch'] + 1}"
    )
    if not is_chief():
        return best
    tested = text_training.evaluate(config.workdir)
    show_perplexity(tested)
    return {**best, **tested}


def cells_of(config: TrainConfig | TextTrainConfig) -> AnyGenotype:
    """Returns the genotype to train; a resumed run has a copy."""
    path = str(config.workdir / files.GENOTYPE) if config.resume else config.genotype
    return load_genotype(path, recurrent=config.on_text)


def show_perplexity(metrics: dict[str, float], streams: int = 1) -> None:
    """Prints the result of `text_training.evaluate` and its method.

    Perplexities with different numbers of streams cannot be compared.
    """
    how = "each from all words before it"
    if streams > 1:
        how = f"in {streams} streams, each without a memory at its start: not the usual measure"
    output.result(
        f"test perplexity {metrics['test_perplexity']:.2f}  loss {metrics['test_loss']:.4f}  "
        f"on {metrics['test_words']:,} words, {how}"
    )
