"""Cells: small directed acyclic graphs of primitives (Liu et al. 2019, sec. 2.1).

A cell has two inputs, the outputs of the previous two cells (states 0 and 1), and nodes (states
2, 3, ...). Its output is the concatenation of nodes along the channels. `SearchCell` mixes all
primitives on all edges; `Cell` is the discrete one that a genotype describes.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.constants import filled
from darts_tf.convolutions import FactorizedReduce, ReLUConvBN
from darts_tf.errors import InputError
from darts_tf.normalization import tracking
from darts_tf.operation import views
from darts_tf.ops import halved, joined, shuffle
from darts_tf.pooling import halve
from darts_tf.primitives import PRIMITIVES, Identity, Zero
from darts_tf.products import weighted_sums
from darts_tf.sharing import Shared
from darts_tf.spaces import INPUTS, edges


def reductions(cells: int) -> list[bool]:
    """Which cells are reductions: those at one and two thirds of the depth.

    Raises:
        InputError: fewer than 3 cells, which would leave no normal cell or no second reduction.
    """
    if cells < 3:
        raise InputError(f"Expected at least 3 cells (two are reductions). Received: cells={cells}")
    return [i in (cells // 3, 2 * cells // 3) for i in range(cells)]


class MixedOp(keras.layers.Layer):
    """The softmax relaxation (eq. 2) of all edges that leave one state.

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
        self.ops = []
        for name in primitives:
            op = PRIMITIVES[name](self.mixed, stride, False, edges)
            self.ops.append(PRIMITIVES[name](self.mixed, stride, False) if op.weightless else op)

    def build(self, input_shape):
        """Builds every candidate."""
        for op in self.ops:
            op.build((*input_shape[:-1], self.mixed))

    def call(self, state, weights, edge_weights=None, training=False):
        """Mixes.

        Args:
            state: `(batch, height, width, channels)`.
            weights: softmaxed alphas of the edges, `(edges, primitives)`.
            edge_weights: factors of whole edges, `(edges,)`; None for 1.
            training: whether the normalisations use the batch's statistics.

        Returns:
            A list with one mixed tensor per edge, the channels that passed by last.
        """
        if edge_weights is None:
            edge_weights = filled(1.0, (self.edges,), weights.dtype)
        else:
            weights = weights * edge_weights[:, None]
        if self.partial == 1:
            return self._mix(state, weights, training)
        first, rest = tf.split(state, [self.mixed, self.channels - self.mixed], -1)
        mixed = self._mix(first, weights, training)
        rest = halve(rest) if self.stride == 2 else rest
        passed = weighted_sums([rest], _per_channel(edge_weights[:, None], rest.shape[-1]))
        passed = tf.split(passed, self.edges, -1)
        return [joined(parts) for parts in zip(mixed, passed, strict=True)]

    def _mix(self, state, weights, training):
        seen = views(state, self.edges)
        factors = _per_channel(weights, self.mixed)
        terms, shared, rows = [], [], []
        for row, (op, factor) in enumerate(zip(self.ops, tf.unstack(factors), strict=True)):
            if isinstance(op, Zero):  # takes its share of the softmax and adds nothing
                continue
            if op.weightless:
                shared.append(op(seen[op.reads], training=training))
                rows.append(row)
            else:
                terms.append(op(seen[op.reads], scale=factor, training=training))
        if shared:
            terms.append(weighted_sums(shared, tf.gather(factors, rows)))
        return tf.split(tf.add_n(terms), self.edges, -1)


def _per_channel(weights, channels):
    """From `(edges, n)` to `(n, edges * channels)`: the edges side by side in the channels."""
    columns = tf.transpose(weights)[:, :, None] * filled(1.0, (channels,), weights.dtype)
    return tf.reshape(columns, (weights.shape[1], -1))


def preprocess(channels: int, reduce: bool, affine: bool) -> keras.layers.Layer:
    """What brings an input of a cell to the cell's channels, and halves it where it is too big."""
    return (FactorizedReduce if reduce else ReLUConvBN)(channels, 2 if reduce else 1, affine)


def _preprocessed(cell, s0, s1, training):
    """Both inputs of a cell with its channels and of one size: states 0 and 1."""
    parts = ((cell.preprocess0, s0), (cell.preprocess1, s1))
    return [layer(views(s)[layer.reads], training=training) for layer, s in parts]


class SearchCell(keras.layers.Layer):
    """A cell of the supernet: every node adds up the mixed edges from all earlier states.

    Args:
        channels: of every state; the output has `nodes * channels`.
        reduction: whether the edges from the two inputs have stride 2.
        reduction_previous: whether the cell before was a reduction, so that the input from two
            cells ago is twice as large.
        nodes: intermediate states.
        primitives: candidates on every edge.
        partial: see `MixedOp`.
        shared: where the mixed operations' graphs are shared with other cells.
    """

    def __init__(
        self, channels, reduction, reduction_previous, nodes, primitives, partial=1, shared=None
    ):
        super().__init__(autocast=False)  # the alphas stay in float32
        self.channels = channels
        self.reduction = reduction
        self.nodes = nodes
        self.partial = partial
        self.shared = shared or Shared()
        self.rows = {edge: row for row, edge in enumerate(edges(nodes))}
        self.preprocess0 = preprocess(channels, reduction_previous, affine=False)
        self.preprocess1 = preprocess(channels, False, affine=False)
        self.mixed = [
            MixedOp(
                channels,
                stride=2 if reduction and source < INPUTS else 1,
                edges=sum(edge[0] == source for edge in self.rows),
                primitives=primitives,
                partial=partial,
            )
            for source in range(INPUTS + nodes - 1)
        ]

    def build(self, s0_shape, s1_shape):
        """Builds the parts for inputs of these shapes."""
        self.preprocess0.build(s0_shape)
        self.preprocess1.build(s1_shape)
        for mixed in self.mixed:
            mixed.build((None, None, None, self.channels))

    def call(self, s0, s1, weights, edge_weights=None, training=False):
        """Runs the cell.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            weights: softmaxed alphas, `(edges, primitives)`.
            edge_weights: factors of the edges, `(edges,)`; None for 1.
            training: whether the normalisations use the batch's statistics.

        Returns:
            `(batch, height, width, nodes * channels)`, half the size in a reduction cell.
        """
        states = _preprocessed(self, s0, s1, training)
        arriving = {target: [] for _, target in self.rows}
        by_source = sorted(self.rows)
        order = [self.rows[edge] for edge in by_source]
        given = [weights] if edge_weights is None else [weights, edge_weights]
        leaving = [mixed.edges for mixed in self.mixed]
        parts = zip(*(tf.split(tf.gather(array, order), leaving) for array in given), strict=True)
        for source, (mixed, part) in enumerate(zip(self.mixed, parts, strict=True)):
            if source in arriving:
                states.append(self._node(arriving[source]))
            if training:
                outputs = self.shared(mixed, states[source], *part, track=tracking())
            else:
                outputs = mixed(states[source], *part)
            targets = [edge[1] for edge in by_source if edge[0] == source]
            for target, output in zip(targets, outputs, strict=True):
                arriving[target].append(output)
        states.append(self._node(arriving[len(states)]))
        return joined(states[INPUTS:])

    def _node(self, arriving):
        """The sum of the edges; its channels are dealt out anew where only some were mixed."""
        total = tf.add_n(arriving)
        return shuffle(total, self.partial) if self.partial > 1 else total


class Cell(keras.layers.Layer):
    """A discrete cell: every node adds two primitives.

    Args:
        pairs: `(primitive, input state)`, two pairs a node.
        concat: states whose concatenation is the output.
        channels: of every state.
        reduction: whether primitives on the two inputs have stride 2.
        reduction_previous: whether the input from two cells ago is twice as large.

    Attributes:
        droppable: at which pairs drop path may drop what a primitive gives: all but identities.
    """

    def __init__(self, pairs, concat, channels, reduction, reduction_previous):
        super().__init__()
        self.pairs = pairs
        self.concat = concat
        self.channels = channels
        self.reduction = reduction
        self.preprocess0 = preprocess(channels, reduction_previous, affine=True)
        self.preprocess1 = preprocess(channels, False, affine=True)
        self.ops = [
            PRIMITIVES[name](channels, 2 if reduction and source < INPUTS else 1, True)
            for name, source in pairs
        ]
        self.droppable = [i for i, op in enumerate(self.ops) if not isinstance(op, Identity)]

    def build(self, s0_shape, s1_shape):
        """Builds the parts for inputs of these shapes."""
        self.preprocess0.build(s0_shape)
        self.preprocess1.build(s1_shape)
        for op in self.ops:
            op.build((None, None, None, self.channels))

    def call(self, s0, s1, *drop_path, training=False):
        """Runs the cell.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            *drop_path: factors `(batch, 1, 1, 1)` of what the primitives at `droppable` give, or
                none at all.
            training: whether the normalisations use the batch's statistics.

        Returns:
            `(batch, height, width, len(concat) * channels)`, half the size in a reduction cell.
        """
        factors = dict(zip(self.droppable, drop_path, strict=True)) if drop_path else {}
        states = _preprocessed(self, s0, s1, training)
        seen = [views(state) for state in states]
        for i in range(0, len(self.pairs), 2):
            first, second = (self._branch(seen, j, factors, training) for j in (i, i + 1))
            states.append(first + second)
            seen.append(views(states[-1]))
        return joined([states[i] for i in self.concat])

    def _branch(self, seen, index, factors, training):
        op = self.ops[index]
        y = op(seen[self.pairs[index][1]][op.reads], training=training)
        return y * factors[index] if index in factors else y

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output for the previous cell's rows and columns."""
        stride = 2 if self.reduction else 1
        return halved(height, stride), halved(width, stride)
