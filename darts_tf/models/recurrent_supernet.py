"""The continuous recurrent network of a search: every node mixes all activations of all states."""

from __future__ import annotations

import keras
import numpy as np

from darts_tf.layers.mixed_recurrent_cell import MixedRecurrentCell
from darts_tf.models.language_model import RecurrentModel
from darts_tf.spaces.cell import RECURRENT_NODES, RECURRENT_PRIMITIVES
from darts_tf.spaces.derivation import derive_recurrent
from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.spaces.search_spaces import recurrent_space


@keras.saving.register_keras_serializable("darts_tf")
class RecurrentSupernet(RecurrentModel):
    """A language model with a softmax-relaxed cell, ready to be searched (Liu et al. 2019).

    `lm(tokens, initial_state=h, return_state=True) -> (logits, h)`: tokens `(batch, time)`, state
    `(batch, units)`, logits `(batch, time, vocabulary)`.

    Attributes:
        alphas: `[recurrent]`, a variable `(edges, primitives)`.
        network_weights: the other trainable variables, w in the paper.

    Args:
        vocabulary: number of different tokens.
        units: of the hidden state, and of the embedding.
        nodes: of the cell, beside state 0.
        primitives: candidates on every edge, `none` among them.
        word_dropout: as in `build_language_model`, and so are the other four.
        embedding_dropout: as there.
        input_dropout: as there.
        hidden_dropout: as there.
        output_dropout: as there.

    Raises:
        InputError: numbers out of range, or an unknown primitive.
    """

    def __init__(
        self,
        vocabulary: int = 10_000,
        units: int = 300,
        nodes: int = RECURRENT_NODES,
        primitives: tuple[str, ...] = RECURRENT_PRIMITIVES,
        word_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        input_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        output_dropout: float = 0.0,
        dtype=None,
        **kwargs,
    ):
        dropouts = {
            "word_dropout": word_dropout,
            "embedding_dropout": embedding_dropout,
            "input_dropout": input_dropout,
            "hidden_dropout": hidden_dropout,
            "output_dropout": output_dropout,
        }
        cell = MixedRecurrentCell(units, hidden_dropout, nodes, primitives, dtype=dtype)
        super().__init__(cell, vocabulary, dropouts, dtype=dtype, **kwargs)
        self.space = recurrent_space(nodes, primitives)

    @property
    def alphas(self) -> list[keras.Variable]:
        """`[recurrent]`."""
        return [self.cell.alphas]

    @property
    def network_weights(self) -> list[keras.Variable]:
        """The other trainable variables."""
        return [v for v in self.trainable_variables if v is not self.cell.alphas]

    def genotype(self) -> RecurrentGenotype:
        """The discrete cell that the alphas stand for now (sec. 2.4)."""
        return derive_recurrent(np.asarray(self.cell.alphas), primitives=self.space.primitives)

    def get_config(self):
        """Constructor arguments."""
        own = {"nodes": self.cell.nodes, "primitives": self.space.primitives}
        return {**super().get_config(), **own}
