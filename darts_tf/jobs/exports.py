"""Exports of trained networks, and classification of images by what they hold."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from darts_tf import export
from darts_tf.configs import ExportConfig
from darts_tf.data import (
    ImageDataset,
    Preprocessing,
    TextDataset,
    Vocabulary,
    as_read_by,
    check_same_vocabulary,
    sample,
    splitting_of,
)
from darts_tf.errors import InputError, first_line, shown
from darts_tf.export import folder
from darts_tf.export.images import image_files, read_images
from darts_tf.export.text.writing import stretch
from darts_tf.jobs.inputs import config_of, data_of, free_folder, loaded, workdir_of
from darts_tf.jobs.progress import Lines
from darts_tf.runs import files
from darts_tf.studies.tables import markdown_of
from darts_tf.training import text
from darts_tf.training.images import load_run

Load = Callable[[int | None], ImageDataset | TextDataset]
"""Loads the data of a run with at most so many images per split, or words; None for its limit."""


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Export:
    """An export: a folder with models, labels and reports.

    Attributes:
        output: the folder.
        report: contents of its `report.json`: sizes, differences from Keras, accuracies.
    """

    output: pathlib.Path
    report: Mapping[str, Any]

    @property
    def files(self) -> dict[str, pathlib.Path]:
        """Paths of the models by format: files, and the folder of a SavedModel's version."""
        return {name: self.output / form["path"] for name, form in self.report["formats"].items()}

    def predict(self, images, top: int = 3) -> list[list[tuple[str, float]]]:
        """Classifies images with the first of the models; see `predict_images`."""
        return predict_images(self.output, images, top=top)

    def __repr__(self) -> str:
        """Writes the folder and the formats in one line."""
        return f"<Export in {self.output}: {', '.join(self.files) or 'no model'}>"

    def _repr_markdown_(self) -> str:
        lines = [["file", "size (MB)", "difference from Keras", "accuracy"]]
        for form in self.report["formats"].values():
            accuracy = form.get("accuracy")
            numbers = (form["bytes"] / 1e6, form["difference"])
            texts = [f"{numbers[0]:.2f}", f"{numbers[1]:.1e}"]
            lines.append([form["path"], *texts, "" if accuracy is None else f"{accuracy:.1%}"])
        return markdown_of(lines, [f"in {self.output}"])


def export_network(
    training,
    output=None,
    *,
    formats: Sequence[str] | str = ExportConfig.format,
    data=None,
    verbose: int | str = "auto",
    **settings,
) -> Export:
    """Exports a trained network as SavedModel, TFLite or web page, and compares each with Keras.

    Example:
        ```python
        exported = darts_tf.export_network("runs/train", formats=["tflite", "tflite_int8"])
        exported.files["tflite"]
        ```

    Args:
        training: what `train_network` returned, or the folder of a training.
        output: folder to write, new or empty; by default the first free one of `runs/export-1`,
            `runs/export-2`, ...
        formats: names of formats, as `--format` takes them; a model that misses its bound is not
            written.
        data: data to compare on, in a form that `search_cells` takes; by default that of the
            training.
        verbose: 0 for silence.
        **settings: further flags of `darts-tf export`, such as `check_images=64`.

    Returns:
        The export, with `.files`, `.report` and `.predict()`.

    Raises:
        InputError: no finished training, an unknown format or setting, or a folder that is in use.
        ParityError: every model differs too much from Keras; nothing is written then.
    """
    say, workdir = Lines(verbose), workdir_of(training)
    output = free_folder("export") if output is None else pathlib.Path(output)
    names = [formats] if isinstance(formats, str) else list(formats)
    given = {"workdir": str(workdir), "output": str(output), "format": names, **settings}
    config, load = ExportConfig.from_dict(given), loader(training, data)
    report = export_run(config, load, lambda line: say(f"{line} ..."), say)
    for missed in report["missed"].values():
        say(f"not written: {missed['reason']}")
    return Export(output, report)


def loader(run, data=None) -> Load:
    """Returns a function that loads the data of a run; see `Load`.

    Args:
        run: a result, or a folder.
        data: other data, in a form that `search_cells` takes.
    """

    def load(limit: int | None) -> ImageDataset | TextDataset:
        config = config_of(workdir_of(run))
        config = dataclasses.replace(config, limit=limit or config.limit)
        return loaded(config, data_of(run, config) if data is None else data)

    return load


def export_run(
    config: ExportConfig,
    load: Load,
    report: Callable[[str], None],
    note: Callable[[str], None],
) -> dict:
    """Exports the network of a run; all of what `darts-tf export` does but printing.

    Args:
        config: the settings.
        load: loads the data to compare on, and to calibrate with.
        report: called with a line of text at every step.
        note: called with a line about what had to be done in another way.

    Returns:
        The report, as `export.export` and `export.export_language_model` do.

    Raises:
        InputError: as in `export_network`.
        ParityError: as in `export_network`.
    """
    # report invalid settings before the run is loaded
    folder.check_output(config.output, config.overwrite)
    folder.new_version(config.output, config.name, config.model_version)
    if files.is_text_run(config.workdir):
        return _export_language_model(config, load, report, note)
    for name in config.format:
        export.FORMATS[name].check()
    paths = config.calibration and image_files(config.calibration, config.calibration_images)
    network, preprocessing, classes = load_run(config.workdir)
    examples = _images(config, preprocessing, classes, load, note)
    if paths:
        examples["calibration"] = read_images(paths, preprocessing)
        examples["facts"]["calibration_source"] = "a folder of images"
    return export.export(
        network,
        preprocessing,
        classes,
        config.output,
        formats=config.format,
        name=config.name,
        version=config.model_version,
        overwrite=config.overwrite,
        report=report,
        **examples,
    )


def _images(config: ExportConfig, preprocessing: Preprocessing, classes, load: Load, note) -> dict:
    """Returns images, labels and calibration images as keyword arguments of `export.export`."""
    # the limit applies to each split, and must leave images of every class
    limit = max(config.check_images, config.calibration_images, len(classes))
    try:
        dataset = load(limit)
    except OSError as error:  # e.g. an imported run, whose dataset was never on this machine
        note(f"comparing on noise: {first_line(error)}")
        size = (preprocessing.height, preprocessing.width, preprocessing.channels)
        noise = np.random.default_rng(config_of(config.workdir).seed)
        images = noise.integers(0, 256, (config.check_images, *size), dtype=np.uint8)
        return {"images": images, "facts": {"check_source": "noise"}}
    test = sample(as_read_by(preprocessing, dataset.test), preprocessing, config.check_images)
    keywords = {"images": test.images, "facts": {"check_source": "the test split"}}
    if any(export.FORMATS[name].calibrated for name in config.format):
        train = as_read_by(preprocessing, dataset.train)
        keywords["calibration"] = sample(train, preprocessing, config.calibration_images).images
        keywords["facts"]["calibration_source"] = "the training split"
    if dataset.classes != classes:
        note("accuracy unknown: the dataset's classes have other names")
        return keywords
    return {**keywords, "labels": test.labels}


def _export_language_model(config: ExportConfig, load: Load, report, note) -> dict:
    formats = _text_formats(config)
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
        report=report,
        **_tokens(config, vocabulary, load, note),
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


def _tokens(config: ExportConfig, vocabulary: Vocabulary, load: Load, note) -> dict:
    """Returns tokens to compare on: the beginning of the run's test text, or else random words."""
    try:
        dataset = load(None)
        check_same_vocabulary(vocabulary, dataset.vocabulary)
        tokens = stretch(dataset.test, config.check_images)
        return {"tokens": tokens, "facts": {"check_source": "the test text"}}
    except InputError as error:  # e.g. an imported run, whose text was never on this machine
        note(f"comparing on random words: {first_line(error)}")
        draw = np.random.default_rng(config_of(config.workdir).seed)
        words = draw.integers(0, len(vocabulary), 2 * config.check_images + 2, np.int32)
        return {"tokens": stretch(words, config.check_images), "facts": {"check_source": "noise"}}


def predict_images(model, images, *, top: int = 3) -> list[list[tuple[str, float]]]:
    """Classifies images with a trained network.

    Example:
        ```python
        for label, share in darts_tf.predict_images("runs/export", "photo.jpg")[0]:
            print(label, f"{share:.1%}")
        ```

    Args:
        model: what `train_network` or `export_network` returned; the folder of a training, an
            export or a SavedModel; or a `.keras` or `.tflite` file.
        images: image files: JPEG, PNG, GIF, BMP or WEBP, a path or several; or an array uint8
            `(n, height, width, channels)` of the size that the network takes.
        top: number of most probable classes to return for each image.

    Returns:
        For each image the names of the most probable classes and their probabilities, in
        descending order.

    Raises:
        InputError: no such model, a file that is not an image, or an array of another form.
    """
    if top < 1:
        raise InputError(f"Expected top to be positive. Received: top={shown(top)}")
    network = export.load(getattr(model, "output", None) or workdir_of(model))
    if not isinstance(images, np.ndarray):
        paths = [images] if isinstance(images, str | os.PathLike) else images
        images = read_images([pathlib.Path(path) for path in paths], network.preprocessing)
    rows = network.probabilities(images)
    best = (-rows).argsort(axis=1, kind="stable")[:, :top]
    return [
        [(network.classes[i], float(row[i])) for i in order]
        for row, order in zip(rows, best, strict=True)
    ]
