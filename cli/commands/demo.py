"""`darts-tf demo`: all steps from real images to an exported network, in a few minutes."""

from __future__ import annotations

import time

from rich.table import Table

from darts_tf.cli import output
from darts_tf.cli.commands.export import export_with_progress, say_what_is_missing
from darts_tf.cli.jobs import begin, follow, search_with_progress, train_with_progress
from darts_tf.configs import DemoConfig, ExportConfig, SearchConfig, TrainConfig
from darts_tf.runs import files
from darts_tf.runtime.duration import duration
from darts_tf.training.images import evaluate


def run(config: DemoConfig) -> int:
    """Searches, trains, tests and exports as the single commands do, and prints a summary."""
    folders = {step: config.workdir / step for step in ("search", "train", "export")}
    options = {"seed": config.seed, "overwrite": config.overwrite}
    begin("demo", config)
    start = time.monotonic()

    _title("1. search cells with the exact second-order gradient")
    genotype = search_with_progress(
        SearchConfig.from_preset("digits", workdir=folders["search"], **options)
    )
    searched = time.monotonic()

    _title("2. train the network of the genotype from scratch")
    path = str(folders["search"] / files.GENOTYPE)
    train_with_progress(
        TrainConfig.from_preset("digits", genotype=path, workdir=folders["train"], **options)
    )

    _title("3. test the saved network")
    tested = evaluate(folders["train"])

    _title("4. export it, and compare with Keras")
    report = export_with_progress(
        ExportConfig(workdir=folders["train"], output=folders["export"], overwrite=config.overwrite)
    )
    status = say_what_is_missing(report)
    times = {"search": searched - start, "all": time.monotonic() - start}
    _report_end(config, folders, tested, report, times)
    output.result(_summary(genotype, tested, report, times))
    _say_next_commands(config, folders)
    return status


def _report_end(config: DemoConfig, folders, tested, report, times) -> None:
    output.event(
        "end",
        command="demo",
        run=config.workdir,
        genotype=folders["search"] / files.GENOTYPE,
        network=folders["train"] / files.MODEL,
        export=folders["export"],
        metrics=tested,
        formats=report["formats"],
        left_out=report["left_out"],
        seconds=times,
    )


def _title(text: str) -> None:
    output.event("next", text=text)
    output.say(f"\n{text}\n{'-' * len(text)}")


def _summary(genotype, tested, report, times) -> Table:
    table = Table(show_header=False, title="\ndarts-tf demo")
    table.add_row("search time", duration(times["search"]))
    table.add_row("genotype", str(genotype))
    table.add_row("parameters", f"{report['parameters']:,}")
    table.add_row("MACs", f"{report['macs']:,}")
    table.add_row(
        "test accuracy", f"{tested['test_accuracy']:.2%} of {tested['test_images']} images"
    )
    for model in report["formats"].values():
        table.add_row(
            model["path"],
            f"{model['bytes']:,} bytes, differs from Keras by {model['difference']:.1e}",
        )
    table.add_row("total time", duration(times["all"]))
    return table


def _say_next_commands(config: DemoConfig, folders) -> None:
    follow("curves", "board", config.workdir)
    follow("cells", "inspect", folders["search"])
    follow("report", "report", folders["search"], folders["train"])
    output.say("your own: darts-tf search --dataset FOLDER --workdir runs/search")
