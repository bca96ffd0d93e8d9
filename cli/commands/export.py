"""`darts-tf export`: export of a trained network as SavedModel, TFLite and web page."""

from __future__ import annotations

import sys

import numpy as np
from rich import box
from rich.table import Table

from darts_tf import export
from darts_tf.cli import output, startup
from darts_tf.configs import ExportConfig, TrainConfig
from darts_tf.data import (
    Preprocessing,
    Vocabulary,
    as_read_by,
    check_same_vocabulary,
    load_text,
    sample,
    splitting_of,
)
from darts_tf.errors import InputError, first_line
from darts_tf.export import folder
from darts_tf.export.images import image_files, read_images
from darts_tf.export.report_page import quality
from darts_tf.export.text.writing import stretch
from darts_tf.runs import files
from darts_tf.training import text
from darts_tf.training.images import dataset_of, load_run


def run(config: ExportConfig) -> int:
    """Writes every format, compares it with Keras and prints the results."""
    report = export_with_progress(config)
    output.result(table(report))
    status = say_what_is_missing(report)
    output.result(f"report:  {config.output / folder.PAGE}\nwritten: {config.output}")
    return status


def export_with_progress(config: ExportConfig) -> dict:
    """Exports a run's network with a line per step on standard output; returns the report."""
    # report invalid settings before the run is loaded
    folder.check_output(config.output, config.overwrite)
    folder.new_version(config.output, config.name, config.model_version)
    if files.is_text_run(config.workdir):
        return _export_language_model(config)
    for name in config.format:
        export.FORMATS[name].check()
    paths = config.calibration and image_files(config.calibration, config.calibration_images)
    with startup.held_stderr():
        network, preprocessing, classes = load_run(config.workdir)
        images = _images(config, preprocessing, classes)
        if paths:
            images["calibration"] = read_images(paths, preprocessing)
            images["facts"]["calibration_source"] = "a folder of images"
        return export.export(
            network,
            preprocessing,
            classes,
            config.output,
            formats=config.format,
            name=config.name,
            version=config.model_version,
            overwrite=config.overwrite,
            report=lambda line: output.say(f"{line} ..."),
            **images,
        )


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
            f"{model['bytes'] / 1e6:,.2f} MB",
            f"{model['difference']:.1e}",
            f"{model['sqnr']:.0f} dB",
            f"{model['agreement']:.1%}",
            quality(model),
        )
    if is_text:
        rows.add_row("Keras", "", "", "", "", quality(report))
    return rows


def say_what_is_missing(report: dict) -> int:
    """Prints a line for every missing model with the reason; returns the exit status."""
    for name, reason in report["left_out"].items():
        output.result(f"left out {name}: {reason}")
    for model in report["missed"].values():
        print(f"darts-tf: not published: {model['reason']}", file=sys.stderr)
    if not report["missed"]:
        output.say("every model agrees with Keras")
    return 1 if report["missed"] else 0


def _images(config: ExportConfig, preprocessing: Preprocessing, classes) -> dict:
    """Returns images, labels and calibration images as keyword arguments of `export.export`."""
    trained = TrainConfig.from_dict(files.read_json(files.existing(config.workdir, files.CONFIG)))
    # the limit applies to each split, and must leave images of every class
    limit = max(config.check_images, config.calibration_images, len(classes))
    try:
        dataset = dataset_of(trained, limit)
    except OSError as error:  # e.g. an imported run, whose dataset was never on this machine
        output.say(f"comparing on noise: {first_line(error)}")
        size = (preprocessing.height, preprocessing.width, preprocessing.channels)
        noise = np.random.default_rng(trained.seed)
        images = noise.integers(0, 256, (config.check_images, *size), dtype=np.uint8)
        return {"images": images, "facts": {"check_source": "noise"}}
    test = sample(as_read_by(preprocessing, dataset.test), preprocessing, config.check_images)
    keywords = {"images": test.images, "facts": {"check_source": "the test split"}}
    if any(export.FORMATS[name].calibrated for name in config.format):
        train = as_read_by(preprocessing, dataset.train)
        keywords["calibration"] = sample(train, preprocessing, config.calibration_images).images
        keywords["facts"]["calibration_source"] = "the training split"
    if dataset.classes != classes:
        output.say("accuracy unknown: the dataset's classes have other names")
        return keywords
    return {**keywords, "labels": test.labels}


def _export_language_model(config: ExportConfig) -> dict:
    formats = _text_formats(config)
    with startup.held_stderr():
        model, vocabulary = text.load_run(config.workdir)
        name = files.read_json(files.existing(config.workdir, files.DATASET)).get("name")
        return export.export_language_model(
            model,
            export.Words(vocabulary, splitting_of(name)),
            config.output,
            formats=formats,
            name=config.name,
            version=config.model_version,
            overwrite=config.overwrite,
            report=lambda line: output.say(f"{line} ..."),
            **_tokens(config, vocabulary),
        )


def _text_formats(config: ExportConfig) -> list[str]:
    """Returns the formats of a language model; by default all that are possible."""
    if config.calibration:
        raise InputError(
            "Expected --calibration only for a network for images. "
            f"Received: {str(config.workdir)!r} with a language model"
        )
    if config.format == ExportConfig.format:
        return [name for name in config.format if name in export.TEXT_FORMATS]
    for name in config.format:
        if name not in export.TEXT_FORMATS:
            raise InputError(
                f"Expected formats of a language model: {', '.join(export.TEXT_FORMATS)}. "
                f"Received: {name}"
            )
    return list(config.format)


def _tokens(config: ExportConfig, vocabulary: Vocabulary) -> dict:
    """Returns tokens to compare on: the beginning of the run's test text, or else random words."""
    trained = text.settings_of(config.workdir)
    try:
        dataset = load_text(trained.dataset, limit=trained.limit)
        check_same_vocabulary(vocabulary, dataset.vocabulary)
        tokens = stretch(dataset.test, config.check_images)
        return {"tokens": tokens, "facts": {"check_source": "the test text"}}
    except InputError as error:  # e.g. an imported run, whose text was never on this machine
        output.say(f"comparing on random words: {first_line(error)}")
        draw = np.random.default_rng(trained.seed)
        words = draw.integers(0, len(vocabulary), 2 * config.check_images + 2, np.int32)
        return {"tokens": stretch(words, config.check_images), "facts": {"check_source": "noise"}}
