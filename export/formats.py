"""Export formats of networks. A new format is a module with the two functions below and one entry.

`write` takes a network, its preprocessing, a path and `Examples`. `open_logits` takes the path and
returns a function from images, uint8 `(n, height, width, channels)`, to logits `(n, classes)`.
"""

from __future__ import annotations

import functools

from darts_tf.export import saved_model
from darts_tf.export.parity import Bounds
from darts_tf.export.pipeline import Format
from darts_tf.export.tflite import measuring
from darts_tf.export.tflite import model as tflite_model
from darts_tf.export.web import page, vendoring


def _tflite(variant: str, bounds: Bounds) -> Format:
    return Format(
        f"model_{variant}.tflite",
        functools.partial(tflite_model.write, variant=variant),
        tflite_model.open_logits,
        bounds,
        measuring.describe,
        calibrated=variant == "int8",
    )


FORMATS = {
    "saved_model": Format("saved_model", saved_model.write, saved_model.open_logits, Bounds(1e-5)),
    "tflite": _tflite("float32", Bounds(difference=1e-4)),
    "tflite_float16": _tflite("float16", Bounds(agreement=0.99)),
    "tflite_weight_int8": _tflite("weight_int8", Bounds(sqnr=30.0)),
    "tflite_int8": _tflite("int8", Bounds(agreement=0.93, sqnr=25.0)),
    "web": Format("web", page.write, page.open_logits, Bounds(1e-4), check=vendoring.check),
}
"""Formats by the name that `--format` takes."""
