"""`darts-tf export`: export of a trained network as SavedModel, TFLite and web page."""

from __future__ import annotations

import sys

from rich import box
from rich.table import Table

from darts_tf.cli import lookup, output, startup
from darts_tf.configs import ExportConfig
from darts_tf.export import folder
from darts_tf.export.report_page import quality
from darts_tf.jobs.exports import export_run, loader
from darts_tf.runtime.numbers import rounded


def run(config: ExportConfig) -> int:
    """Writes every format, compares it with Keras and prints the results."""
    report = export_with_progress(config)
    output.result(table(report))
    status = say_what_is_missing(report, named=config.format != ExportConfig.format)
    output.result(f"report:  {config.output / folder.PAGE}\nwritten: {config.output}")
    output.say(f"next: {lookup.use_command(config.output, config.workdir)}")
    return status


def export_with_progress(config: ExportConfig) -> dict:
    """Exports a run's network with a line per step on standard output; returns the report."""
    with startup.held_stderr():
        load = loader(config.workdir)
        return export_run(config, load, lambda line: output.say(f"{line} ..."), output.say)


def table(report: dict) -> Table:
    """Returns a table of the report of `export.export`, with a row for every model."""
    is_text = "perplexity" in report
    title = f"{report['parameters']:,} parameters, {report['macs']:,} MACs"
    measures = ("top word", "perplexity") if is_text else ("top class", "accuracy")
    options = {"box": box.SIMPLE, "pad_edge": False, "padding": (0, 1, 0, 0)}  # to fit a terminal
    rows = Table("file", title=title + " per word" * is_text, **options)
    for name in ("size", "difference\nfrom Keras", "SQNR", f"same\n{measures[0]}", measures[1]):
        rows.add_column(name, justify="right")
    for model in report["formats"].values():
        rows.add_row(
            model["path"],
            f"{rounded(model['bytes'] / 1e6, 2)} MB",
            f"{model['difference']:.1e}",
            f"{model['sqnr']:.0f} dB",
            f"{model['agreement']:.1%}",
            quality(model),
        )
    if is_text:
        rows.add_row("Keras", "", "", "", "", quality(report))
    return rows


QUANTIZED = ("tflite_weight_int8", "tflite_int8")
"""Formats that differ from Keras by their nature; how much depends on the network."""


def say_what_is_missing(report: dict, named: bool = False) -> int:
    """Prints a line for every missing model with the reason; returns the exit status.

    Args:
        report: the report of the export.
        named: whether the user has chosen the formats. If not, an export without a quantized model
            that is too inaccurate is no failure.
    """
    for name, reason in report["left_out"].items():
        output.result(f"left out {name}: {reason}")
    failed = False
    for name, model in report["missed"].items():
        if named or name not in QUANTIZED:
            print(f"darts-tf: not published: {model['reason']}", file=sys.stderr)
            failed = True
        else:
            output.result(
                f"left out {name}, which is too inaccurate for this network: {model['reason']}. "
                "The other files are complete; more training or calibration images may help"
            )
    if not report["missed"]:
        output.say("every model agrees with Keras")
    return 1 if failed else 0
