"""The report as a page for people: one file that needs nothing else, on a screen or on paper."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from export.report_facts import Facts, facts, quality

Row = Sequence[object]

BOUNDS = {
    "difference": "difference ≤ {:.2g}",
    "agreement": "same {1} ≥ {0:.0%}",
    "sqnr": "SQNR ≥ {:g} dB",
}
"""How a bound is written, by what it bounds."""


def render(report: Mapping) -> str:
    """The page.

    Args:
        report: what `export.export` returns.

    Returns:
        HTML; every text of the report is escaped.
    """
    title = f"{report['name']}, version {report['version']}"
    found = facts(report)
    parts = (
        f"<h1>{_text(title)}</h1>",
        _outcome(report),
        "<h2>Models</h2>" + _models(report, found),
        _missing(report),
        _runtime(report),
        "<h2>Network</h2>" + _facts(found.network),
        "<h2>Genotype</h2>" + _genotype(found.cells),
        "<h2>How it was measured</h2>" + _facts(found.how),
        "<h2>Versions</h2>" + _facts(report["versions"].items()),
        "<h2>Files</h2>" + _files(report["files"]),
    )
    return _PAGE.format(title=_text(title), style=_STYLE, body="\n".join(filter(None, parts)))


def _outcome(report: Mapping) -> str:
    missed = len(report["missed"])
    if missed:
        counted = f"{missed} of {missed + len(report['formats'])} models"
        return f'<p class="bad">{counted} missed a bound and were not published.</p>'
    return '<p class="good">Every model agrees with Keras within its bounds.</p>'


def _models(report: Mapping, found: Facts) -> str:
    name, of_keras = found.quality
    same = f"same top {found.thing}"
    header = ("file", "size", "largest difference", "SQNR", same, name, "bounds")
    rows = [("Keras", "", "", "", "", of_keras, "")]
    if "folded" in report:
        rows.append(("folded network", "", *_measured(report["folded"], found)))
    for model in report["formats"].values():
        rows.append((model["path"], _size(model["bytes"]), *_measured(model, found)))
    return _table(header, rows)


def _measured(model: Mapping, found: Facts) -> Row:
    sqnr, same = f"{model['sqnr']:.1f} dB", f"{model['agreement']:.1%}"
    bounds = (BOUNDS[name].format(bound, found.thing) for name, bound in model["bounds"].items())
    return f"{model['difference']:.1e}", sqnr, same, quality(model), ", ".join(bounds)


def _missing(report: Mapping) -> str:
    reasons = [(model["path"], model["reason"]) for model in report["missed"].values()]
    reasons += report["left_out"].items()
    return reasons and "<h2>Not published</h2>" + _facts(reasons)


def _runtime(report: Mapping) -> str:
    """Operations and latency of those models that say something about it; or nothing."""
    models = [model for model in report["formats"].values() if "latency_ms" in model]
    if not models:
        return ""
    threads = list(models[0]["latency_ms"])
    header = ["file", "operations", "delegated parts", "not delegated"]
    header += [f"{n} thread{'s' * (n != '1')}, p50 / p95" for n in threads]
    rows = []
    for model in models:
        times = (model["latency_ms"][n] for n in threads)
        row = (
            model["path"],
            sum(model["ops"].values()),
            model["delegate_partitions"],
            ", ".join(f"{n} {op}" for op, n in model["undelegated_ops"].items()) or "none",
        )
        rows.append((*row, *(f"{time['p50']:.3g} / {time['p95']:.3g} ms" for time in times)))
    kinds = dict.fromkeys(op for model in models for op in model["ops"])
    counts = [(op, *(model["ops"].get(op, "") for model in models)) for op in sorted(kinds)]
    details = _table(["operation", *(model["path"] for model in models)], counts)
    return (
        "<h2>In the TFLite interpreter</h2>"
        + _table(header, rows)
        + f"<details><summary>Operations by kind</summary>{details}</details>"
    )


def _genotype(cells: Sequence[tuple]) -> str:
    return "".join(f"<h3>{title}</h3>{_table(header, rows)}" for title, header, rows in cells)


def _files(files: Mapping) -> str:
    rows = ((name, f"{file['bytes']:,}", file["sha256"]) for name, file in files.items())
    return _table(("file", "bytes", "SHA-256"), rows)


def _table(header: Sequence[str], rows: Iterable[Row]) -> str:
    """Where a screen is narrow, rows become lists: so that every cell knows its column."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in header)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-column="{_text(name)}">{_text(cell)}</td>'
            for name, cell in zip(header, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _facts(facts: Iterable[tuple[object, object]]) -> str:
    return "<dl>" + "".join(f"<dt>{_text(n)}</dt><dd>{_text(v)}</dd>" for n, v in facts) + "</dl>"


def _size(count: int) -> str:
    return f"{count / 1e6:,.2f} MB"


def _text(value: object) -> str:
    return html.escape(str(value))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --soft: #5b6570; --line: #d9dee3;
  --paper: #ffffff; --good: #176639; --bad: #a3271b; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e7eaed; --soft: #9aa5b1; --line: #39424b; --paper: #14181c;
    --good: #6fd39b; --bad: #ff9d8f; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1.5rem 1rem 3rem; color: var(--text);
  background: var(--paper); font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; break-after: avoid; }
.good { color: var(--good); } .bad { color: var(--bad); }
.good, .bad { font-weight: 600; margin: 0; }
table { border-collapse: collapse; width: 100%; margin: 0 0 1rem; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td:first-child, td:last-child { overflow-wrap: anywhere; }
th:first-child, td:first-child { min-width: 9rem; }
h3 { font-size: 1rem; font-weight: 600; margin: .5rem 0; break-after: avoid; }
tr { break-inside: avoid; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .35rem 1rem;
  margin: 0; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; margin-bottom: .5rem; }
@media screen and (max-width: 45rem) {
  thead { display: none; }
  tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td { display: grid; grid-template-columns: 9rem 1fr; gap: 1rem; border: 0; padding: .12rem 0; }
  td:first-child { display: block; font-weight: 600; }
  td:empty { display: none; }
  td::before { content: attr(data-column); color: var(--soft); }
  td:first-child::before { content: none; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; }
}
@media print {
  :root { --text: #000; --soft: #444; --line: #bbb; --paper: #fff; --good: #000; --bad: #000; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  table, dl { font-size: 8.5pt; }
}
"""
