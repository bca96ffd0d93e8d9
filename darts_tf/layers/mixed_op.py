"""The mixed operation: all primitives on all edges that leave a state, weighed."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from darts_tf.layers.primitives import PRIMITIVES, Identity, Zero, views
from darts_tf.ops import dropout
from darts_tf.ops.constants import filled
from darts_tf.ops.images import joined, spread
from darts_tf.ops.matmul import weighted_sums
from darts_tf.ops.pooling import halve


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


class PrunedMixedOp(MixedOp):
    """As `MixedOp`, with candidates by edge.

    A primitive with weights is one layer with a group for each of the edges that have it; one
    without is computed once, and has the factor 0 on the edges that do not have it.

    Args:
        channels: as there.
        stride: as there.
        primitives: names of the candidates of each edge, as many on all of them, in the order of
            the alphas' columns.
        partial: as there.
    """

    def __init__(
        self, channels: int, stride: int, primitives: tuple[tuple[str, ...], ...], partial: int = 1
    ):
        super().__init__(channels, stride, len(primitives), primitives, partial)

    def _candidates(self):
        names = list(dict.fromkeys(name for row in self.primitives for name in row))
        self.having = [[i for i, row in enumerate(self.primitives) if n in row] for n in names]
        self.places = np.eye(len(names))[[[names.index(n) for n in row] for row in self.primitives]]
        return [self._made(n, len(having)) for n, having in zip(names, self.having, strict=True)]

    def _mix(self, state, weights, training, op_dropout):
        counts = {len(having) for having in self.having}
        seen = {count: views(state, count) for count in counts}
        places = tf.constant(self.places, weights.dtype)
        factors = per_channel(tf.einsum("ek,ekn->en", weights, places), self.mixed)
        arriving, shared, rows = [[] for _ in self.primitives], [], []
        everywhere = []
        for row, (op, having) in enumerate(zip(self.ops, self.having, strict=True)):
            x = seen[len(having)][op.reads]
            if isinstance(op, Zero):
                continue
            if op_dropout and isinstance(op, Identity):
                everywhere.append(self._dropped(state, factors[row], *op_dropout))
            elif op.weightless:
                shared.append(op(x, training=training))
                rows.append(row)
            else:
                parts = tf.split(factors[row], self.edges)
                scale = tf.concat([parts[edge] for edge in having], 0)
                y = op(x, scale=scale, training=training)
                for edge, part in zip(having, tf.split(y, len(having), -1), strict=True):
                    arriving[edge].append(part)
        if shared:
            everywhere.append(weighted_sums(shared, tf.gather(factors, rows)))
        for y in everywhere:
            for edge, part in enumerate(tf.split(y, self.edges, -1)):
                arriving[edge].append(part)
        return [tf.add_n(parts) for parts in arriving]
