"""The mixed operation of edges that have candidates of their own (Chen et al. 2019, P-DARTS)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from darts_tf.mixed_op import MixedOp, per_channel
from darts_tf.operation import views
from darts_tf.ops.matmul import weighted_sums
from darts_tf.primitives import Identity, Zero


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
