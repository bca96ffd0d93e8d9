"""Mixed operation: the weighted sum of all primitives, for all edges that leave a state."""

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
    """Relaxation (eq. 2) of all edges that leave one state.

    The edges lie side by side in the channels, so that each primitive is one layer with a group
    per edge. Primitives without weights have the same output on every edge and are computed once.

    Args:
        channels: channels of the cell.
        stride: 2 if the state is an input of a reduction cell, otherwise 1.
        edges: number of edges that leave the state.
        primitives: names of the candidates, in the order of the alphas' columns.
        partial: only the first 1/partial of the channels is mixed, the others bypass the
            operations (Xu et al. 2020, section 3.1).
        normalized_pools: whether pools are normalised, as in DARTS.

    Attributes:
        kind: a key; mixed operations with equal keys have the same graph.
    """

    def __init__(
        self,
        channels: int,
        stride: int,
        edges: int,
        primitives: tuple[str, ...],
        partial: int = 1,
        normalized_pools: bool = True,
    ):
        super().__init__(autocast=False)  # the alphas stay in float32
        self.channels = channels
        self.edges = edges
        self.primitives = primitives
        self.kind = (channels, stride, edges, primitives, partial, normalized_pools)
        self.stride = stride
        self.partial = partial
        self.normalized_pools = normalized_pools
        self.mixed = channels // partial
        self.ops = self._candidates()

    def _candidates(self):
        return [self._primitive(name, self.edges) for name in self.primitives]

    def _primitive(self, name, edges):
        """Makes a primitive for `edges` edges, or for one edge if it has no weights."""
        op = PRIMITIVES[name](self.mixed, self.stride, False, edges)
        if not op.weightless:
            return op
        # as in a discrete network, pools are normalised in neither
        return PRIMITIVES[name](self.mixed, self.stride, not self.normalized_pools)

    def build(self, input_shape):
        """Builds every candidate."""
        for op in self.ops:
            op.build((*input_shape[:-1], self.mixed))

    def call(self, state, weights, edge_weights=None, training=False, op_dropout=None):
        """Computes the weighted sum of the primitives per edge.

        Args:
            state: `(batch, height, width, channels)`.
            weights: mixture weights, `(edges, primitives)`.
            edge_weights: factors of whole edges, `(edges,)`; None for 1.
            training: True if the normalisations use the batch's statistics.
            op_dropout: `(rate, seed)` of dropout on skip connections at stride 1 (Chen et al.
                2019, P-DARTS); None for no dropout.

        Returns:
            A list with one mixed tensor per edge; channels that are not mixed come last.
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
        state_views = views(state, self.edges)
        factors = per_channel(weights, self.mixed)
        terms, shared, rows = [], [], []
        for row, (op, factor) in enumerate(zip(self.ops, tf.unstack(factors), strict=True)):
            if isinstance(op, Zero):  # has a share of the softmax and adds nothing
                continue
            if op_dropout and isinstance(op, Identity):
                terms.append(self._dropped(state, factor, *op_dropout))
            elif op.weightless:
                shared.append(op(state_views[op.reads], training=training))
                rows.append(row)
            else:
                terms.append(op(state_views[op.reads], scale=factor, training=training))
        if shared:
            terms.append(weighted_sums(shared, tf.gather(factors, rows)))
        return tf.split(tf.add_n(terms), self.edges, -1)

    def _dropped(self, state, factor, rate, seed):
        """Computes the skip connections with dropout; every edge has its own mask."""
        copies = spread(state, self.edges)
        kept = dropout.mask(tf.shape(copies), rate, seed, copies.dtype)
        return copies * kept * tf.cast(factor, copies.dtype)


def per_channel(weights, channels):
    """Repeats `(edges, n)` per channel to `(n, edges * channels)`, edges side by side."""
    columns = tf.transpose(weights)[:, :, None] * filled(1.0, (channels,), weights.dtype)
    return tf.reshape(columns, (weights.shape[1], -1))


class PrunedMixedOp(MixedOp):
    """Mixed operation with different candidates per edge.

    A primitive with weights is one layer with a group for each edge that has it. A primitive
    without weights is computed once, and has the factor 0 on edges that do not have it.

    Args:
        channels: as in `MixedOp`.
        stride: as in `MixedOp`.
        primitives: names of the candidates of each edge, the same number on all edges, in the
            order of the alphas' columns.
        partial: as in `MixedOp`.
        normalized_pools: as in `MixedOp`.
    """

    def __init__(
        self,
        channels: int,
        stride: int,
        primitives: tuple[tuple[str, ...], ...],
        partial: int = 1,
        normalized_pools: bool = True,
    ):
        super().__init__(channels, stride, len(primitives), primitives, partial, normalized_pools)

    def _candidates(self):
        names = list(dict.fromkeys(name for row in self.primitives for name in row))
        self.having = [[i for i, row in enumerate(self.primitives) if n in row] for n in names]
        self.places = np.eye(len(names))[[[names.index(n) for n in row] for row in self.primitives]]
        pairs = zip(names, self.having, strict=True)
        return [self._primitive(name, len(having)) for name, having in pairs]

    def _mix(self, state, weights, training, op_dropout):
        counts = {len(having) for having in self.having}
        state_views = {count: views(state, count) for count in counts}
        places = tf.constant(self.places, weights.dtype)
        factors = per_channel(tf.einsum("ek,ekn->en", weights, places), self.mixed)
        arriving, shared, rows = [[] for _ in self.primitives], [], []
        everywhere = []
        for row, (op, having) in enumerate(zip(self.ops, self.having, strict=True)):
            x = state_views[len(having)][op.reads]
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
