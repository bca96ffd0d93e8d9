"""The TFLite formats of language models: one word per call, for phones and small boards."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from darts_tf.export.text.inference import frozen_word
from darts_tf.export.text.metadata import with_metadata
from darts_tf.export.text.sharing import share_table
from darts_tf.export.text.words import Words
from darts_tf.export.tflite.model import SIGNATURE
from darts_tf.export.tflite.quantization import VARIANTS, edit
from darts_tf.models.language_model import LanguageModel


def write(model: LanguageModel, words: Words, path: pathlib.Path, variant: str = "float32") -> None:
    """Writes a file with one signature and without a loop; the caller passes the state on.

    The signature maps `tokens`, int32 `(1, 1)`, one word, and the `state` before it, float32
    `(1, units)`, zeros at the beginning, to the next word's `logits` `(1, vocabulary)` and the
    `state` after it.

    Args:
        model: from `inference_copy`.
        words: vocabulary of the model.
        path: new file.
        variant: a key of `VARIANTS` other than `int8`.
    """
    frozen = frozen_word(model)
    token, state = (tf.TensorSpec(t.shape, t.dtype, name=t.op.name) for t in frozen.inputs)

    @tf.function(input_signature=[token, state], autograph=False)
    def serve(tokens, state):
        logits, state = frozen(tokens, state)
        return {"logits": logits, "state": state}

    file = VARIANTS[variant](serve.get_concrete_function(), None)
    path.write_bytes(with_metadata(edit(file, share_table), words))


def open_logits(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model as a function from tokens `(streams, time)` of new streams to logits."""
    advance, units = open_steps(path)

    def logits(tokens):
        streams = (advance(stream[None], np.zeros((1, units), np.float32)) for stream in tokens)
        return np.concatenate([stream_logits for stream_logits, _ in streams])

    return logits


def open_steps(path: pathlib.Path):
    """Opens the model as a function of one stream's tokens and state; also its units.

    The function maps tokens `(1, time)` and state `(1, units)` to logits `(1, time, vocabulary)`
    and state `(1, units)`.
    """
    run = Interpreter(model_path=str(path)).get_signature_runner(SIGNATURE)
    units = int(run.get_input_details()["state"]["shape"][-1])

    def advance(tokens, state):
        rows = []
        for token in np.asarray(tokens, np.int32)[0]:
            outputs = run(tokens=token.reshape(1, 1), state=state)
            state = outputs["state"]
            rows.append(outputs["logits"])
        return np.stack(rows, axis=1), state

    return advance, units
