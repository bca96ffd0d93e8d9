"""The report of a run, or of several side by side: one page that needs nothing else."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Sequence

from darts_tf.errors import InputError
from darts_tf.report import html, sections
from darts_tf.report.curves import charts_over_each_other
from darts_tf.report.findings import outcome, signs, state
from darts_tf.report.html import details, table, text
from darts_tf.report.job_tables import EXPORT, Table, export_of, genotype_exported
from darts_tf.report.reproduce import differing
from darts_tf.report.run import Run, run_of
from darts_tf.runs import files
from darts_tf.runtime import atomic
from darts_tf.runtime.duration import duration
from darts_tf.runtime.outputs import check_output_file

MAKER = "darts-tf report"
"""What pages say that they were made by; others are not replaced."""

TITLES = {
    "search": "Search",
    "train": "Training",
    "select": "Selection among searches",
    "compare": "Comparison",
    "baseline": "Baseline",
    "tune": "Tuning",
}
"""Of reports, by the command that made the run."""


def write_report(
    folders: Sequence[pathlib.Path],
    output: pathlib.Path | None = None,
    export: pathlib.Path | None = None,
) -> pathlib.Path:
    """Writes the report of one run or of several, whole or not at all.

    Args:
        folders: of the runs.
        output: file for it; by default `report.html` in the run's folder, or in that which the
            folders of several runs have in common.
        export: folder of an export of one run; by default the one that is found beside it.

    Returns:
        The file.

    Raises:
        InputError: A folder that holds no run or something else than a run should, an output that
            cannot be written or is a file of somebody else's, or one run twice.
    """
    output = output or _common(folders) / files.PAGE
    _check_output(output)
    found = [run_of(folder) for folder in folders]
    if len({run.folder.resolve() for run in found}) < len(found):
        raise InputError(f"Expected each run once. Received: {', '.join(map(str, folders))}")
    if export and len(found) > 1:
        raise InputError(f"Expected one run with an export. Received: {len(found)} runs")
    page = render(found[0], export) if len(found) == 1 else render_many(found)
    try:
        atomic.write_text(output, page)
    except OSError as error:
        raise InputError(
            f"Expected an output that can be written. Received: {output} ({error.strerror})"
        ) from error
    return output


def _common(folders: Sequence[pathlib.Path]) -> pathlib.Path:
    return pathlib.Path(os.path.commonpath([folder.resolve() for folder in folders]))


def _check_output(output: pathlib.Path) -> None:
    """Refuses to replace a file that is not a report."""
    head = output.read_bytes()[:2000] if output.is_file() else b""
    is_report = html.made_by(MAKER) in head.decode("utf-8", errors="replace")
    check_output_file("output", output, overwrite=is_report, instead="an earlier report")


def render(run: Run, export: pathlib.Path | None = None) -> str:
    """The page of one run.

    Args:
        run: what is known of it.
        export: folder of an export of it; by default the one that is found beside it.
    """
    exported = _exports(run, export)
    found = (
        ("", sections.summary(run)),
        ("Cells", sections.cells(run)),
        ("Is it sound?", sections.soundness(run)),
        (run.table.title if run.table else "", sections.found_table(run.table)),
        ("How the alphas moved", sections.alphas(run)),
        ("Curves", sections.curves(run)),
        ("Chosen by perturbation", sections.chosen(run)),
        ("Settings", sections.settings(run)),
        ("To do the same again", sections.reproduction(run)),
        ("Export", "".join(map(sections.found_table, exported))),
        ("Warnings", sections.warnings(run)),
    )
    return _page(_title(run), found)


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
    """That which was named, or those beside a training's folder that are of its genotype."""
    if export:
        return [export_of(export)]
    if run.config.command != "train" or run.genotype is None:
        return []
    own = files.plain(vars(run.genotype))
    beside = sorted(run.folder.resolve().parent.glob(f"*/{EXPORT}"))
    folders = (path.parent for path in beside if genotype_exported(path.parent) == own)
    return [export_of(folder) for folder in folders]


def render_many(found: Sequence[Run]) -> str:
    """The page of several runs: what differs between them, and their curves over each other."""
    names = _names(found)
    named = list(zip(names, found, strict=True))
    parts = (
        ("", _overview(named)),
        ("Settings that differ", _differing(named)),
        ("Curves over each other", charts_over_each_other((n, run.metrics) for n, run in named)),
        ("Cells", _each(named, sections.cells)),
        ("Are they sound?", _each(named, sections.soundness)),
        ("What they found", _each(named, lambda run: sections.found_table(run.table))),
        ("To do the same again", _each(named, sections.reproduction)),
        ("Warnings", _each(named, sections.warnings)),
    )
    return _page(f"{len(found)} runs side by side", parts)


def _names(found: Sequence[Run]) -> list[str]:
    """The ends of the folders' paths, as long as they must be to differ."""
    parts = [run.folder.resolve().parts for run in found]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(run.folder) for run in found]


def _overview(named: Sequence[tuple[str, Run]]) -> str:
    header = ("run", "what", "state", "reached", "parameters", "multiply-adds", "time", "sound")
    return table(header, (_row(name, run) for name, run in named))


def _row(name: str, run: Run):
    params, macs = run.costs or ("", "")
    bad = [sign.words for sign in signs(run) if sign.bad]
    return (
        *(name, TITLES[run.config.command], state(run).words, ": ".join(outcome(run) or ("",))),
        *(f"{each:,}" if run.costs else "" for each in (params, macs)),
        *(duration(run.seconds), "no, see below" if bad else "yes" if signs(run) else ""),
    )


def _differing(named: Sequence[tuple[str, Run]]) -> str:
    """Of each setting the value in every run, where these are not the same."""
    settings = [run.config.to_dict() for _, run in named]
    given = {name for _, run in named for name in differing(run.config)}
    names = dict.fromkeys(name for each in settings for name in each)
    rows = []
    for name in names:
        values = [sections.value_told(each[name]) for each in settings if name in each]
        # of what other kinds of runs have not, what is out of the ordinary
        tells = len(set(values)) > 1 or (len(values) < len(settings) and name in given)
        if tells and name not in sections.NO_SETTINGS:
            row = (sections.value_told(each[name]) if name in each else "–" for each in settings)
            rows.append((name, *row))
    if not rows:
        return "<p>None: they were all made with the same.</p>"
    head = ("setting", *(name for name, _ in named))
    if len(named) > len(rows):  # pages are longer than they are wide
        head, *rows = zip(head, *rows, strict=True)
        head = ("run", *head[1:])
    return f'<div class="wide">{table(head, rows)}</div>'


def _each(named: Sequence[tuple[str, Run]], part) -> str:
    found = ((name, part(run)) for name, run in named)
    return "".join(details(name, body, opened=True) for name, body in found if body)
