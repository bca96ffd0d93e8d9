"""Recurrent cell of a genotype, and the base class that it shares with the cell of a search.

Both are Keras RNN cells (Liu et al. 2019, sec. 2.1 and 3.1.2).

State 0 is computed from the input and the last hidden state. Every node gates between an earlier
state and an activation of that state's product with a matrix, as a highway layer does. Dropout
applies to the states in matrix products, never to the states that are passed on unchanged.
"""

from __future__ import annotations

import functools

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.layers.normalization import tracking
from darts_tf.ops import dropout
from darts_tf.ops.bilinear import bilinear
from darts_tf.ops.recurrence import Recurrence
from darts_tf.ops.xnnpack import for_xnnpack
from darts_tf.spaces.genotype import RecurrentGenotype

INITIAL_RANGE = 0.04
"""Bound of the uniform distribution of initial weights."""

ACTIVATIONS = {
    "tanh": tf.tanh,
    "relu": tf.nn.relu,
    "sigmoid": tf.sigmoid,
    "identity": tf.identity,
}
"""Activations by name."""


def uniform() -> keras.initializers.Initializer:
    """Returns the initializer of language models, uniform within ±`INITIAL_RANGE`."""
    return keras.initializers.RandomUniform(-INITIAL_RANGE, INITIAL_RANGE)


class HighwayCell(keras.layers.Layer):
    """Base class of both recurrent cells: weights, state 0, dropout, and Keras' conventions.

    The state is the hidden state and, with dropout, also its mask, which never changes. So
    `keras.layers.RNN` drops the same units at every step of a sequence, and only in training.
    """

    def __init__(self, units: int, nodes: int, hidden_dropout: float, **kwargs):
        super().__init__(**kwargs)
        if units < 1 or not 0 <= hidden_dropout < 1:
            raise InputError(
                "Expected positive units, and hidden_dropout in [0, 1). "
                f"Received: {units=}, {hidden_dropout=}"
            )
        self.units = units
        self.nodes = nodes
        self.hidden_dropout = hidden_dropout
        self._seed = keras.random.SeedGenerator()

    @property
    def state_size(self):
        """Size of the hidden state, and with dropout also of its mask."""
        return [self.units, self.units] if self.hidden_dropout else self.units

    @property
    def output_size(self) -> int:
        """Size of the cell's output at each step."""
        return self.units

    def build(self, input_shape):
        """Creates the weights."""
        shapes = {"input": input_shape[-1], "recurrent": self.units}
        self.input_kernel, self.recurrent_kernel = (
            self.add_weight(
                shape=(rows, 2 * self.units), initializer=uniform(), name=f"{name}_kernel"
            )
            for name, rows in shapes.items()
        )
        self.node_kernels = [
            self.add_weight(
                shape=(self.units, 2 * self.units), initializer=uniform(), name=f"kernel_{i}"
            )
            for i in range(self.nodes)
        ]

    def get_initial_state(self, batch_size=None):
        """Returns a hidden state of zeros and, with dropout, also a new mask."""
        zeros = tf.zeros((batch_size, self.units), self.compute_dtype)
        return [zeros, self.draw_mask(batch_size)] if self.hidden_dropout else zeros

    def draw_mask(self, batch_size) -> tf.Tensor:
        """Draws a dropout mask `(batch, units)` for the states in matrix products."""
        (seed,) = dropout.seeds(self._seed, 1)
        return dropout.mask((batch_size, self.units), self.hidden_dropout, seed, self.compute_dtype)

    def call(self, inputs, states, training=False):
        """Runs one step.

        Args:
            inputs: `(batch, inputs)`.
            states: hidden state `(batch, units)` and, with dropout, also its mask.
            training: True to apply dropout.

        Returns:
            The new hidden state as output, and the new states.
        """
        state, *masks = tf.nest.flatten(states)
        mask = masks[0] if masks and training else None
        x = tf.matmul(inputs, self.input_kernel)
        arguments = self._arguments(mask, training)
        state, statistics = self._recurrence_for(training).step(x, state, *arguments)
        if statistics and tracking():
            self._track(*statistics)
        states = [state, *masks]
        return state, states if masks else states[0]

    def over_time(self, inputs, state, mask=None, training=False) -> tf.Tensor:
        """Computes the hidden states of whole sequences, faster than `keras.layers.RNN`.

        Args:
            inputs: `(time, batch, inputs)`.
            state: hidden state before the first step, `(batch, units)`.
            mask: dropout mask from `draw_mask`, `(batch, units)`; None for no dropout.
            training: True in training.

        Returns:
            The hidden states after each step, `(time, batch, units)`.
        """
        x = tf.tensordot(inputs, tf.convert_to_tensor(self.input_kernel), 1)
        states, statistics = self._recurrence_for(training)(
            x, state, *self._arguments(mask, training)
        )
        if statistics and tracking():
            self._track(*(tf.reshape(s, (-1, self.units)) for s in statistics))
        return states

    def _kernels(self):
        """Returns the kernels of the recurrent state and of each node."""
        return [tf.convert_to_tensor(k) for k in (self.recurrent_kernel, *self.node_kernels)]

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_dropout": self.hidden_dropout,
        }


def masked(state, mask):
    """Applies the dropout mask, if there is one, to a state."""
    return state if mask is None else state * mask


def product(x, kernel):
    """Multiplies matrices; `Recurrence` keeps the result instead of computing it again."""
    return bilinear(
        tf.matmul,
        lambda kernel, upstream: tf.matmul(upstream, kernel, transpose_b=True),
        lambda upstream, x: tf.matmul(x, upstream, transpose_a=True),
        worth_keeping=True,
    )(x, kernel)


def first_state(x, state, kernels, mask):
    """Computes state 0: a highway between the hidden state and a candidate."""
    dropped = masked(state, mask)
    of_gate, of_candidate = tf.split(x + product(dropped, kernels[0]), 2, axis=-1)
    return state + tf.sigmoid(of_gate) * (tf.tanh(of_candidate) - state)


def _sum(states):
    # XNNPACK adds two tensors at a time; other sums would split the graph between its parts
    return functools.reduce(tf.add, states) if for_xnnpack() else tf.add_n(states)


@keras.saving.register_keras_serializable("darts_tf")
class RecurrentCell(HighwayCell):
    """Recurrent cell of a genotype, for `keras.layers.RNN`.

    Args:
        genotype: the cell, or its fields as a dict.
        units: size of the hidden state.
        hidden_dropout: dropout rate of the hidden state and the nodes in matrix products, with the
            same mask at every step of a sequence.
    """

    def __init__(self, genotype: RecurrentGenotype, units: int, hidden_dropout=0.0, **kwargs):
        if isinstance(genotype, dict):
            genotype = RecurrentGenotype.from_fields(genotype)
        super().__init__(units, len(genotype.recurrent), hidden_dropout, **kwargs)
        self.genotype = genotype
        self._recurrence = Recurrence(self.step)

    def _recurrence_for(self, training):
        return self._recurrence

    def _arguments(self, mask, training):
        return self._kernels(), (), mask

    def step(self, x, state, kernels, alphas, mask):
        """Runs one step of `Recurrence`; x is the input's product with `input_kernel`."""
        del alphas
        states = [first_state(x, state, kernels, mask)]
        for i, (name, source) in enumerate(self.genotype.recurrent, 1):
            both = product(masked(states[source], mask), kernels[i])
            of_gate, of_candidate = tf.split(both, 2, axis=-1)
            change = ACTIVATIONS[name](of_candidate) - states[source]
            states.append(states[source] + tf.sigmoid(of_gate) * change)
        concat = self.genotype.concat
        return _sum([states[i] for i in concat]) / len(concat), []

    def get_config(self):
        """Returns the constructor arguments."""
        genotype = {"recurrent": self.genotype.recurrent, "concat": self.genotype.concat}
        return {**super().get_config(), "genotype": genotype}
