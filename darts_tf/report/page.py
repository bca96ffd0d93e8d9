"""The report of one run, or of several side by side, as one self-contained HTML page."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Sequence

from darts_tf.errors import InputError
from darts_tf.report import html, sections
from darts_tf.report.curves import charts_over_each_other
from darts_tf.report.findings import outcome, state, verdict
from darts_tf.report.html import details, table, text
from darts_tf.report.job_tables import EXPORT, Table, export_of, genotype_exported
from darts_tf.report.reproduce import differing
from darts_tf.report.run import Run, run_of
from darts_tf.runs import files
from darts_tf.runtime import atomic
from darts_tf.runtime.duration import duration
from darts_tf.runtime.outputs import check_output_file

MAKER = "darts-tf report"
"""Generator named in the pages. Only files that name it are overwritten."""

TITLES = {
    "search": "Search",
    "train": "Training",
    "select": "Selection among searches",
    "compare": "Comparison",
    "baseline": "Baseline",
    "tune": "Tuning",
}
"""Titles of reports, by the command of the run."""


def write_report(
    folders: Sequence[pathlib.Path],
    output: pathlib.Path | None = None,
    export: pathlib.Path | None = None,
) -> pathlib.Path:
    """Writes the report of one run or of several, atomically.

    Args:
        folders: the folders of the runs.
        output: the file to write; by default `report.html` in the run's folder, or in the folder
            that several runs have in common.
        export: the folder of an export of one run; by default the exports of the same genotype in
            the folders beside a training.

    Returns:
        The path of the report.

    Raises:
        InputError: A folder holds no run or a damaged one, the output cannot be written or exists
            and is no report, or a run is named twice.
    """
    output = output or _common(folders) / files.PAGE
    _check_output(output)
    runs = [run_of(folder) for folder in folders]
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise InputError(f"Expected each run once. Received: {', '.join(map(str, folders))}")
    if export and len(runs) > 1:
        raise InputError(f"Expected one run with an export. Received: {len(runs)} runs")
    page = render(runs[0], export) if len(runs) == 1 else render_many(runs)
    try:
        atomic.write_text(output, page)
    except OSError as error:
        raise InputError(
            f"Expected a writable output. Received: {output} ({error.strerror})"
        ) from error
    return output


def _common(folders: Sequence[pathlib.Path]) -> pathlib.Path:
    return pathlib.Path(os.path.commonpath([folder.resolve() for folder in folders]))


def _check_output(output: pathlib.Path) -> None:
    """Raises an error if the output exists and is not a report."""
    head = output.read_bytes()[:2000] if output.is_file() else b""
    is_report = html.made_by(MAKER) in head.decode("utf-8", errors="replace")
    check_output_file("output", output, overwrite=is_report, instead="an earlier report")


def render(run: Run, export: pathlib.Path | None = None) -> str:
    """Returns the page of one run.

    Args:
        run: the run.
        export: the folder of an export of it; by default the ones beside it, as in `write_report`.
    """
    exported = _exports(run, export)
    parts = (
        ("", sections.summary(run)),
        ("Soundness", sections.soundness(run)),
        ("Cells", sections.cells(run)),
        *sections.tests(run),
        (run.table.title if run.table else "", sections.results(run.table)),
        ("Alphas by epoch", sections.alphas(run)),
        ("Curves", sections.curves(run)),
        ("Selection by perturbation", sections.chosen(run)),
        ("Settings", sections.settings(run)),
        ("Reproduction", sections.reproduction(run)),
        ("Export", "".join(map(sections.results, exported))),
        ("Warnings", sections.warnings(run)),
    )
    return _page(_title(run), parts)


def _title(run: Run) -> str:
    kind = TITLES[run.config.command] + " on text" * run.config.on_text
    return f"{kind}: {run.folder.resolve().name}"


def _page(title: str, parts: Iterable[tuple[str, str]]) -> str:
    body = "\n".join(
        (f"<h2>{text(heading)}</h2>" if heading else "") + part for heading, part in parts if part
    )
    body = f"<h1>{text(title)}</h1>\n<main>{body}</main>"
    return html.page(title, body, MAKER, ["report.css"], ["report.js"])


def _exports(run: Run, export: pathlib.Path | None) -> list[Table]:
    """Returns the named export, or the exports beside a training that have its genotype."""
    if export:
        return [export_of(export)]
    if run.config.command != "train" or run.genotype is None:
        return []
    own = files.plain(vars(run.genotype))
    beside = sorted(run.folder.resolve().parent.glob(f"*/{EXPORT}"))
    folders = (path.parent for path in beside if genotype_exported(path.parent) == own)
    return [export_of(folder) for folder in folders]


def render_many(runs: Sequence[Run]) -> str:
    """Returns the page of several runs: their differences, and their curves in shared charts."""
    named = list(zip(_names(runs), runs, strict=True))
    parts = (
        ("", _overview(named)),
        ("Settings that differ", _differing(named)),
        ("Curves", charts_over_each_other((n, run.metrics) for n, run in named)),
        ("Soundness", _each(named, sections.soundness)),
        ("Cells", _cells(named)),
        ("Results", _each(named, lambda run: sections.results(run.table))),
        ("Reproduction", _each(named, sections.reproduction)),
        ("Warnings", _each(named, sections.warnings)),
    )
    return _page(f"{len(runs)} runs side by side", parts)


def _names(runs: Sequence[Run]) -> list[str]:
    """Returns the shortest ends of the folders' paths that differ."""
    parts = [run.folder.resolve().parts for run in runs]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(run.folder) for run in runs]


def _overview(named: Sequence[tuple[str, Run]]) -> str:
    header = ("run", "kind", "state", "result", "parameters", "multiply-adds", "time", "verdict")
    return table(header, (_row(name, run) for name, run in named))


def _row(name: str, run: Run):
    params, macs = run.costs or ("", "")
    judged = verdict(run)
    return (
        *(name, TITLES[run.config.command], state(run).words, ": ".join(outcome(run) or ("",))),
        *(f"{each:,}" if run.costs else "" for each in (params, macs)),
        *(duration(run.seconds), judged.words if judged else ""),
    )


def _differing(named: Sequence[tuple[str, Run]]) -> str:
    """Returns a table of the settings that differ, with their value in every run."""
    settings = [run.config.to_dict() for _, run in named]
    changed = {name for _, run in named for name in differing(run.config)}
    names = dict.fromkeys(name for each in settings for name in each)
    rows = []
    for name in names:
        values = [sections.format_value(each[name]) for each in settings if name in each]
        # A setting that only some kinds of runs have is shown if it is not at its default.
        differs = len(set(values)) > 1 or (len(values) < len(settings) and name in changed)
        if differs and name not in sections.NO_SETTINGS:
            row = (sections.format_value(each[name]) if name in each else "–" for each in settings)
            rows.append((name, *row))
    if not rows:
        return "<p>None: all runs have the same settings.</p>"
    head = ("setting", *(name for name, _ in named))
    if len(named) > len(rows):  # pages are longer than they are wide
        head, *rows = zip(head, *rows, strict=True)
        head = ("run", *head[1:])
    return f'<div class="wide">{table(head, rows)}</div>'


def _cells(named: Sequence[tuple[str, Run]]) -> str:
    """Returns the drawings of all runs; cells that several have are drawn once."""
    seen: dict = {}
    bodies = ((name, sections.cells(run, name, seen)) for name, run in named)
    return "".join(details(name, body, opened=True) for name, body in bodies if body)


def _each(named: Sequence[tuple[str, Run]], part) -> str:
    bodies = ((name, part(run)) for name, run in named)
    return "".join(details(name, body, opened=True) for name, body in bodies if body)
