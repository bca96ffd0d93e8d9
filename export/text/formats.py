"""Export formats of language models.

`write` takes a model from `inference_copy`, its `Words` and a path. `open_logits` takes the path
and returns a function from tokens `(streams, time)` to logits `(streams, time, vocabulary)`.
"""

from __future__ import annotations

import functools

from darts_tf.export import formats
from darts_tf.export.text import saved_model, tflite

_MODULES = {
    "saved_model": (saved_model, saved_model.write),
    "tflite": (tflite, tflite.write),
    "tflite_float16": (tflite, functools.partial(tflite.write, variant="float16")),
    "tflite_weight_int8": (tflite, functools.partial(tflite.write, variant="weight_int8")),
}

TEXT_FORMATS = {
    name: formats.FORMATS[name]._replace(write=write, open_logits=module.open_logits)
    for name, (module, write) in _MODULES.items()
}
"""Formats by the name that `--format` takes, with the paths and bounds of `FORMATS`.

Full int8 is missing because it needs the range of a recurrent state; the web page only classifies
images.
"""
