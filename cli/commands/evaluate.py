"""`darts-tf evaluate`: test of a trained network on its test split, or on other images."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from darts_tf.cli import output, startup
from darts_tf.cli.jobs import follow, show_perplexity
from darts_tf.configs import EvaluateConfig, TrainConfig
from darts_tf.errors import InputError, shortened
from darts_tf.runs import files
from darts_tf.runs.evaluations import Evaluation
from darts_tf.runs.soundness import doubts_of, doubts_of_accuracy
from darts_tf.training import text
from darts_tf.training.images import evaluate_by_class

BATCH = 256
"""Default number of images per step."""

ALL_CLASSES, WORST_CLASSES = 20, 10
"""Largest number of classes that are all printed; and the number of worst ones otherwise."""

CONFUSIONS = 10
"""Number of confusions that are printed where the matrix is too wide."""

NAME, WIDTH = 18, 80
"""Largest width of a class name, and of a confusion matrix, in characters."""


def run(config: EvaluateConfig) -> int:
    """Prints loss and accuracy, also by class, or the perplexity of a language model."""
    if files.is_text_run(config.workdir):
        return _evaluate_text(config)
    options = {"limit": config.limit, "dataset": config.dataset}
    with startup.held_stderr():
        evaluation, path = evaluate_by_class(
            config.workdir, batch_size=config.batch_size or BATCH, **options
        )
    where = f"{evaluation.dataset}: " if config.dataset else ""
    top5 = "" if evaluation.top5_accuracy is None else f"  top-5 {evaluation.top5_accuracy:.2%}"
    output.result(
        f"{where}test accuracy {evaluation.accuracy:.2%}{top5}  loss {evaluation.loss:.4f}  "
        f"on {evaluation.images:,} images"
    )
    output.result(
        f"balanced accuracy {evaluation.balanced_accuracy:.2%}  mean F1 {evaluation.mean_f1:.2%}"
    )
    show_classes(evaluation)
    for doubt in _doubts(config, evaluation):
        output.warn(doubt)
    if path.is_file():
        output.say(f"by class, with the worst mistakes: {path}")
        follow("look", "report", config.workdir)
    return 0


def _evaluate_text(config: EvaluateConfig) -> int:
    if config.dataset:
        raise InputError(
            "Expected dataset with a run on images; a language model is tested on its own text. "
            f"Received: --dataset {config.dataset}, --workdir {config.workdir}"
        )
    streams = config.batch_size or 1
    with startup.held_stderr():
        metrics = text.evaluate(config.workdir, batch_size=streams, limit=config.limit)
    show_perplexity(metrics, streams)
    return 0


def _doubts(config: EvaluateConfig, evaluation: Evaluation) -> list[str]:
    """Returns the doubts about the run if its own test is complete, else about this accuracy."""
    of_run = []
    if config.dataset is None and config.limit is None:
        stored = files.read_json(config.workdir / files.CONFIG)
        of_run = doubts_of(TrainConfig.from_dict({**stored, "workdir": str(config.workdir)}))
    return of_run or doubts_of_accuracy(evaluation.accuracy, evaluation.counts)


def show_classes(evaluation: Evaluation) -> None:
    """Prints the result of every class and their confusions; of many classes, the worst."""
    many = len(evaluation.classes) > ALL_CLASSES
    tested = [i for i, each in enumerate(evaluation.classes) if each.images]
    chosen = evaluation.worst_classes(WORST_CLASSES) if many else tested
    if many:
        output.result(f"\nthe {len(chosen)} classes of {len(tested)} with the lowest F1")
    output.result(_class_table(evaluation, chosen))
    if len(tested) < len(evaluation.classes):
        missing = len(evaluation.classes) - len(tested)
        output.result(f"no images of {missing} of the network's {len(evaluation.classes)} classes")
    matrix = None if many else _matrix(evaluation)
    if matrix is not None:
        output.result("\nimages by class (row) and answer (column)")
        output.result(matrix)
    elif evaluation.confusions:
        output.result("\nmost frequent confusions")
        output.result(_confusion_table(evaluation))


def _class_table(evaluation: Evaluation, chosen: Sequence[int]) -> Table:
    table = _table("class", "images", "precision (%)", "recall (%)", "F1 (%)", "most taken for")
    for i in chosen:
        each, taken = evaluation.classes[i], evaluation.taken_for(i)
        answer = f"{_name(taken.predicted)} ({taken.images:,})" if taken else ""
        shares = (_percent(share) for share in (each.precision, each.recall, each.f1))
        table.add_row(*map(Text, (_name(each.name), f"{each.images:,}", *shares, answer)))
    table.columns[-1].justify = "left"
    return table


def _matrix(evaluation: Evaluation) -> Table | None:
    """Returns the confusion matrix with numbered columns; None if it is too wide."""
    rows = evaluation.confusion_matrix or ()
    count = len(rows)
    digits = len(str(max([count, *(max(row) for row in rows)])))
    names = [f"{i} {_name(each.name)}" for i, each in enumerate(evaluation.classes, 1)]
    if max(map(len, names), default=WIDTH) + count * (digits + 1) > WIDTH:
        return None
    table = _table("", *map(str, range(1, count + 1)))
    for name, row in zip(names, rows, strict=True):
        if not any(row):
            continue  # other images may be of fewer classes
        table.add_row(Text(name), *(Text(str(images) if images else ".") for images in row))
    return table


def _confusion_table(evaluation: Evaluation) -> Table:
    table = _table("class", "taken for", "images")
    table.columns[1].justify = "left"
    for each in evaluation.confusions[:CONFUSIONS]:
        table.add_row(*map(Text, (_name(each.true), _name(each.predicted), f"{each.images:,}")))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _name(name: str) -> str:
    """Returns the name of a class, printable and cut to the width of its column."""
    printable = "".join(char if char.isprintable() else "?" for char in name)
    return shortened(printable, NAME)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
