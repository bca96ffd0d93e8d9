"""The report of an export as a single HTML file, which also prints well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from darts_tf.report.html import details, facts, page, table, text
from darts_tf.runtime.numbers import rounded
from darts_tf.spaces.genotype import cell_table
from darts_tf.spaces.notation import genotype_of

Row = Sequence[object]

BOUNDS = {
    "difference": "difference ≤ {:.2g}",
    "agreement": "same {1} ≥ {0:.0%}",
    "sqnr": "SQNR ≥ {:g} dB",
}
"""Formats of bounds by the measure that they bound."""


def render(report: Mapping) -> str:
    """Renders the page.

    Args:
        report: the report that `export.export` returns.

    Returns:
        HTML in which all text of the report is escaped.
    """
    title = f"{report['name']}, version {report['version']}"
    content = facts_of(report)
    parts = (
        f"<h1>{text(title)}</h1>",
        _outcome(report),
        "<h2>Models</h2>" + _models(report, content),
        _missing(report),
        _runtime(report),
        "<h2>Network</h2>" + facts(content.network),
        "<h2>Genotype</h2>" + _genotype(content.cells),
        "<h2>How it was measured</h2>" + facts(content.how),
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


def _models(report: Mapping, content: Facts) -> str:
    name, keras_quality = content.quality
    same = f"same top {content.thing}"
    header = ("file", "size", "largest difference", "SQNR", same, name, "bounds")
    rows = [("Keras", "", "", "", "", keras_quality, "")]
    if "folded" in report:
        rows.append(("folded network", "", *_columns(report["folded"], content)))
    for model in report["formats"].values():
        rows.append((model["path"], _size(model["bytes"]), *_columns(model, content)))
    return table(header, rows)


def _columns(model: Mapping, content: Facts) -> Row:
    sqnr, same = f"{model['sqnr']:.1f} dB", f"{model['agreement']:.1%}"
    bounds = (BOUNDS[name].format(bound, content.thing) for name, bound in model["bounds"].items())
    return f"{model['difference']:.1e}", sqnr, same, quality(model), ", ".join(bounds)


def _missing(report: Mapping) -> str:
    reasons = [(model["path"], model["reason"]) for model in report["missed"].values()]
    reasons += report["left_out"].items()
    return reasons and "<h2>Not published</h2>" + facts(reasons)


def _runtime(report: Mapping) -> str:
    """Returns tables of operations and latency of the TFLite models; empty if there are none."""
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
    return f"{rounded(count / 1e6, 2)} MB"


Rows = Sequence[Sequence[object]]


class Facts(NamedTuple):
    """Contents of the page that depend on the kind of network.

    Attributes:
        quality: name of the measure of quality, and its value for Keras, as text.
        network: names and values about the network.
        cells: tables of the genotype: title, header and rows.
        how: names and values about the data and the meaning of the columns.
        thing: the thing that a logit stands for, "class" or "word".
    """

    quality: tuple[str, str]
    network: Rows
    cells: Sequence[tuple[str, Sequence[str], Rows]]
    how: Rows
    thing: str


def facts_of(report: Mapping) -> Facts:
    """Returns the contents of the page for an export's report."""
    return (_text_facts if "vocabulary" in report else _image_facts)(report)


def quality(model: Mapping) -> str:
    """Returns a model's accuracy or perplexity as text."""
    if "perplexity" in model:
        return f"{model['perplexity']:,.2f}"
    accuracy = model["accuracy"]
    return "unknown" if accuracy is None else f"{accuracy:.1%}"


def _image_facts(report: Mapping) -> Facts:
    image = report["input"]
    size = f"{image['height']} x {image['width']} x {image['channels']}"
    network = (
        ("parameters", f"{report['parameters']:,}"),
        ("multiply-adds", f"{report['macs']:,} in convolutions and dense layers"),
        ("", f"{report['macs_and_elementwise']:,} with normalized and rectified values"),
        ("image", f"{size}, values {image['range'][0]} to {image['range'][1]}"),
        ("classes", f"{report['classes']:,}"),
    )
    cells = _cells(report)
    how = (
        ("compared on", _used(report, "check", "images")),
        ("calibrated on", _used(report, "calibration", "images")),
        *_MEASURES,
        ("accuracy", "share of the images that are classified correctly"),
    )
    return Facts(("accuracy", quality(report)), network, cells, how, "class")


def _text_facts(report: Mapping) -> Facts:
    network = (
        ("parameters", f"{report['parameters']:,}"),
        ("multiply-adds", f"{report['macs']:,} per word"),
        ("state", f"{report['units']:,} numbers"),
        ("vocabulary", f"{report['vocabulary']:,} words"),
        ("words", _SPLITTING.get(report["splitting"], report["splitting"])),
    )
    cells = _cells(report)
    streams = report["check_streams"]
    how = (
        ("compared on", f"{_used(report, 'check', 'words')}, in {streams} streams"),
        *_MEASURES,
        ("perplexity", "the exponential of a word's mean negative log-likelihood, on these words"),
    )
    return Facts(("perplexity", quality(report)), network, cells, how, "word")


_MEASURES = (
    ("difference", "largest difference of two logits over the largest logit of Keras"),
    ("SQNR", "power of the logits over that of their differences"),
)

_SPLITTING = {"spaces": "split at white space", "pydoc": "lower case, punctuation split off"}


def _cells(report: Mapping) -> list[tuple]:
    """Returns title, header and rows of the table of each cell."""
    genotype = genotype_of(report["genotype"])
    return [(cell.title, *cell_table(cell)) for cell in genotype.cells]


def _used(report: Mapping, use: str, things: str) -> str:
    count, source = report[f"{use}_{things}"], report.get(f"{use}_source")
    return f"{count or 'no'} {things}" + (f" of {source}" if count and source else "")
