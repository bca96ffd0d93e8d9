"""Cells: small directed acyclic graphs of primitives (Liu et al. 2019, sec. 2.1).

A cell has two inputs, the outputs of the previous two cells (states 0 and 1), and nodes (states
2, 3, ...). Its output is the concatenation of nodes along the channels. `SearchCell` mixes all
primitives on all edges; `Cell` is the discrete one that a genotype describes.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from darts_tf.ops import halved
from darts_tf.primitives import (
    PRIMITIVES,
    FactorizedReduce,
    ReLUConvBN,
    Zero,
)
from darts_tf.spaces import INPUTS, edges


def reductions(cells: int) -> list[bool]:
    """Which cells are reductions: those at one and two thirds of the depth.

    Raises:
        ValueError: fewer than 3 cells, which would leave no normal cell or no second reduction.
    """
    if cells < 3:
        raise ValueError(f"Expected at least 3 cells (two are reductions). Received: cells={cells}")
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
    """

    def __init__(self, channels: int, stride: int, edges: int, primitives: tuple[str, ...]):
        super().__init__()
        self.channels = channels
        self.edges = edges
        self.primitives = primitives
        self.ops = []
        for name in primitives:
            op = PRIMITIVES[name](channels, stride, False, edges)
            self.ops.append(PRIMITIVES[name](channels, stride, False) if op.weightless else op)

    def build(self, input_shape):
        """Builds every candidate."""
        for op in self.ops:
            op.build((*input_shape[:-1], op.groups * self.channels))

    def call(self, state, weights, training=False):
        """Mixes.

        Args:
            state: `(batch, height, width, channels)`.
            weights: softmaxed alphas of the edges, `(edges, primitives)`.
            training: whether the normalisations use the batch's statistics.

        Returns:
            A list with one mixed tensor per edge.
        """
        spread = self._spread(state)
        per_channel = tf.unstack(tf.repeat(weights, self.channels, 0), axis=1)
        terms = []
        for op, weight in zip(self.ops, per_channel, strict=True):
            if isinstance(op, Zero):  # takes its share of the softmax and adds nothing
                continue
            shared = op.groups < self.edges
            y = op(state if shared else spread, training=training)
            terms.append(weight * (self._spread(y) if shared else y))
        return tf.split(tf.add_n(terms), self.edges, -1)

    def _spread(self, x):
        """A copy for every edge, side by side in the channels."""
        return tf.concat([x] * self.edges, -1) if self.edges > 1 else x


def preprocess(channels: int, reduce: bool, affine: bool) -> keras.layers.Layer:
    """What brings an input of a cell to the cell's channels, and halves it where it is too big."""
    return (FactorizedReduce if reduce else ReLUConvBN)(channels, 2 if reduce else 1, affine)


class SearchCell(keras.layers.Layer):
    """A cell of the supernet: every node adds up the mixed edges from all earlier states.

    Args:
        channels: of every state; the output has `nodes * channels`.
        reduction: whether the edges from the two inputs have stride 2.
        reduction_previous: whether the cell before was a reduction, so that the input from two
            cells ago is twice as large.
        nodes: intermediate states.
        primitives: candidates on every edge.
    """

    def __init__(self, channels, reduction, reduction_previous, nodes, primitives):
        super().__init__()
        self.channels = channels
        self.reduction = reduction
        self.nodes = nodes
        self.rows = {edge: row for row, edge in enumerate(edges(nodes))}
        self.preprocess0 = preprocess(channels, reduction_previous, affine=False)
        self.preprocess1 = preprocess(channels, False, affine=False)
        self.mixed = [
            MixedOp(
                channels,
                stride=2 if reduction and source < INPUTS else 1,
                edges=sum(edge[0] == source for edge in self.rows),
                primitives=primitives,
            )
            for source in range(INPUTS + nodes - 1)
        ]

    def build(self, s0_shape, s1_shape):
        """Builds the parts for inputs of these shapes."""
        self.preprocess0.build(s0_shape)
        self.preprocess1.build(s1_shape)
        for mixed in self.mixed:
            mixed.build((None, None, None, self.channels))

    def call(self, s0, s1, weights, training=False):
        """Runs the cell.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            weights: softmaxed alphas, `(edges, primitives)`.
            training: whether the normalisations use the batch's statistics.

        Returns:
            `(batch, height, width, nodes * channels)`, half the size in a reduction cell.
        """
        states = [self.preprocess0(s0, training=training), self.preprocess1(s1, training=training)]
        arriving = {target: [] for _, target in self.rows}
        for source, mixed in enumerate(self.mixed):
            if source in arriving:
                states.append(tf.add_n(arriving[source]))
            leaving = [edge for edge in self.rows if edge[0] == source]
            edge_weights = tf.gather(weights, [self.rows[edge] for edge in leaving])
            outputs = mixed(states[source], edge_weights, training=training)
            for (_, target), output in zip(leaving, outputs, strict=True):
                arriving[target].append(output)
        states.append(tf.add_n(arriving[len(states)]))
        return tf.concat(states[INPUTS:], -1)


class Cell(keras.layers.Layer):
    """A discrete cell: every node adds two primitives.

    Args:
        pairs: `(primitive, input state)`, two pairs a node.
        concat: states whose concatenation is the output.
        channels: of every state.
        reduction: whether primitives on the two inputs have stride 2.
        reduction_previous: whether the input from two cells ago is twice as large.
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

    def build(self, s0_shape, s1_shape):
        """Builds the parts for inputs of these shapes."""
        self.preprocess0.build(s0_shape)
        self.preprocess1.build(s1_shape)
        for op in self.ops:
            op.build((None, None, None, self.channels))

    def call(self, s0, s1, drop_path=None, training=False):
        """Runs the cell.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            drop_path: function applied to what every primitive gives, except where it is an
                identity; None for none.
            training: whether the normalisations use the batch's statistics.

        Returns:
            `(batch, height, width, len(concat) * channels)`, half the size in a reduction cell.
        """
        states = [self.preprocess0(s0, training=training), self.preprocess1(s1, training=training)]
        for i in range(0, len(self.pairs), 2):
            first, second = (self._branch(states, j, drop_path, training) for j in (i, i + 1))
            states.append(first + second)
        return tf.concat([states[i] for i in self.concat], -1)

    def _branch(self, states, index, drop_path, training):
        (name, source), op = self.pairs[index], self.ops[index]
        y = op(states[source], training=training)
        identity = name == "skip_connect" and op.stride == 1
        return y if drop_path is None or identity else drop_path(y)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output for the previous cell's rows and columns."""
        stride = 2 if self.reduction else 1
        return halved(height, stride), halved(width, stride)
