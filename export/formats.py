"""What a network can be exported as. A new format is a module like the two here and one line."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from darts_tf.data.preprocessing import Preprocessing
from darts_tf.network import Network
from export import measuring, saved_model, tflite
from export.images import Examples
from export.parity import Bounds
from export.web import page, vendoring


def nothing(path: pathlib.Path) -> dict:
    """Of a format whose file has nothing more to tell."""
    return {}


class Format(NamedTuple):
    """A format.

    Attributes:
        path: of its file or folder inside an export; `folder.place` adds name and version.
        write: writes a network with its preprocessing to a path.
        open_logits: makes a function from images, uint8 `(n, height, width, channels)`, to logits
            `(n, classes)` of what was written.
        bounds: how near to Keras it is published.
        describe: more about what was written, for the report.
        calibrated: whether `write` needs images of the training split.
        check: raises InputError where the format cannot be written on this machine.
    """

    path: str
    write: Callable[[Network, Preprocessing, pathlib.Path, Examples], None]
    open_logits: Callable[[pathlib.Path], Callable[[np.ndarray], np.ndarray]]
    bounds: Bounds
    describe: Callable[[pathlib.Path], dict] = nothing
    calibrated: bool = False
    check: Callable[[], None] = lambda: None


def _tflite(variant: str, bounds: Bounds) -> Format:
    return Format(
        f"model_{variant}.tflite",
        functools.partial(tflite.write, variant=variant),
        tflite.open_logits,
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
"""Every format by the name that `--format` takes."""
