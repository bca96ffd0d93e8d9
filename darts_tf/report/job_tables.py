"""Result tables of jobs of many runs, read from their files. No TensorFlow.

Covers selections, comparisons, studies, and the models of an export.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import pathlib
import re
from collections.abc import Iterable

from darts_tf.configs import CompareConfig, SelectConfig, StudyConfig
from darts_tf.errors import InputError, shortened, shown
from darts_tf.report.charts import measured, number
from darts_tf.runs import files
from darts_tf.runs.log import reading
from darts_tf.runtime.numbers import rounded
from darts_tf.runtime.strict_json import parse_json
from darts_tf.spaces.collapse import describe_collapse
from darts_tf.spaces.genotype import Genotype
from darts_tf.studies import protocol_report
from darts_tf.studies.tables import accuracy_with_deviation, text_of_csv

SHOWN_TRIALS = 50
"""Largest number of trials in the table; the best ones are shown."""

EXPORT = "export_report.json"
"""File name of the machine-readable report of an export."""


@dataclasses.dataclass(frozen=True)
class Table:
    """The results of a job.

    Attributes:
        title: the heading of the table.
        header: the names of the columns.
        rows: the rows as texts.
        notes: lines below the table.
        curve: for a study, the best validation accuracy so far (a share) after each trial.
        done: the numbers of runs that are done and to do; None if not known.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    curve: tuple[float, ...] = ()
    done: tuple[int, int] | None = None


def table_of(config, folder: pathlib.Path) -> Table | None:
    """Returns the results of a job of many runs so far; None for a single run or without results.

    Args:
        config: the settings of the job.
        folder: the folder of the job.

    Raises:
        InputError: A file of the job does not have the expected contents.
    """
    kinds = ((SelectConfig, selection), (CompareConfig, comparison), (StudyConfig, study))
    return next((read(config, folder) for kind, read in kinds if isinstance(config, kind)), None)


def selection(config: SelectConfig, folder: pathlib.Path) -> Table:
    """Returns the candidates of a protocol, the best first."""
    with reading(folder):
        report = protocol_report.report(config)
        header, *rows = protocol_report.table(report)
        stages = report["stages"].values()
        done = sum(stage["done"] for stage in stages), sum(stage["of"] for stage in stages)
        notes = tuple(protocol_report.notes(report))
    return Table("Selection", tuple(header), tuple(map(tuple, rows)), notes, done=done)


def comparison(config: CompareConfig, folder: pathlib.Path) -> Table | None:
    """Returns the genotypes or methods of a comparison, without empty columns."""
    as_csv, as_markdown = (folder / name for name in files.TABLES)
    if not as_csv.is_file():
        return None
    with reading(as_csv):
        rows = list(csv.DictReader(io.StringIO(as_csv.read_text(encoding="utf-8")), strict=True))
        if not rows or not {"seeds", "test_error"} <= rows[0].keys():
            raise InputError("Expected the table of a comparison. Received: another file")
        seeds = sum(int(row["seeds"]) for row in rows)
        formatted = [_compared(row) for row in rows]
        names = [name for name in formatted[0] if any(each[name] for each in formatted)]
        cells = tuple(tuple(each[name] for name in names) for each in formatted)
    notes = ()
    if as_markdown.is_file():
        with reading(as_markdown):
            lines = as_markdown.read_text(encoding="utf-8").split("\n")
            notes = tuple(line[2:] for line in lines if line.startswith("- "))
    wanted = len(config.seeds) * len(config.methods or config.genotypes)
    done = (seeds, wanted) if config.train or config.methods else None
    return Table("Comparison", tuple(names), cells, notes, done=done)


def _compared(row: dict[str, str]) -> dict[str, str]:
    """Formats a row of the CSV table by column; unknown values are empty.

    The file has test errors in percent; people read accuracies, 100 minus the error.
    """
    values = {name: float(text) for name, text in row.items() if _NUMBERS.fullmatch(name) and text}
    if not all(math.isfinite(value) for value in values.values()):
        raise InputError(f"Expected finite numbers. Received: {shown(row)}")
    low, high = values.get("interval_low"), values.get("interval_high")
    against = next((name for name in row if name.startswith("p_against_")), "p_against_")
    tested = values.get("test_error"), values.get("test_error_deviation")
    published = values.get("published_error"), values.get("published_deviation")
    return {
        "name": text_of_csv(row.get("genotype") or row["method"]),
        "seeds": row["seeds"],
        "test accuracy (%)": accuracy_with_deviation(*tested),
        f"{LEVEL} interval": "" if None in (low, high) else f"{100 - high:.1f} to {100 - low:.1f}",
        against.replace("_", " "): _said(values, against, 1, 3),
        "params (M)": _said(values, "params", 1e-6),
        "MACs (M)": _said(values, "macs", 1e-6),
        "search (s)": _said(values, "search_seconds", 1, 0),
        "search cost (GPU days)": _said(values, "gpu_days", 1),
        "degenerate cells": f"{row['collapsed']} of {row['seeds']}" if "collapsed" in row else "",
        "shared edges": _said(values, "shared_edges", 1, 1),
        "published accuracy (%)": accuracy_with_deviation(*published),
        "source": text_of_csv(row.get("source", "")),
    }


_NUMBERS = re.compile(
    "test_error.*|interval_.*|p_against_.*|search_seconds|params|macs|shared_edges|gpu_days|"
    "published_[ed].*"
)
"""Columns that hold numbers."""

LEVEL = "95%"
"""Confidence level of the intervals."""


def _said(values: dict[str, float], name: str, factor: float, digits: int = 2) -> str:
    if name not in values:
        return ""
    value = factor * values[name]
    return f"{value:.{digits}f}" if value >= 0.1 or not value else f"{value:.2g}"


def study(config: StudyConfig, folder: pathlib.Path) -> Table | None:
    """Returns the best trials of a study."""
    path = folder / files.TRIALS_TABLE
    if not path.is_file():
        return None
    with reading(path):
        # the last line may be truncated
        trials = [_trial(parse_json(line)) for line in path.read_bytes().split(b"\n")[:-1]]
    named = (name for trial in trials for name, value in trial["chosen"].items() if value)
    chosen = dict.fromkeys(named)
    ranked = sorted(trials, key=lambda trial: -trial["accuracy"])[:SHOWN_TRIALS]
    rows = tuple(
        (
            *(trial["name"], f"{100 * trial['accuracy']:.2f}", number(trial["seconds"])),
            *(number(trial["epochs"]), *(trial["chosen"].get(name, "") for name in chosen)),
        )
        for trial in ranked
    )
    best, curve = 0.0, []
    for trial in trials:
        best = max(best, trial["accuracy"])
        curve.append(best)
    header = ("trial", "validation accuracy (%)", "seconds", "epochs", *chosen)
    notes = [f"budget: {config.budget}; method: {config.method}"]
    if len(trials) > SHOWN_TRIALS:
        notes.append(f"the best {SHOWN_TRIALS} of {len(trials)} trials")
    return Table("Trials", header, rows, tuple(notes), tuple(curve), _trials(config, len(trials)))


def _trials(config: StudyConfig, count: int) -> tuple[int, int] | None:
    unit, _, amount = config.budget.partition("=")
    return (count, int(amount)) if unit == "trials" and amount.strip().isdigit() else None


def _trial(line: object) -> dict:
    numbers = [measured(line[name]) for name in ("valid_accuracy", "seconds", "epochs")]
    if None in numbers:
        raise InputError(f"Expected the numbers of a trial. Received: {shown(line)}")
    accuracy, seconds, epochs = numbers
    chosen = {}
    if "genotype" in line:
        genotype = Genotype.from_fields(line["genotype"])
        chosen = {"cells": str(genotype), "degenerate": describe_collapse(genotype)}
    elif "settings" in line:
        settings = line["settings"].items()
        chosen = {name: shortened(_setting(value), 60) for name, value in settings}
    own = {"name": str(line["trial"]), "accuracy": accuracy}
    return {**own, "seconds": seconds, "epochs": epochs, "chosen": chosen}


def _setting(value: object) -> str:
    return number(value) if isinstance(value, float) else json.dumps(value).strip('"')


def export_of(folder: pathlib.Path) -> Table:
    """Returns the models of an export, from its report.

    Raises:
        InputError: The folder has no export, or its report does not have the expected contents.
    """
    path = folder / EXPORT
    if not path.is_file():
        raise InputError(f"Expected an export's folder, with its {EXPORT}. Received: {folder}")
    with reading(path):
        report = files.read_json(path)
        models = report["formats"].values()
        rows = tuple(tuple(_model(model)) for model in models)
        missed = (f"{each['path']}: {each['reason']}" for each in report["missed"].values())
        left_out = (f"{name}: {reason}" for name, reason in report["left_out"].items())
        notes = (f"{folder}", *missed, *left_out, _versions(report["versions"]))
    header = (
        "file",
        "size",
        "largest difference",
        "same prediction",
        "quality",
        "latency by threads",
    )
    return Table("Export", header, rows, notes)


def _model(model: dict) -> Iterable[str]:
    yield str(model["path"])
    yield f"{rounded(model['bytes'] / 1e6, 2)} MB"
    yield f"{model['difference']:.1e}"
    yield f"{model['agreement']:.1%}"
    if "perplexity" in model:
        yield f"perplexity {model['perplexity']:,.2f}"
    else:
        accuracy = model["accuracy"]
        yield "unknown" if accuracy is None else f"accuracy {accuracy:.1%}"
    latency = model.get("latency_ms", {}).items()
    yield ", ".join(f"{each['p50']:.3g} ms with {threads}" for threads, each in latency)


def _versions(versions: dict) -> str:
    return "made with " + ", ".join(f"{name} {version}" for name, version in versions.items())


def genotype_exported(folder: pathlib.Path) -> object:
    """Returns the stored fields of an export's genotype; None without a readable report."""
    try:
        report = files.read_json(folder / EXPORT)
    except InputError:
        return None
    return report.get("genotype") if isinstance(report, dict) else None
