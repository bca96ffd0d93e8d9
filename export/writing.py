"""Exports a trained network: as SavedModel, TFLite and web page."""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from darts_tf.configs import ExportConfig
from darts_tf.data.preprocessing import Preprocessing
from darts_tf.errors import InputError
from darts_tf.export import folder, parity, pipeline
from darts_tf.export.folding import fold_normalizations
from darts_tf.export.formats import FORMATS
from darts_tf.export.images import Examples, check_images, in_batches, keras_logits
from darts_tf.export.inference import computes_in_half, inference_copy
from darts_tf.layers.primitives import Noise
from darts_tf.models.counting import count_elementwise, count_macs, count_params
from darts_tf.models.network import GenotypeNetwork
from darts_tf.spaces.cell import NOISE

FOLDED = parity.Bounds(difference=1e-5)
"""Bounds of the network with folded normalizations, which every format is written from."""


def export(
    network: GenotypeNetwork,
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

    The models take raw images with values from 0 to 255. They compute in float32, or in the smaller
    type of their format, even if the network used mixed precision. A model that differs from Keras
    by more than its format allows is not published; the report's `missed` gives the reason.

    Args:
        network: from `darts_tf.build_network`; it is not changed.
        preprocessing: the preprocessing that the network was trained with.
        classes: labels, in the order of the logits.
        output: folder to write, new or empty; parent folders are created.
        formats: names of `FORMATS`. Formats that need calibration are left out if `calibration` is
            None.
        images: images to compare the models with Keras on, uint8 `(n, height, width, channels)`.
        labels: classes of `images`, integers `(n,)`, for the models' accuracy.
        calibration: images of the training split, in the form of `images`. They set the ranges of
            the activations of a fully quantized model.
        name: name of the model, for servers.
        version: version of the SavedModel; by default the one after the newest at `output`.
        overwrite: replace the earlier export at `output`, file by file. Its versions of the
            SavedModel stay, and its other formats if they are of this network.
        facts: more entries for the report, such as the source of the images.
        report: called with a line of text at every step.

    Returns:
        The report, which is also written: versions, genotype, parameters, multiply-accumulates,
        and for every format its size, its difference from Keras and its accuracy.

    Raises:
        InputError: an invalid argument, or an output folder that holds other files.
        ParityError: the folded network, or every model, differs too much from Keras; nothing is
            written then.
    """
    output = pathlib.Path(output).resolve()
    _check_arguments(network, classes, formats)
    _check_draws(network)
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
        """Returns the difference of Keras' own logits from those in float64, a lower limit."""
        exact = inference_copy(network, "float64")
        exact_logits = in_batches(keras_logits(exact, preprocessing), images)
        return parity.compare(exact_logits, expected).difference

    def quality(logits: np.ndarray) -> dict[str, float | None]:
        return {"accuracy": _accuracy(logits, labels)}

    comparison = pipeline.Comparison(expected, quality, rounding)
    described = (preprocessing.to_json(), tuple(classes), name)
    network_digest = pipeline.fingerprint(inference, network.genotype, *described)
    summary = {
        **_summary(inference, preprocessing, classes),
        **_image_counts(expected, calibration),
        **quality(expected),
        **(facts or {}),
        **{"name": name, "version": version, "network": network_digest},
        **{"formats": {}, "missed": {}, "left_out": left_out},
    }
    fold_normalizations(inference)
    report("comparing the folded network with Keras")
    folded = in_batches(keras_logits(inference, preprocessing), images)
    summary["folded"] = comparison.of("the folded network", folded, FOLDED)
    examples = Examples(tuple(classes), calibration)

    def describe(written: pathlib.Path) -> None:
        folder.describe(written, preprocessing, classes)
        network.genotype.save(written / folder.GENOTYPE)

    return pipeline.publish(
        output,
        summary,
        {each: FORMATS[each] for each in wanted},
        comparison,
        describe=describe,
        write=lambda form, path: form.write(inference, preprocessing, path, examples),
        logits=lambda form, path: in_batches(form.open_logits(path), images),
        report=report,
    )


def _check_draws(network: GenotypeNetwork) -> None:
    """Checks that the network draws nothing at random.

    A converted model could only have one draw forever, and could not be compared with Keras.
    """
    if any(isinstance(layer, Noise) for layer in network._flatten_layers()):
        raise InputError(
            "Expected a network whose answers depend on its images alone. Received: one with the "
            f"operation {NOISE}, which is for tests of searches"
        )


def _check_arguments(
    network: GenotypeNetwork, classes: Sequence[str], formats: Sequence[str]
) -> None:
    pipeline.check_formats(formats, FORMATS)
    for name in formats:
        FORMATS[name].check()
    if len(classes) != network.head.classes:
        raise InputError(
            f"Expected one class per logit, {network.head.classes}. "
            f"Received: {len(classes)} classes"
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
    """Returns the formats that can be written, and by name the reason why others cannot."""
    skipped = [name for name in formats if calibration is None and FORMATS[name].calibrated]
    reason = "it needs images of the training split to calibrate it (--calibration FOLDER)"
    if len(skipped) == len(formats):
        raise InputError(
            f"Expected a format that can be written. Received: {skipped[0]}, but {reason}"
        )
    return [name for name in formats if name not in skipped], dict.fromkeys(skipped, reason)


def _summary(network: GenotypeNetwork, preprocessing: Preprocessing, classes) -> dict:
    size = (preprocessing.height, preprocessing.width)
    return {
        "versions": pipeline.versions(),
        "genotype": json.loads(network.genotype.to_json()),
        "input": {"range": [0, 255], **preprocessing.to_dict()},
        "classes": len(classes),
        "parameters": count_params(network),
        "macs": count_macs(network, image_size=size),
        "macs_and_elementwise": count_macs(network, size) + count_elementwise(network, size),
    }


def _image_counts(expected: np.ndarray, calibration) -> dict:
    return {
        "check_images": len(expected),
        "calibration_images": 0 if calibration is None else len(calibration),
    }


def _accuracy(logits: np.ndarray, labels: np.ndarray | None) -> float | None:
    """Returns the share of images that are classified correctly; None without labels."""
    return None if labels is None else float(np.mean(logits.argmax(-1) == labels))
