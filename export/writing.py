"""Exports a trained network: every format is written, opened again and compared with Keras."""

from __future__ import annotations

import json
import os
import pathlib
import platform
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

import darts_tf
from darts_tf import runs
from darts_tf.counting import count_macs, count_params
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.names import unknown_name
from darts_tf.network import Network
from export import folder, parity
from export.folding import fold_normalizations
from export.formats import FORMATS
from export.images import Examples, check_images, in_batches, keras_logits
from export.inference import computes_in_half, float32_copy


def export(
    network: Network,
    preprocessing: Preprocessing,
    classes: Sequence[str],
    output: str | os.PathLike[str],
    *,
    formats: Sequence[str] = ("saved_model", "tflite"),
    images: np.ndarray,
    calibration: np.ndarray | None = None,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Writes a folder with a network's models, labels, preprocessing, genotype and a report.

    The models take raw images, float32 `(batch, height, width, channels)` with values 0 to 255,
    and compute in float32 whatever the network did. Nothing appears at `output` unless every
    model agrees with Keras.

    Args:
        network: from `darts_tf.build_network`; it is left as it is.
        preprocessing: that it was trained with.
        classes: its labels, in the order of the logits.
        output: folder to write, new or empty; the folders above it are made.
        formats: names of `FORMATS`.
        images: what to compare on, uint8 `(n, height, width, channels)`.
        calibration: images of the training split, as `images`; for full int8 alone.
        overwrite: replace the earlier export at `output`.
        report: called with a line of text at every step.

    Returns:
        The report, which is also written: versions, genotype, parameters, multiply-accumulates,
        and for every format its size and its difference from Keras.

    Raises:
        InputError: an argument that cannot be, or an output that holds something else.
        ParityError: a model's logits are further from Keras' than its format's bound.
    """
    output = pathlib.Path(output).resolve()
    _check_arguments(network, classes, formats)
    check_images(images, preprocessing)
    folder.check_output(output, overwrite)
    inference = float32_copy(network)
    reference = inference if computes_in_half(network) else network
    report(f"running Keras on {len(images)} images")
    expected = in_batches(keras_logits(reference, preprocessing), images)
    summary = _summary(inference, preprocessing, classes, len(images))
    fold_normalizations(inference)
    with folder.replacing(output) as written:
        folder.describe(written, preprocessing, classes)
        network.genotype.save(written / folder.GENOTYPE)
        for name in formats:
            path = written / FORMATS[name].path
            report(f"writing {name}")
            examples = Examples(tuple(classes), calibration)
            FORMATS[name].write(inference, preprocessing, path, examples)
            if path.is_dir():  # it should explain itself wherever it is moved to
                folder.describe(path / folder.EXTRA, preprocessing, classes)
            report(f"comparing {name} with Keras")
            summary["formats"][name] = _compare(name, path, images, expected)
        summary["files"] = folder.digests(written)
        runs.write_json(written / folder.REPORT, summary)
    return summary


def _check_arguments(network: Network, classes: Sequence[str], formats: Sequence[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
    if not formats or len(set(formats)) < len(formats):
        raise InputError(f"Expected each format once, at least one. Received: {formats=}")
    if len(classes) != network.head.classes:
        raise InputError(
            f"Expected one class a logit, {network.head.classes}. Received: {len(classes)} classes"
        )
    for label in classes:
        if not label.strip() or "\n" in label:
            raise InputError(f"Expected classes with names of one line. Received: {label!r}")


def _summary(network: Network, preprocessing: Preprocessing, classes, images: int) -> dict:
    height, width = preprocessing.height, preprocessing.width
    versions = {"darts_tf": darts_tf.__version__, "tensorflow": tf.__version__}
    return {
        "versions": {**versions, "keras": keras.__version__, "python": platform.python_version()},
        "genotype": json.loads(network.genotype.to_json()),
        "input": {"dtype": "float32", "range": [0, 255], **preprocessing.to_dict()},
        "classes": len(classes),
        "parameters": count_params(network),
        "macs": count_macs(network, image_size=(height, width)),
        "check_images": images,
        "formats": {},
    }


def _compare(name: str, path: pathlib.Path, images, expected) -> dict:
    """What the report says of a model. Raises ParityError where it disagrees with Keras."""
    form = FORMATS[name]
    found = parity.compare(expected, in_batches(form.open_logits(path), images))
    parity.check(name, found, form.bounds)
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files if file.is_file())
    told = {**found._asdict(), **form.describe(path)}
    return {"path": form.path, "bytes": size, "bounds": form.bounds._asdict(), **told}
