"""The HTML report: complete, escaped, and a single file."""

from __future__ import annotations

import copy
import re

from html_parser import Page

from darts_tf.export.report_page import render
from darts_tf.report import html

HOSTILE = "<script>alert('x')</script>&\"\u2028"
LATENCY = {"1": {"p50": 1.25, "p95": 2.5}, "2": {"p50": 0.75, "p95": 1.5}}


def with_everything(report):
    report = copy.deepcopy(report)
    more = {
        **{"ops": {"CONV_2D": 30, "PAD": 2}, "delegate_partitions": 3},
        **{"undelegated_ops": {"PAD": 2}, "latency_ms": LATENCY},
    }
    report["formats"]["tflite"].update(more, accuracy=0.875, sqnr=31.25)
    report["missed"]["int8"] = {"path": "model_int8.tflite", "reason": f"Received: {HOSTILE}"}
    report["left_out"][HOSTILE] = "no images"
    report["files"][HOSTILE] = {"bytes": 1234567, "sha256": "0" * 64}
    report.update(name=HOSTILE, check_source=HOSTILE)
    return report


def test_the_page_of_an_export_says_what_the_report_says(exported):
    text = (exported.output / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    report = exported.report
    for model in report["formats"].values():
        assert model["path"] in page.cells
        assert f"{model['difference']:.1e}" in page.cells
    for name, file in report["files"].items():
        if name != "report.html":
            assert {name, f"{file['bytes']:,}", file["sha256"]} <= set(page.cells)
    assert {*report["versions"].values(), f"{report['parameters']:,}"} <= set(page.cells)
    assert "Every model agrees with Keras within its bounds." in page.cells
    assert "In the TFLite interpreter" not in page.cells or "latency_ms" in str(report)


def test_the_page_shows_runtime_accuracy_and_what_is_missing(exported):
    cells = Page(render(with_everything(exported.report))).cells
    assert {"32", "3", "2 PAD", "1.25 / 2.5 ms", "0.75 / 1.5 ms", "87.5%", "31.2 dB"} <= set(cells)
    assert {"30", "CONV_2D"} <= set(cells)
    assert any("missed a bound" in cell for cell in cells)
    assert "model_int8.tflite" in cells


def test_the_page_escapes_every_text(exported):
    page = Page(render(with_everything(exported.report)))
    assert "script" not in page.tags
    assert sum(HOSTILE in cell for cell in page.cells) >= 5


def test_the_page_needs_nothing_else(exported):
    text = render(with_everything(exported.report))
    assert not {name for name, _ in Page(text).attributes} & {"src", "href", "srcset", "style"}
    assert not re.search(r"https?:|url\(|@import|<link|<script", text)


def test_the_page_looks_as_those_of_runs_do(exported):
    text = (exported.output / "report.html").read_text(encoding="utf-8")
    assert html.static("page.css") in text
    assert html.made_by("darts-tf export") in text
