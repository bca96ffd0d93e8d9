"""What a language model can be exported as.

Their `write` takes a model from `inference_copy`, its `Words` and a path; what their `open_logits`
makes takes tokens `(streams, time)`, and gives logits `(streams, time, vocabulary)`.
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
"""Every format by the name that `--format` takes, with the paths and bounds that it has of images.

Full int8 would need ranges of a state that is handed on without end, and browsers' pages classify.
"""
