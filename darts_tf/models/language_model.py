"""Word-level language models of a recurrent cell (Liu et al. 2019, sec. 3.1.2)."""

from __future__ import annotations

import os

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.layers.recurrent_cells import RecurrentCell, uniform
from darts_tf.models.loading import load_model
from darts_tf.ops import dropout
from darts_tf.ops.autodiff import custom_gradient
from darts_tf.runtime.execution import variables_named_alike
from darts_tf.spaces.genotype import RecurrentGenotype

DROPOUTS = (
    "word_dropout",
    "embedding_dropout",
    "input_dropout",
    "hidden_dropout",
    "output_dropout",
)
"""Rates of dropout, on the way from words to logits."""


class RecurrentModel(keras.Model):
    """One recurrent layer between an embedding and a classifier that share their matrix.

    Called on tokens `(batch, time)` it gives logits `(batch, time, vocabulary)`. All dropout is
    variational: one mask for all steps of a sequence.

    Args:
        cell: built by `make_cell`, of one of the two kinds.
        vocabulary: number of different tokens.
        dropouts: rates by the names in `DROPOUTS`.
    """

    def __init__(self, cell, vocabulary: int, dropouts: dict[str, float], **kwargs):
        super().__init__(**kwargs)
        if vocabulary < 1 or not all(0 <= rate < 1 for rate in dropouts.values()):
            raise InputError(
                "Expected a positive vocabulary, and dropouts in [0, 1). "
                f"Received: {vocabulary=}, {dropouts=}"
            )
        self.vocabulary = vocabulary
        self.dropouts = dropouts
        self.cell = cell
        self._seed = keras.random.SeedGenerator()
        self._build_all()

    @property
    def state_units(self) -> int:
        """Number of units of the state."""
        return self.cell.units

    @property
    def seed_state(self) -> keras.Variable:
        """Seed of the masks of the next training pass."""
        return self._seed.state

    @variables_named_alike()
    def _build_all(self):
        """Creates every variable now: a stateless call must not meet an unbuilt layer."""
        self.embedding = self.add_weight(
            shape=(self.vocabulary, self.cell.units), initializer=uniform(), name="embedding"
        )
        self.bias = self.add_weight(shape=(self.vocabulary,), initializer="zeros", name="bias")
        self.cell.build((None, self.cell.units))
        self.built = True

    def call(
        self,
        tokens,
        initial_state=None,
        return_state=False,
        return_outputs=False,
        training=False,
    ):
        """Logits of the tokens that come next.

        Args:
            tokens: integers `(batch, time)`.
            initial_state: `(batch, units)`, before the first token; None for zeros.
            return_state: return `(logits, state)`, the state after the last token.
            return_outputs: return a dict with `logits`, `state`, and of the recurrent layer
                `outputs` and `dropped` `(time, batch, units)`: what it gives, and that after
                dropout.
            training: whether to drop, and to use the batch's statistics.
        """
        tokens = tf.cast(tokens, tf.int64)  # oneDNN says that it cannot turn smaller ones
        batch = tf.shape(tokens)[0]
        if initial_state is None:
            initial_state = tf.zeros((batch, self.state_units))
        state = tf.cast(initial_state, self.compute_dtype)
        masks = self._masks(batch) if training else {}
        inputs = _looked_up(self.embedding, tf.transpose(tokens))
        if "word_dropout" in masks:
            inputs *= tf.gather(masks["word_dropout"], tf.transpose(tokens))
        for name in ("embedding_dropout", "input_dropout"):
            inputs = inputs * masks[name] if name in masks else inputs
        hidden = masks.get("hidden_dropout")
        outputs, state = self.over_time(inputs, state, hidden, training=training)
        dropped = outputs * masks["output_dropout"] if "output_dropout" in masks else outputs
        logits = self._logits(tf.transpose(dropped, (1, 0, 2)))
        if return_outputs:
            found = {"logits": logits, "state": state}
            return {**found, "outputs": outputs, "dropped": dropped}
        return (logits, state) if return_state else logits

    def over_time(self, inputs, state, hidden_mask, training):
        """Returns the recurrent layer's outputs, `(time, batch, units)`, and its last state."""
        outputs = self.cell.over_time(inputs, state, hidden_mask, training=training)
        return outputs, outputs[-1]

    def _logits(self, outputs):
        flat = tf.reshape(outputs, (-1, self.cell.units))
        logits = tf.matmul(flat, self.embedding, transpose_b=True) + self.bias
        return tf.reshape(logits, (*_shape(outputs)[:2], self.vocabulary))

    def _masks(self, batch):
        """Returns dropout masks of words, embeddings, inputs, states and outputs of a batch."""
        masks = {}
        seeds = dropout.seeds(self._seed, len(DROPOUTS))
        for name, seed in zip(DROPOUTS, seeds, strict=True):
            words = (self.vocabulary, 1) if name == "word_dropout" else (batch, self.cell.units)
            if self.dropouts[name]:
                masks[name] = dropout.mask(words, self.dropouts[name], seed, self.compute_dtype)
        return masks

    def get_config(self):
        """Constructor arguments."""
        own = {"vocabulary": self.vocabulary, "units": self.cell.units, **self.dropouts}
        return {**super().get_config(), **own}


def _looked_up(table, tokens):
    """Rows of a matrix, with a dense gradient, that may itself be differentiated."""

    @custom_gradient
    def looked_up(table):
        rows = tf.shape(table)[0]
        return tf.gather(table, tokens), lambda upstream: [
            tf.math.unsorted_segment_sum(upstream, tokens, rows)
        ]

    return looked_up(table)


def _shape(tensor):
    """Static where it is known."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if size is None else size for i, size in enumerate(tensor.shape)]


@keras.saving.register_keras_serializable("darts_tf")
class LanguageModel(RecurrentModel):
    """A language model with the cell of a genotype; see `build_language_model`.

    Attributes:
        genotype: the cell.
    """

    def __init__(self, genotype: RecurrentGenotype, vocabulary, units, dtype=None, **kwargs):
        dropouts = {name: kwargs.pop(name) for name in DROPOUTS}
        cell = RecurrentCell(genotype, units, dropouts["hidden_dropout"], dtype=dtype)
        super().__init__(cell, vocabulary, dropouts, dtype=dtype, **kwargs)
        self.genotype = genotype

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "genotype": self.genotype.to_json()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuilds from `get_config`, under the dtype policy in force and not the one in there.

        As `Network`: a model trained in mixed precision has float32 weights.
        """
        given = {name: value for name, value in config.items() if name != "dtype"}
        return cls(**{**given, "genotype": RecurrentGenotype.from_json(config["genotype"])})


def build_language_model(
    genotype: RecurrentGenotype,
    vocabulary: int,
    units: int = 850,
    *,
    word_dropout: float = 0.0,
    embedding_dropout: float = 0.0,
    input_dropout: float = 0.0,
    hidden_dropout: float = 0.0,
    output_dropout: float = 0.0,
) -> LanguageModel:
    """The language model of a recurrent genotype; its variables exist on return.

    Args:
        genotype: the cell.
        vocabulary: number of different tokens.
        units: of the hidden state, and of the embedding.
        word_dropout: share of the vocabulary that is dropped wherever it occurs in a batch.
        embedding_dropout: of the embedded words.
        input_dropout: of the same once more, where the cell multiplies them.
        hidden_dropout: of the states that the cell multiplies.
        output_dropout: of the cell's outputs, before the classifier.

    Returns:
        A Keras model, `lm(tokens, initial_state=h, return_state=True) -> (logits, h)`: tokens
        `(batch, time)`, state `(batch, units)`, logits `(batch, time, vocabulary)`.

    Raises:
        InputError: numbers out of range.
    """
    return LanguageModel(
        genotype,
        vocabulary,
        units,
        word_dropout=word_dropout,
        embedding_dropout=embedding_dropout,
        input_dropout=input_dropout,
        hidden_dropout=hidden_dropout,
        output_dropout=output_dropout,
    )


def load_language_model(path: str | os.PathLike[str]) -> LanguageModel:
    """A trained language model from a `.keras` file, without its optimizer.

    Raises:
        InputError: the file is missing or broken, or holds another model.
    """
    return load_model(path, LanguageModel)
