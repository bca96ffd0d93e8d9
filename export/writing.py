"""Exports a trained network: every format is written, opened again and compared with Keras."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

import darts_tf
from darts_tf import files, runs
from darts_tf.configs import ExportConfig
from darts_tf.counting import count_elementwise, count_macs, count_params
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.names import unknown_name
from darts_tf.network import Network
from export import folder, parity, report_page
from export.folding import fold_normalizations
from export.formats import FORMATS
from export.images import Examples, check_images, in_batches, keras_logits
from export.inference import computes_in_half, inference_copy
from export.publishing import published

FOLDED = parity.Bounds(difference=1e-5)
"""How near to the network it is with its normalisations folded, of which all models are made."""


def export(
    network: Network,
    preprocessing: Preprocessing,
    classes: Sequence[str],
    output: str | os.PathLike[str],
    *,
    formats: Sequence[str] = ExportConfig.format,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    calibration: np.ndarray | None = None,
    name: str = "model",
    version: int | None = None,
    overwrite: bool = False,
    facts: Mapping[str, object] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Writes a folder with a network's models, labels, preprocessing, genotype and reports.

    The models take raw images with values 0 to 255, and compute in float32, or less where their
    format says so, whatever the network did. A model that is further from Keras than its format
    allows is not published; the report's `missed` has the reason.

    Args:
        network: from `darts_tf.build_network`; it is left as it is.
        preprocessing: that it was trained with.
        classes: its labels, in the order of the logits.
        output: folder to write, new or empty; the folders above it are made.
        formats: names of `FORMATS`; those that need calibration are left out where there are no
            images for it.
        images: what to compare on, uint8 `(n, height, width, channels)`.
        labels: of these images, integers `(n,)`, for the models' accuracy.
        calibration: images of the training split, as `images`, which the ranges of the values in a
            quantised network are measured on.
        name: of the model, for servers.
        version: of the SavedModel; by default the one after the newest at `output`.
        overwrite: replace the earlier export at `output`, file by file. Its versions of the
            SavedModel stay.
        facts: more for the report, such as where the images come from.
        report: called with a line of text at every step.

    Returns:
        The report, which is also written: versions, genotype, parameters, multiply-accumulates,
        and for every format its size, its difference from Keras and its accuracy.

    Raises:
        InputError: an argument that cannot be, or an output that holds something else.
        ParityError: the folded network is too far from Keras, or every model is; nothing has been
            written then.
    """
    output = pathlib.Path(output).resolve()
    _check_arguments(network, classes, formats)
    _check_images(images, labels, calibration, len(classes), preprocessing)
    folder.check_output(output, overwrite)
    version = folder.new_version(output, name, version)
    wanted, left_out = _usable(formats, calibration)
    if not any(FORMATS[each].calibrated for each in wanted):
        calibration = None
    inference = inference_copy(network)
    reference = inference if computes_in_half(network) else network
    report(f"running Keras on {len(images)} images")
    expected = in_batches(keras_logits(reference, preprocessing), images)

    @functools.cache
    def rounding() -> float:
        """How far Keras is from itself in float64: nearer no model can be asked to be."""
        exact = inference_copy(network, "float64")
        exact_logits = in_batches(keras_logits(exact, preprocessing), images)
        return parity.compare(exact_logits, expected).difference

    compared = functools.partial(_compared, expected=expected, labels=labels, rounding=rounding)
    summary = {
        **_summary(inference, preprocessing, classes),
        **_of_images(expected, labels, calibration),
        **(facts or {}),
        **{"name": name, "version": version, "formats": {}, "missed": {}, "left_out": left_out},
    }
    fold_normalizations(inference)
    report("comparing the folded network with Keras")
    folded = in_batches(keras_logits(inference, preprocessing), images)
    summary["folded"] = compared("the folded network", folded, FOLDED)
    examples = Examples(tuple(classes), calibration)
    with published(output) as written:
        folder.describe(written, preprocessing, classes)
        network.genotype.save(written / folder.GENOTYPE)
        for format_name in wanted:
            form = FORMATS[format_name]
            place = folder.place(form.path, name, version)
            path = written / place
            path.parent.mkdir(parents=True, exist_ok=True)
            report(f"writing {format_name}")
            form.write(inference, preprocessing, path, examples)
            report(f"comparing {format_name} with Keras")
            logits = in_batches(form.open_logits(path), images)
            try:
                found = compared(format_name, logits, form.bounds)
            except parity.ParityError as error:
                summary["missed"][format_name] = {"path": place, "reason": str(error)}
                _remove(written / form.path)
                continue
            of_file = {"path": place, "bytes": _size(path)}
            summary["formats"][format_name] = {**of_file, **found, **form.describe(path)}
        if not summary["formats"]:
            reasons = (model["reason"] for model in summary["missed"].values())
            raise parity.ParityError("; ".join(reasons))
        return _report(written, summary)


def _report(written: pathlib.Path, summary: dict) -> dict:
    """Writes the report for people and the one for programs, which it returns."""
    summary = runs.plain({**summary, "files": folder.digests(written)})
    files.write_text(written / folder.PAGE, report_page.render(summary))
    summary["files"][folder.PAGE] = folder.digest(written / folder.PAGE)
    runs.write_json(written / folder.REPORT, summary)
    return summary


def _check_arguments(network: Network, classes: Sequence[str], formats: Sequence[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
        FORMATS[name].check()
    if not formats or len(set(formats)) < len(formats):
        raise InputError(f"Expected each format once, at least one. Received: {formats=}")
    if len(classes) != network.head.classes:
        raise InputError(
            f"Expected one class a logit, {network.head.classes}. Received: {len(classes)} classes"
        )
    for label in classes:
        if not label.strip() or "\n" in label:
            raise InputError(f"Expected classes with names of one line. Received: {label!r}")


def _check_images(images, labels, calibration, classes: int, preprocessing: Preprocessing) -> None:
    check_images(images, preprocessing)
    if calibration is not None:
        check_images(calibration, preprocessing)
    if labels is None:
        return
    labels = np.asarray(labels)
    fits = labels.shape == (len(images),) and labels.dtype.kind in "iu"
    if not fits or not (0 <= labels.min() <= labels.max() < classes):
        raise InputError(
            f"Expected {len(images)} labels, integers from 0 to {classes - 1}. "
            f"Received: {labels.dtype} {labels.shape}"
        )


def _usable(formats: Sequence[str], calibration) -> tuple[list[str], dict[str, str]]:
    """The formats that can be written, and why the others cannot."""
    needy = [name for name in formats if calibration is None and FORMATS[name].calibrated]
    reason = "it needs images of the training split to calibrate it (--calibration FOLDER)"
    if len(needy) == len(formats):
        raise InputError(
            f"Expected a format that can be written. Received: {needy[0]}, but {reason}"
        )
    return [name for name in formats if name not in needy], dict.fromkeys(needy, reason)


def _summary(network: Network, preprocessing: Preprocessing, classes) -> dict:
    size = (preprocessing.height, preprocessing.width)
    versions = {"darts_tf": darts_tf.__version__, "tensorflow": tf.__version__}
    return {
        "versions": {**versions, "keras": keras.__version__, "python": platform.python_version()},
        "genotype": json.loads(network.genotype.to_json()),
        "input": {"range": [0, 255], **preprocessing.to_dict()},
        "classes": len(classes),
        "parameters": count_params(network),
        "macs": count_macs(network, image_size=size),
        "macs_and_elementwise": count_macs(network, size) + count_elementwise(network, size),
    }


def _of_images(expected: np.ndarray, labels, calibration) -> dict:
    return {
        "check_images": len(expected),
        "calibration_images": 0 if calibration is None else len(calibration),
        "accuracy": _accuracy(expected, labels),
    }


def _compared(name: str, logits, bounds: parity.Bounds, *, expected, labels, rounding) -> dict:
    """What the report says of a model's logits.

    Two correct models differ by what each of them rounds, which may be more than a bound where a
    network magnifies it: then the bound is twice what Keras rounds.

    Raises:
        ParityError: they miss a bound.
    """
    found = parity.compare(expected, logits)
    if bounds.difference is not None and found.difference > bounds.difference:
        bounds = bounds._replace(difference=max(bounds.difference, 2 * rounding()))
    parity.check(name, found, bounds)
    asked = {what: bound for what, bound in bounds._asdict().items() if bound is not None}
    return {"bounds": asked, **found._asdict(), "accuracy": _accuracy(logits, labels)}


def _accuracy(logits: np.ndarray, labels: np.ndarray | None) -> float | None:
    """The share of images whose most probable class is theirs; None where that is not known."""
    return None if labels is None else float(np.mean(logits.argmax(-1) == labels))


def _size(path: pathlib.Path) -> int:
    """Bytes of a file, or of all below a folder."""
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in inside if file.is_file())


def _remove(path: pathlib.Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
