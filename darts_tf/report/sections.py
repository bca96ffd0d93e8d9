"""The sections of a report, as HTML."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from darts_tf.report.alpha_maps import heat_maps
from darts_tf.report.charts import Line, line_chart, number
from darts_tf.report.curves import charts_of, charts_over_each_other
from darts_tf.report.drawings import drawn
from darts_tf.report.evaluations import results_by_class
from darts_tf.report.findings import Sign, outcome, signs, state, verdict
from darts_tf.report.html import details, facts, table, text
from darts_tf.report.job_tables import Table
from darts_tf.report.reproduce import command_of, defaults_of, differing, has_preset
from darts_tf.report.run import Run
from darts_tf.runs import files
from darts_tf.runtime.duration import duration
from darts_tf.spaces.difference import edges_of
from darts_tf.spaces.genotype import CELL_TITLES, AnyGenotype

FEW = 4
"""Largest number of genotypes of a comparison whose sections are open at first."""

NO_SETTINGS = ("workdir", "overwrite", "resume")
"""Settings that do not affect the results."""


def summary(run: Run) -> str:
    """Returns the state of a run, its dataset, result, network and time."""
    rows = [("dataset", _dataset(run)), *_reached(run), ("time", _time(run))]
    if run.log.begun:
        rows.append(("log", f"{run.log.begun} to {run.log.ended}"))
    return _paragraph(state(run)) + facts(rows)


def _paragraph(sign: Sign) -> str:
    kind = "bad" if sign.bad else "good"
    return f'<p class="{kind}">{text(sign.words)}</p>'


def _dataset(run: Run) -> str:
    name = str(run.dataset.get("name") or getattr(run.config, "dataset", None) or "")
    parts = [name or f"that of the preset {run.config.preset}"]
    for kind in ("images", "words"):
        counts = run.dataset.get(kind)
        if isinstance(counts, dict):
            each = (f"{number(count)} {split}" for split, count in counts.items() if _is(count))
            parts.append(f"{' and '.join(each)} {kind}")
    if isinstance(run.dataset.get("classes"), list):
        parts.append(f"{len(run.dataset['classes'])} classes")
    return ", ".join(parts)


def _is(count: object) -> bool:
    return type(count) is int and 0 <= count < 10**15


def _reached(run: Run) -> Iterable[tuple[str, str]]:
    if result := outcome(run):
        yield result
    if run.costs:
        of = "as trained by the preset: " if run.config.searches else ""
        params, macs = run.costs
        yield "network", f"{of}{params:,} parameters, {macs:,} multiply-adds{_per(run)}"


def _per(run: Run) -> str:
    return " per word" if run.config.on_text else ""


def _time(run: Run) -> str:
    """Describes the time of all epochs, including the ones repeated after an interruption."""
    sentence = duration(run.seconds)
    if run.times:
        sentence += f", {duration(sum(run.times) / len(run.times))} per epoch"
        again = len(run.times) - len(run.metrics) - (len(run.log.chosen) // 2)
        if again > 0:
            sentence += f"; {again} epochs were repeated after an interruption"
    return sentence


def cells(run: Run, name: str = "", seen: dict[AnyGenotype, str] | None = None) -> str:
    """Returns the drawings of the run's cells, or of all genotypes of a comparison.

    Args:
        run: the run.
        name: the name of the run among several.
        seen: names by the genotypes that the page has drawn before; those of the run are added.
    """
    seen = {} if seen is None else seen
    own, sure = "", run.confidence
    if run.genotype:
        undecided = sure.undecided_pairs if sure else None
        own = _drawn_once(run.genotype, name or "the run itself", seen, undecided)
    if sure:
        own += details("How sure every choice is", _choices(run))
    few = len(run.compared) <= FEW
    others = (
        details(each, _drawn_once(genotype, f"{name} {each}".strip(), seen), opened=few)
        for each, genotype in run.compared.items()
    )
    return own + "".join(others)


def _choices(run: Run) -> str:
    """Returns a table of the choices of a search, and how sure they are."""
    shares = run.confidence.all_shares
    rows = [
        (CELL_TITLES[edge.cell], f"node {edge.node}", edge.words, f"{share:.0%}")
        for edge, share in zip(edges_of(run.genotype), shares, strict=True)
    ]
    resamples = f"in {run.confidence.resamples} resampled searches"
    return table(("cell", "node", "choice", resamples), rows)


def _drawn_once(genotype, name: str, seen: dict, undecided: Mapping | None = None) -> str:
    """Returns drawings of a genotype, or the name under which the page has them already."""
    if genotype in seen:
        return f"<p>The same cells as {text(seen[genotype])}.</p>"
    seen[genotype] = name
    return drawn(genotype, undecided)


def soundness(run: Run) -> str:
    """Returns the verdict on a run's result, and what speaks for and against it as a list."""
    sentences, judged = signs(run), verdict(run)
    items = "".join(f"<li{' class=bad' * sign.bad}>{text(sign.words)}</li>" for sign in sentences)
    return (_paragraph(judged) if judged else "") + (items and f"<ul>{items}</ul>")


def tests(run: Run) -> Iterable[tuple[str, str]]:
    """Yields title and content of the results by class: on the test split, and on other images."""
    for each in run.evaluations:
        title = "Test by class" if each.own else f"Test on {each.dataset}"
        title += f", at most {each.limit:,} images" if each.limit else ""
        if each.epochs != len(run.metrics):
            title += f", before it was trained further (after {each.epochs:,} epochs)"
        yield title, results_by_class(each)
    finished = (run.folder / files.MODEL).is_file()
    if run.config.trains and not run.config.on_text and finished and not run.evaluations:
        words = f"darts-tf evaluate --workdir {shlex.quote(str(run.folder))}"
        command = f"<code>{text(words)}</code>"
        about = "adds the results by class, a confusion matrix and the worst mistakes to this page."
        yield "Test by class", f'<p class="soft">{command} {about}</p>'


def alphas(run: Run) -> str:
    """Returns the heat maps of the alphas, at the epoch whose genotype was kept."""
    if not run.moves:
        return ""
    return heat_maps(run.moves, run.stop.kept if run.stop else run.moves.epochs[-1])


def curves(run: Run) -> str:
    """Returns the charts of the run's metrics, and shared charts of the runs in its folder."""
    parts = [charts_of(run.metrics)] if run.metrics else []
    if run.table and run.table.curve:
        best = tuple((i, 100 * value) for i, value in enumerate(run.table.curve))
        chart = line_chart("Best validation accuracy so far (%), by trial", [Line("best", best)])
        parts.append(f'<div class="charts">{chart}</div>')
    for title, runs in run.inside.items():
        parts.append(f"<h3>{text(title)}</h3>" + charts_over_each_other(runs))
    return "".join(parts)


def results(job: Table | None) -> str:
    """Returns the result table of a job of many runs, or of an export, with its notes."""
    if job is None:
        return ""
    notes = "".join(f"<li>{text(note)}</li>" for note in job.notes)
    rows = table(job.header, job.rows)
    return rows + (notes and f'<ul class="soft">{notes}</ul>')


def chosen(run: Run) -> str:
    """Returns the choices of a selection by perturbation, in order."""
    if not run.log.chosen:
        return ""
    choices = table(("place", "choice", "accuracy without each candidate"), run.log.chosen)
    return details(f"{len(run.log.chosen)} choices, in order", choices)


def settings(run: Run) -> str:
    """Returns all settings, starting with the ones that differ from the preset's."""
    stated, defaults = differing(run.config), defaults_of(run.config)
    every = run.config.to_dict()
    names = [name for name in every if name not in NO_SETTINGS]
    own = [(name, format_value(every[name]), _default(defaults, name)) for name in names]
    changed = [row for row in own if row[0] in stated and row[1] != row[2]]
    same = [row[:2] for row in own if row not in changed]
    preset = run.config.preset if has_preset(run.config) else ""
    parts = []
    if changed:
        header = ("setting", "here", f"preset {preset}" if preset else "default")
        parts.append(table(header, changed))
    others = f"{len(same)} settings with the {'preset' if preset else 'default'} value"
    parts.append(details(others, table(("setting", "value"), same)))
    own = "setting" if len(changed) == 1 else "settings"
    return details(f"{len(changed)} changed {own}", "".join(parts), opened=True)


def _default(defaults: dict, name: str) -> str:
    return format_value(defaults[name]) if name in defaults else "–"


def format_value(value: object) -> str:
    """Formats the value of a setting."""
    if isinstance(value, list | tuple):
        return ", ".join(map(format_value, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def reproduction(run: Run) -> str:
    """Returns the command that repeats the run, and the package versions that it used."""
    parts = _command(run.config)
    if run.best:
        parts += f"<p>With the best settings:</p>{_command(run.best)}"
    if run.log.versions:
        lines = "; after a resume, ".join(run.log.versions)
        parts += f"<p>With {text(lines)}.</p>"
    else:
        parts += '<p class="soft">The log has no package versions.</p>'
    return parts


def _command(config) -> str:
    return f"<pre><code>{text(command_of(config))}</code></pre>"


def warnings(run: Run) -> str:
    """Returns the warnings of the log as a list."""
    items = "".join(f"<li>{text(line)}</li>" for line in run.log.warnings)
    return items and f"<ul>{items}</ul>"
