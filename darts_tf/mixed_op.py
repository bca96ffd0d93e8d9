"""The mixed operation: all primitives on all edges that leave a state, weighed."""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.operation import views
from darts_tf.ops import dropout
from darts_tf.ops.constants import filled
from darts_tf.ops.images import joined, spread
from darts_tf.ops.matmul import weighted_sums
from darts_tf.ops.pooling import halve
from darts_tf.primitives import PRIMITIVES, Identity, Zero


class MixedOp(keras.layers.Layer):
    """The relaxation (eq. 2) of all edges that leave one state.

    The edges lie side by side in the channels, so that each primitive is one layer with a group
    per edge. Those without weights give the same on every edge and are computed once.

    Args:
        channels: of the cell.
        stride: 2 where the state is an input of a reduction cell.
        edges: how many edges leave the state.
        primitives: names of the candidates, in the order of the alphas' columns.
        partial: only the first of so many parts of the channels is mixed, the others pass by
            (Xu et al. 2020, section 3.1).

    Attributes:
        kind: mixed operations of one kind have the same graph.
    """

    def __init__(
        self,
        channels: int,
        stride: int,
        edges: int,
        primitives: tuple[str, ...],
        partial: int = 1,
    ):
        super().__init__(autocast=False)  # the alphas stay in float32
        self.channels = channels
        self.edges = edges
        self.primitives = primitives
        self.kind = (channels, stride, edges, primitives, partial)
        self.stride = stride
        self.partial = partial
        self.mixed = channels // partial
        self.ops = self._candidates()

    def _candidates(self):
        return [self._made(name, self.edges) for name in self.primitives]

    def _made(self, name, edges):
        """A primitive for so many edges; one that gives the same on all of them is for one."""
        op = PRIMITIVES[name](self.mixed, self.stride, False, edges)
        return PRIMITIVES[name](self.mixed, self.stride, False) if op.weightless else op

    def build(self, input_shape):
        """Builds every candidate."""
        for op in self.ops:
            op.build((*input_shape[:-1], self.mixed))

    def call(self, state, weights, edge_weights=None, training=False, op_dropout=None):
        """Mixes.

        Args:
            state: `(batch, height, width, channels)`.
            weights: of the mixtures, `(edges, primitives)`.
            edge_weights: factors of whole edges, `(edges,)`; None for 1.
            training: whether the normalisations use the batch's statistics.
            op_dropout: rate and seed of dropout on skip connections that keep the state as it is
                (Chen et al. 2019, P-DARTS); None for none.

        Returns:
            A list with one mixed tensor per edge, the channels that passed by last.
        """
        if edge_weights is None:
            edge_weights = filled(1.0, (self.edges,), weights.dtype)
        else:
            weights = weights * edge_weights[:, None]
        if self.partial == 1:
            return self._mix(state, weights, training, op_dropout)
        first, rest = tf.split(state, [self.mixed, self.channels - self.mixed], -1)
        mixed = self._mix(first, weights, training, op_dropout)
        rest = halve(rest) if self.stride == 2 else rest
        passed = weighted_sums([rest], per_channel(edge_weights[:, None], rest.shape[-1]))
        passed = tf.split(passed, self.edges, -1)
        return [joined(parts) for parts in zip(mixed, passed, strict=True)]

    def _mix(self, state, weights, training, op_dropout):
        seen = views(state, self.edges)
        factors = per_channel(weights, self.mixed)
        terms, shared, rows = [], [], []
        for row, (op, factor) in enumerate(zip(self.ops, tf.unstack(factors), strict=True)):
            if isinstance(op, Zero):  # takes its share of the softmax and adds nothing
                continue
            if op_dropout and isinstance(op, Identity):
                terms.append(self._dropped(state, factor, *op_dropout))
            elif op.weightless:
                shared.append(op(seen[op.reads], training=training))
                rows.append(row)
            else:
                terms.append(op(seen[op.reads], scale=factor, training=training))
        if shared:
            terms.append(weighted_sums(shared, tf.gather(factors, rows)))
        return tf.split(tf.add_n(terms), self.edges, -1)

    def _dropped(self, state, factor, rate, seed):
        """Skips with dropout: every edge has a mask of its own."""
        copies = spread(state, self.edges)
        kept = dropout.mask(tf.shape(copies), rate, seed, copies.dtype)
        return copies * kept * tf.cast(factor, copies.dtype)


def per_channel(weights, channels):
    """From `(edges, n)` to `(n, edges * channels)`: the edges side by side in the channels."""
    columns = tf.transpose(weights)[:, :, None] * filled(1.0, (channels,), weights.dtype)
    return tf.reshape(columns, (weights.shape[1], -1))
