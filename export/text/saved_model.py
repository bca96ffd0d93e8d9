"""The SavedModel format of language models: any number of streams, for TensorFlow, TF Serving."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from darts_tf.data.text import EOS, UNK
from darts_tf.export import folder, warmup
from darts_tf.export.saved_model import BEST, SIGNATURE, signature_of
from darts_tf.export.text.inference import frozen_streams
from darts_tf.export.text.words import Words
from darts_tf.models.language_model import LanguageModel

WHITE_SPACE = r"[\p{Z}\s\v\x{1c}-\x{1f}\x{85}]+"
"""Regular expression of the white space that Python's `str.split` splits at."""
LINE_END = r"\r\n|\r|\n"


def write(model: LanguageModel, words: Words, path: pathlib.Path) -> None:
    """Writes a version's folder with two signatures, the vocabulary and warm-up requests.

    - `serving_default`: `tokens`, int32 `(batch, time)`, and the `state` before them, float32
      `(batch, units)`, zeros at the beginning, to `logits` `(batch, time, vocabulary)` and the
      `state` after them;
    - `predict_next`: `text`, string `(n,)`, words separated by white space, with line ends as
      `<eos>`, to the most probable next `words`, string `(n, k)`, and their `probabilities`, best
      first. The text starts at the beginning of a line and may be empty. Unknown words become
      `<unk>`, or an error if the vocabulary has none. `<unk>` is never returned.

    Args:
        model: from `inference_copy`.
        words: vocabulary of the model.
        path: new folder of the version, inside the folder of the model's name.
    """
    module = tf.Module()
    with tempfile.TemporaryDirectory() as temporary:
        assets = pathlib.Path(temporary)
        folder.write_texts(assets, words.descriptions())
        module.assets = [tf.saved_model.Asset(str(assets / folder.TEXT))]
        module.table = _table(assets / folder.VOCABULARY)
        frozen = frozen_streams(model)
        signatures = {
            SIGNATURE: _serve(frozen, words),
            "predict_next": _predict_next(frozen, words, module.table),
        }
        tf.saved_model.save(module, path, signatures=signatures)
    _write_warm_up(path, units=model.cell.units)


def _table(vocabulary: pathlib.Path) -> tf.lookup.StaticHashTable:
    """Returns a table from words to tokens, -1 if unknown, which reads the model's asset file."""
    place = tf.lookup.TextFileIndex
    lines = tf.lookup.TextFileInitializer(
        *(str(vocabulary), tf.string, place.WHOLE_LINE, tf.int64, place.LINE_NUMBER)
    )
    table = tf.lookup.StaticHashTable(lines, default_value=-1)
    # TensorFlow adds None to TensorFlow 1's collection, and saving would then print a warning
    initializers = tf.compat.v1.get_collection_ref(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
    initializers[:] = [each for each in initializers if each is not None]
    return table


def _serve(frozen, words: Words):
    units, known = frozen.inputs[1].shape[1], len(words.vocabulary)
    tokens = tf.TensorSpec((None, None), tf.int32, name="tokens")
    state = tf.TensorSpec((None, units), tf.float32, name="state")

    @tf.function(input_signature=[tokens, state], autograph=False)
    def serve(tokens, state):
        state = tf.ensure_shape(state, (None, units))
        rows, time = tf.unstack(tf.shape(tokens))
        in_range = tf.reduce_all((tokens >= 0) & (tokens < known))
        checks = [
            _check(rows * time > 0, "Expected one word or more. Received: none"),
            _check(tf.shape(state)[0] == rows, "Expected as many states as rows of tokens"),
            _check(in_range, f"Expected tokens from 0 to {known - 1}. Received: others"),
        ]
        with tf.control_dependencies(checks):
            positions = tf.tile(tf.range(time)[None], (rows, 1))
            logits, state = frozen(tf.identity(tokens), state, positions)
        return {"logits": logits, "state": state}

    return serve


def _predict_next(frozen, words: Words, table: tf.lookup.StaticHashTable):
    vocabulary, sayable = words.vocabulary, words.sayable
    best = min(BEST, int(sayable.sum()))
    unknown = vocabulary.tokens.get(UNK)
    end = f" {EOS} " if EOS in vocabulary.tokens else " "

    def encoded(text):
        lines = tf.strings.regex_replace(text, LINE_END, end)
        spaced = tf.strings.regex_replace(lines, WHITE_SPACE, " ")
        split = tf.strings.split(spaced)
        tokens = tf.cast(table.lookup(split.flat_values), tf.int32)
        missing = tf.boolean_mask(split.flat_values, tokens < 0)
        if unknown is None:
            message = "Expected words of the vocabulary. Received:"
            check = tf.debugging.Assert(tf.equal(tf.size(missing), 0), [message, missing])
            with tf.control_dependencies([check]):
                tokens = tf.identity(tokens)
        else:
            tokens = tf.where(tokens < 0, unknown, tokens)
        before = tf.constant(words.beginning, tf.int32)
        beginnings = tf.tile(before[None], (tf.size(text), 1))
        return tf.concat([beginnings, split.with_flat_values(tokens)], 1)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")], autograph=False)
    def predict_next(text):
        nonempty = _check(tf.size(text) > 0, "Expected one text or more. Received: none")
        with tf.control_dependencies([nonempty]):
            tokens = encoded(tf.identity(text))
        lengths = tf.cast(tokens.row_lengths(), tf.int32)
        each = _check(tf.reduce_all(lengths > 0), "Expected a word or more. Received: none")
        with tf.control_dependencies([each]):
            dense, last = tf.identity(tokens.to_tensor()), lengths[:, None] - 1
        state = tf.zeros((tf.size(text), frozen.inputs[1].shape[1]))
        logits, _ = frozen(dense, state, last)
        shares = tf.where(sayable, tf.nn.softmax(logits[:, 0]), -1.0)
        values, indices = tf.math.top_k(shares, best)
        return {"words": tf.gather(tf.constant(vocabulary.words), indices), "probabilities": values}

    return predict_next


def _check(condition: tf.Tensor, message: str) -> tf.Operation:
    return tf.debugging.Assert(condition, [message])


def _write_warm_up(path: pathlib.Path, units: int) -> None:
    tokens, state = tf.zeros((1, 1), tf.int32), tf.zeros((1, units))
    tensors = {"tokens": tokens, "state": state}
    inputs = {k: tf.make_tensor_proto(v.numpy()).SerializeToString() for k, v in tensors.items()}
    name = path.parent.name
    warmup.record(
        path,
        warmup.predict(name, SIGNATURE, inputs),
        warmup.predict(name, "predict_next", {"text": warmup.strings(b"")}),
    )


def open_logits(path: pathlib.Path) -> Callable[[np.ndarray], np.ndarray]:
    """Opens the model as a function from tokens `(streams, time)` of new streams to logits.

    Tokens are read in two parts, so that a comparison covers the returned state too.
    """
    advance, units = open_steps(path)

    def logits(tokens):
        state = np.zeros((len(tokens), units), np.float32)
        parts = []
        for part in np.array_split(tokens, min(2, tokens.shape[1]), axis=1):
            part_logits, state = advance(part, state)
            parts.append(part_logits)
        return np.concatenate(parts, axis=1)

    return logits


def open_steps(path: pathlib.Path):
    """Opens the model as a function from tokens and state to logits and state; also its units."""
    serve = signature_of(path)
    units = serve.structured_input_signature[1]["state"].shape[1]

    def advance(tokens, state):
        outputs = serve(tokens=tf.constant(tokens, tf.int32), state=tf.constant(state))
        return outputs["logits"].numpy(), outputs["state"].numpy()

    return advance, units
