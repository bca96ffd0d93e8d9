"""Recurrent cell of a search, which mixes all activations of all earlier states."""

from __future__ import annotations

import functools

import keras
import tensorflow as tf

from darts_tf.errors import InputError
from darts_tf.layers.normalization import BatchNormalization
from darts_tf.layers.recurrent_cells import ACTIVATIONS, HighwayCell, first_state, masked, product
from darts_tf.ops.recurrence import Recurrence
from darts_tf.ops.xla import compiled
from darts_tf.spaces.cell import NONE, RECURRENT_NODES, RECURRENT_PRIMITIVES, recurrent_edges


@keras.saving.register_keras_serializable("darts_tf")
class MixedRecurrentCell(HighwayCell):
    """Recurrent cell of a search: every node mixes all activations of all earlier states (eq. 2).

    State 0 and every node are followed by a batch normalisation without scale and shift, which is
    the same layer for all.

    Attributes:
        alphas: `(edges, primitives)`, a row per pair of `cell.recurrent_edges(nodes)`.

    Args:
        units: size of the hidden state.
        hidden_dropout: as in `RecurrentCell`.
        nodes: number of nodes besides state 0.
        primitives: candidates on every edge, including `none`.
    """

    def __init__(
        self,
        units: int,
        hidden_dropout: float = 0.0,
        nodes: int = RECURRENT_NODES,
        primitives: tuple[str, ...] = RECURRENT_PRIMITIVES,
        **kwargs,
    ):
        super().__init__(units, nodes, hidden_dropout, **kwargs)
        unknown = set(primitives) - {NONE, *ACTIVATIONS}
        if unknown or nodes < 1:
            raise InputError(
                f"Expected nodes, and primitives among {[NONE, *ACTIVATIONS]}. "
                f"Received: {nodes=}, {primitives=}"
            )
        self.primitives = tuple(primitives)
        self.norm = BatchNormalization(affine=False, name="norm")
        self._training, self._inference = map(Recurrence, (self.training_step, self.inference_step))

    def build(self, input_shape):
        """Creates the weights, the alphas, and the running statistics."""
        super().build(input_shape)
        self.norm.build((None, self.units))
        self.alphas = self.add_weight(
            shape=(len(recurrent_edges(self.nodes)), len(self.primitives)),
            initializer=keras.initializers.RandomNormal(stddev=1e-3),
            name="alphas",
            autocast=False,
        )

    def _recurrence_for(self, training):
        return self._training if self._normalizes(training) else self._inference

    def _normalizes(self, training):
        """Returns True to normalise by the batch's statistics; a frozen layer uses running ones."""
        return training and self.norm.trainable

    def _arguments(self, mask, training):
        fixed = mask, None
        if not self._normalizes(training):
            running = self.norm.inference_scale_and_shift()
            fixed = mask, [tf.cast(part, self.compute_dtype) for part in running]
        return self._kernels(), [self._shares()], fixed

    def _shares(self):
        """Returns the mixture weights without `none`, `(edges, 1 + activations, units)`.

        The first row of an edge is their sum, as `_mixture` expects.
        """
        shares = tf.cast(tf.nn.softmax(tf.convert_to_tensor(self.alphas)), self.compute_dtype)
        kept = [i for i, name in enumerate(self.primitives) if name != NONE]
        shares = tf.gather(shares, kept, axis=1)
        shares = tf.concat([tf.reduce_sum(shares, 1, keepdims=True), shares], 1)
        return tf.tile(shares[:, :, None], (1, 1, self.units))

    def _track(self, means, variances):
        self.norm.track_sequence(means, variances)

    def training_step(self, x, state, kernels, alphas, fixed):
        """Runs a training step of `Recurrence`, as `RecurrentCell.step`.

        Returns:
            The new state, and means and variances, `(nodes + 1, units)` each.
        """
        statistics = []

        def normalized(state):
            y, *moments = _normalize(state, self.norm.epsilon)
            statistics.append(moments)
            return y

        state = self._mixed(x, state, kernels, alphas[0], fixed[0], normalized)
        return state, [tf.stack(each) for each in zip(*statistics, strict=True)]

    def inference_step(self, x, state, kernels, alphas, fixed):
        """Runs a step of `Recurrence` with the running statistics, as `RecurrentCell.step`."""
        mask, (scale, shift) = fixed
        return self._mixed(x, state, kernels, alphas[0], mask, lambda s: s * scale + shift), []

    def _mixed(self, x, state, kernels, shares, mask, normalized):
        states = [normalized(first_state(x, state, kernels, mask))]
        dropped, rows = [masked(states[0], mask)], iter(tf.unstack(shares))
        mixture = _mixture(tuple(name for name in self.primitives if name != NONE))
        for i in range(1, self.nodes + 1):
            sources = tf.concat(dropped, 0)
            both = tf.reshape(product(sources, kernels[i]), (i, -1, 2 * self.units))
            parts = zip(tf.unstack(both), states, strict=True)  # unlike a split, copies nothing
            summands = [mixture(*part, next(rows)) for part in parts]
            states.append(normalized(tf.add_n(summands)))
            dropped.append(masked(states[-1], mask))
        return tf.add_n(states[1:]) / self.nodes

    def get_config(self):
        """Returns the constructor arguments."""
        return {**super().get_config(), "nodes": self.nodes, "primitives": self.primitives}


def _normalize(state, epsilon):
    """Normalises by the batch's mean and variance; returns also the mean and unbiased variance.

    For a batch this small the fused kernel is five times slower.
    """
    wide = state if state.dtype == tf.float64 else tf.cast(state, tf.float32)
    mean = tf.reduce_mean(wide, 0)
    centred = wide - mean
    variance = tf.reduce_mean(tf.square(centred), 0)
    y = tf.cast(centred * tf.math.rsqrt(variance + epsilon), state.dtype)
    count = tf.cast(tf.shape(state)[0], wide.dtype)
    return y, mean, variance * count / tf.maximum(count - 1, 1)


@functools.cache
def _mixture(names):
    """Compiles Σ_f share_f · (state + gate · (f(candidate) − state)) over activations f."""

    def mixture(of_both, state, shares):
        """Computes the mixture.

        Args:
            of_both: arguments of gate and candidate, `(batch, 2 * units)`.
            state: the earlier state, `(batch, units)`.
            shares: sum of the mixture weights, then each of them, `(1 + activations, units)`.
        """
        of_gate, of_candidate = tf.split(of_both, 2, axis=-1)
        state, each = shares[0] * state, zip(names, tf.unstack(shares[1:]), strict=True)
        candidate = tf.add_n([share * _ACTIVATIONS[name](of_candidate) for name, share in each])
        return state + _sigmoid(of_gate) * (candidate - state)

    return compiled(mixture)


def _sigmoid(x):
    """Computes the sigmoid by tanh: compiled, 2/3 of the time of an exponential and a division."""
    return 0.5 + 0.5 * tf.tanh(0.5 * x)


_ACTIVATIONS = {**ACTIVATIONS, "sigmoid": _sigmoid}
