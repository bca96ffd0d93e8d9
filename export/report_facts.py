"""What the report's page says of a network, by what it was trained on; plain rows, no HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Rows = Sequence[Sequence[object]]


class Facts(NamedTuple):
    """Parts of the page.

    Attributes:
        quality: what models are measured by, and Keras' own, as text.
        network: names and values.
        cells: tables of the genotype: title, header and rows.
        how: names and values: what was measured, and what the columns mean.
        thing: what a logit is of.
    """

    quality: tuple[str, str]
    network: Rows
    cells: Sequence[tuple[str, Sequence[str], Rows]]
    how: Rows
    thing: str


def facts(report: Mapping) -> Facts:
    """Of the report that an export returns."""
    return (_of_text if "vocabulary" in report else _of_images)(report)


def quality(model: Mapping) -> str:
    """A model's accuracy, or its perplexity."""
    if "perplexity" in model:
        return f"{model['perplexity']:,.2f}"
    accuracy = model["accuracy"]
    return "unknown" if accuracy is None else f"{accuracy:.1%}"


def _of_images(report: Mapping) -> Facts:
    given = report["input"]
    size = f"{given['height']} x {given['width']} x {given['channels']}"
    network = (
        ("parameters", f"{report['parameters']:,}"),
        ("multiply-adds", f"{report['macs']:,} in convolutions and dense layers"),
        ("", f"{report['macs_and_elementwise']:,} with normalised and rectified values"),
        ("image", f"{size}, values {given['range'][0]} to {given['range'][1]}"),
        ("classes", f"{report['classes']:,}"),
    )
    cells = [_convolutional(report["genotype"], cell) for cell in ("normal", "reduce")]
    how = (
        ("compared on", _used(report, "check", "images")),
        ("calibrated on", _used(report, "calibration", "images")),
        *_MEASURES,
        ("accuracy", "share of the images whose most probable class is theirs"),
    )
    return Facts(("accuracy", quality(report)), network, cells, how, "class")


def _of_text(report: Mapping) -> Facts:
    network = (
        ("parameters", f"{report['parameters']:,}"),
        ("multiply-adds", f"{report['macs']:,} a word"),
        ("state", f"{report['units']:,} numbers"),
        ("vocabulary", f"{report['vocabulary']:,} words"),
        ("words", _SPLITTING.get(report["splitting"], report["splitting"])),
    )
    pairs, concat = report["genotype"]["recurrent"], report["genotype"]["concat"]
    rows = [
        (f"node {i}", f"{activation} of {source}", "yes" if i in concat else "no")
        for i, (activation, source) in enumerate(pairs, 1)
    ]
    cells = [("recurrent cell", ("node", "edge", "in the output"), rows)]
    streams = report["check_streams"]
    how = (
        ("compared on", f"{_used(report, 'check', 'words')}, in {streams} streams"),
        *_MEASURES,
        ("perplexity", "the exponential of a word's mean negative log-likelihood, on these words"),
    )
    return Facts(("perplexity", quality(report)), network, cells, how, "word")


_MEASURES = (
    ("difference", "of two logits, over the largest logit of Keras"),
    ("SQNR", "power of the logits over that of their differences"),
)

_SPLITTING = {"spaces": "divided by white space", "pydoc": "small letters, marks apart"}


def _convolutional(genotype: Mapping, cell: str):
    pairs, concat = genotype[cell], genotype[f"{cell}_concat"]
    rows = []
    for node in range(len(pairs) // 2):
        edges = (f"{op} of {source}" for op, source in pairs[2 * node : 2 * node + 2])
        rows.append((f"node {node + 2}", *edges, "yes" if node + 2 in concat else "no"))
    return f"{cell} cell", ("node", "first edge", "second edge", "in the output"), rows


def _used(report: Mapping, use: str, things: str) -> str:
    count, source = report[f"{use}_{things}"], report.get(f"{use}_source")
    return f"{count or 'no'} {things}" + (f" of {source}" if count and source else "")
