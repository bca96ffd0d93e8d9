"""The report as a page for people: one file that needs nothing else, on a screen or on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from darts_tf.report.html import details, facts, page, table, text
from export.report_facts import Facts, quality
from export.report_facts import facts as facts_of

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
    found = facts_of(report)
    parts = (
        f"<h1>{text(title)}</h1>",
        _outcome(report),
        "<h2>Models</h2>" + _models(report, found),
        _missing(report),
        _runtime(report),
        "<h2>Network</h2>" + facts(found.network),
        "<h2>Genotype</h2>" + _genotype(found.cells),
        "<h2>How it was measured</h2>" + facts(found.how),
        "<h2>Versions</h2>" + facts(report["versions"].items()),
        "<h2>Files</h2>" + _files(report["files"]),
    )
    return page(title, "\n".join(filter(None, parts)))


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
    return table(header, rows)


def _measured(model: Mapping, found: Facts) -> Row:
    sqnr, same = f"{model['sqnr']:.1f} dB", f"{model['agreement']:.1%}"
    bounds = (BOUNDS[name].format(bound, found.thing) for name, bound in model["bounds"].items())
    return f"{model['difference']:.1e}", sqnr, same, quality(model), ", ".join(bounds)


def _missing(report: Mapping) -> str:
    reasons = [(model["path"], model["reason"]) for model in report["missed"].values()]
    reasons += report["left_out"].items()
    return reasons and "<h2>Not published</h2>" + facts(reasons)


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
    by_kind = table(["operation", *(model["path"] for model in models)], counts)
    return (
        "<h2>In the TFLite interpreter</h2>"
        + table(header, rows)
        + details("Operations by kind", by_kind)
    )


def _genotype(cells: Sequence[tuple]) -> str:
    return "".join(f"<h3>{title}</h3>{table(header, rows)}" for title, header, rows in cells)


def _files(files: Mapping) -> str:
    rows = ((name, f"{file['bytes']:,}", file["sha256"]) for name, file in files.items())
    return table(("file", "bytes", "SHA-256"), rows)


def _size(count: int) -> str:
    return f"{count / 1e6:,.2f} MB"
