"""Conversion of a trained language model to graphs without Keras: float32, constant weights."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from darts_tf.models.language_model import DROPOUTS, LanguageModel
from darts_tf.ops.xnnpack import written_for_xnnpack
from darts_tf.runtime.execution import dtype_policy

LOWEST = tf.float32.min


def inference_copy(model: LanguageModel, dtype: str = "float32") -> LanguageModel:
    """Returns a copy of the model that computes in `dtype`, without dropout."""
    with dtype_policy(dtype):
        copy = type(model).from_config({**model.get_config(), **dict.fromkeys(DROPOUTS, 0.0)})
    copy.set_weights(model.get_weights())
    return copy


def frozen_streams(model: LanguageModel):
    """Returns a graph function with constant weights, which needs neither Keras nor the model.

    Args:
        model: from `inference_copy`.

    Returns:
        A concrete function from tokens int32 `(batch, time)`, the state before them `(batch,
        units)`, and positions int32 `(batch, n)`, to a list of two tensors: the logits of the token
        after each position, `(batch, n, vocabulary)`, and the state after the last token.
    """

    @tf.function(autograph=False)
    def streams(tokens, state, positions):
        outputs = model(tokens, initial_state=state, return_outputs=True)["outputs"]
        wanted = tf.gather(tf.transpose(outputs, (1, 0, 2)), positions, batch_dims=1)
        flat = _logits(model, tf.reshape(wanted, (-1, state.shape[1])))
        return tf.reshape(flat, (*_sizes(positions), model.vocabulary)), outputs[-1]

    integers = [tf.TensorSpec((None, None), tf.int32, name=n) for n in ("tokens", "positions")]
    state = tf.TensorSpec((None, model.cell.units), tf.float32, name="state")
    function = streams.get_concrete_function(integers[0], state, integers[1])
    # other runtimes read a loop only as a single operation
    return convert_variables_to_constants_v2(function, lower_control_flow=False)


def frozen_word(model: LanguageModel):
    """Returns a graph function like `frozen_streams` for one word of one stream, without a loop.

    Returns:
        A concrete function from a token int32 `(1, 1)` and the state before it `(1, units)` to a
        list of two tensors: the next word's logits `(1, vocabulary)`, and the state after it.
    """

    @tf.function(autograph=False)
    def word(tokens, state):
        row = tf.reshape(tf.gather(model.embedding, tokens), state.shape)
        output, state = model.cell(row, state)
        # Without an operation in between, the converter would multiply the classifier's weights by
        # the cell's last factor. They would then differ from the embedding and be stored twice.
        return _logits(model, tf.maximum(output, LOWEST)), state

    token = tf.TensorSpec((1, 1), tf.int32, name="tokens")
    state = tf.TensorSpec((1, model.cell.units), tf.float32, name="state")
    with written_for_xnnpack():
        return convert_variables_to_constants_v2(word.get_concrete_function(token, state))


def _logits(model, outputs):
    return tf.matmul(outputs, model.embedding, transpose_b=True) + model.bias


def _sizes(tensor):
    return tf.unstack(tf.shape(tensor))
