"""The parts of a report: HTML of what is known of one run."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from darts_tf.report.alpha_maps import TITLES, heat_maps
from darts_tf.report.charts import Line, line_chart, number
from darts_tf.report.curves import charts_of, charts_over_each_other
from darts_tf.report.findings import Sign, outcome, signs, state
from darts_tf.report.html import details, facts, table, text
from darts_tf.report.job_tables import Table
from darts_tf.report.reproduce import command_of, defaults_of, differing, has_preset
from darts_tf.report.run import Run
from darts_tf.runtime.duration import duration
from darts_tf.spaces.cell import CELLS
from darts_tf.spaces.genotype import Genotype, RecurrentGenotype, cell_table


def drawn(genotype: Genotype | RecurrentGenotype) -> str:
    """Pictures of a genotype's cells, with tables of their pairs to unfold."""
    names = ("recurrent",) if isinstance(genotype, RecurrentGenotype) else CELLS
    parts = (_picture(genotype, name) for name in names)
    return "".join(parts) + details("The same as tables", "".join(_tables(genotype)))


@functools.lru_cache(maxsize=64)
def _picture(genotype: Genotype | RecurrentGenotype, cell: str) -> str:
    """One for light screens and paper, and one for dark screens; the page shows one of them."""
    from darts_tf.plots.figures import (
        picture,
        plot_genotype,  # matplotlib takes its time
    )

    both = []
    for look in ("light", "dark"):
        figure = plot_genotype(genotype, cell=cell, dark=look == "dark")
        both.append(f'<div class="{look}">{_inline(picture(figure, "svg"))}</div>')
    return f'<div class="drawn" role="group" aria-label="{TITLES[cell]}">{"".join(both)}</div>'


def _inline(svg: bytes) -> str:
    """What stands in a page of an SVG file: its element."""
    found = re.search(r"<svg\b.*</svg>", svg.decode("utf-8"), re.DOTALL)
    return " ".join(found[0].split()) if found else ""


def _tables(genotype: Genotype | RecurrentGenotype) -> Iterable[str]:
    if isinstance(genotype, RecurrentGenotype):
        yield table(*cell_table("recurrent", genotype.recurrent, genotype.concat))
        return
    for cell in CELLS:
        pairs, concat = getattr(genotype, cell), getattr(genotype, f"{cell}_concat")
        yield f"<h3>{TITLES[cell]}</h3>" + table(*cell_table(cell, pairs, concat))


FEW = 4
"""So many genotypes of a comparison are shown at once."""

NO_SETTINGS = ("workdir", "overwrite", "resume")
"""Settings that say nothing of what was computed."""


def summary(run: Run) -> str:
    """What a run is and what it has reached."""
    found = [("dataset", _dataset(run)), *_reached(run), ("time", _time(run))]
    if run.log.begun:
        found.append(("on record", f"{run.log.begun} to {run.log.ended}"))
    return _said(state(run)) + facts(found)


def _said(sign: Sign) -> str:
    kind = "bad" if sign.bad else "good"
    return f'<p class="{kind}">{text(sign.words)}</p>'


def _dataset(run: Run) -> str:
    name = str(run.dataset.get("name") or getattr(run.config, "dataset", None) or "")
    parts = [name or f"by the preset {run.config.preset}"]
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
    if found := outcome(run):
        yield found
    if run.costs:
        of = "as its preset trains them: " if run.config.searches else ""
        params, macs = run.costs
        yield "network", f"{of}{params:,} parameters, {macs:,} multiply-adds{_per(run)}"


def _per(run: Run) -> str:
    return " a word" if run.config.on_text else ""


def _time(run: Run) -> str:
    """Of all epochs; what was done again after a crash counts again, and is told."""
    told = duration(run.seconds)
    if run.times:
        told += f", {duration(sum(run.times) / len(run.times))} an epoch"
        again = len(run.times) - len(run.metrics) - (len(run.log.chosen) // 2)
        if again > 0:
            told += f"; {again} epochs were done again after the run had been stopped"
    return told


def cells(run: Run) -> str:
    """Pictures of the cells, and their pairs; of a comparison those of all that it compares."""
    own = drawn(run.genotype) if run.genotype else ""
    few = len(run.compared) <= FEW
    others = (details(name, drawn(each), opened=few) for name, each in run.compared.items())
    return own + "".join(others)


def soundness(run: Run) -> str:
    """Whether it collapsed."""
    found = signs(run)
    items = "".join(f"<li{' class=bad' * sign.bad}>{text(sign.words)}</li>" for sign in found)
    return found and f"<ul>{items}</ul>"


def alphas(run: Run) -> str:
    """How they moved."""
    if not run.moves:
        return ""
    return heat_maps(run.moves, run.stop.kept if run.stop else run.moves.epochs[-1])


def curves(run: Run) -> str:
    """Of its metrics, and of those of the runs in its folder, over each other."""
    parts = [charts_of(run.metrics)] if run.metrics else []
    if run.table and run.table.curve:
        best = tuple((i, 100 * value) for i, value in enumerate(run.table.curve))
        chart = line_chart("Best valid accuracy so far (%), by trial", [Line("best", best)])
        parts.append(f'<div class="charts">{chart}</div>')
    for title, runs in run.inside.items():
        parts.append(f"<h3>{text(title)}</h3>" + charts_over_each_other(runs))
    return "".join(parts)


def found_table(found: Table | None) -> str:
    """What a job of many runs has found, or an export."""
    if found is None:
        return ""
    notes = "".join(f"<li>{text(note)}</li>" for note in found.notes)
    rows = table(found.header, found.rows)
    return rows + (notes and f'<ul class="soft">{notes}</ul>')


def chosen(run: Run) -> str:
    """By perturbation: what was decided, in order."""
    if not run.log.chosen:
        return ""
    told = table(("place", "chosen", "accuracy without each"), run.log.chosen)
    return details(f"{len(run.log.chosen)} choices, in their order", told)


def settings(run: Run) -> str:
    """All settings, those first that differ from the preset's."""
    given, defaults = differing(run.config), defaults_of(run.config)
    every = run.config.to_dict()
    names = [name for name in every if name not in NO_SETTINGS]
    own = [(name, value_told(every[name]), _default(defaults, name)) for name in names]
    changed = [row for row in own if row[0] in given and row[1] != row[2]]
    same = [row[:2] for row in own if row not in changed]
    preset = run.config.preset if has_preset(run.config) else ""
    parts = []
    if changed:
        header = ("setting", "here", f"preset {preset}" if preset else "default")
        parts.append(table(header, changed))
    others = f"{len(same)} settings as {'the preset has them' if preset else 'they always are'}"
    parts.append(details(others, table(("setting", "value"), same)))
    own = "setting" if len(changed) == 1 else "settings"
    return details(f"{len(changed)} {own} of its own", "".join(parts), opened=True)


def _default(defaults: dict, name: str) -> str:
    return value_told(defaults[name]) if name in defaults else "–"


def value_told(value: object) -> str:
    """A setting's value for people."""
    if isinstance(value, list | tuple):
        return ", ".join(map(value_told, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def reproduction(run: Run) -> str:
    """The command that makes such a run, and with which packages this one was made."""
    told = _command(run.config)
    if run.best:
        told += f"<p>With the best settings:</p>{_command(run.best)}"
    if run.log.versions:
        lines = "; then, resumed, ".join(run.log.versions)
        told += f"<p>With {text(lines)}.</p>"
    else:
        told += '<p class="soft">The versions of the packages are not on record.</p>'
    return told


def _command(config) -> str:
    return f"<pre><code>{text(command_of(config))}</code></pre>"


def warnings(run: Run) -> str:
    """Those of its log."""
    items = "".join(f"<li>{text(line)}</li>" for line in run.log.warnings)
    return items and f"<ul>{items}</ul>"
