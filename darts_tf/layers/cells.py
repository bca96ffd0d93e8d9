"""Cells: small directed acyclic graphs of primitives (Liu et al. 2019, sec. 2.1).

A cell has two inputs, the outputs of the previous two cells (states 0 and 1), and nodes (states
2, 3, ...). Its output is the concatenation of nodes along the channels. `SearchCell` mixes all
primitives on all edges; `Cell` is the discrete one that a genotype describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import keras
import tensorflow as tf

from darts_tf.layers.graph_sharing import Shared
from darts_tf.layers.mixed_op import MixedOp, PrunedMixedOp
from darts_tf.layers.normalization import tracking
from darts_tf.layers.primitives import PRIMITIVES, FactorizedReduce, Identity, ReLUConvBN, views
from darts_tf.ops.images import joined, shuffle, strided
from darts_tf.runtime import switches
from darts_tf.spaces.cell import INPUTS
from darts_tf.spaces.genotype import Genotype


def preprocess(channels: int, reduce: bool, affine: bool) -> keras.layers.Layer:
    """Makes the layer that maps an input to a cell's channels and, with `reduce`, halves it."""
    return (FactorizedReduce if reduce else ReLUConvBN)(channels, 2 if reduce else 1, affine)


def _preprocessed(cell, s0, s1, training):
    """Returns states 0 and 1: both inputs of a cell with its channels and equal sizes."""
    parts = ((cell.preprocess0, s0), (cell.preprocess1, s1))
    return [layer(views(s)[layer.reads], training=training) for layer, s in parts]


def _dropout_of(source, op_dropout):
    """Returns `MixedOp`'s dropout argument for the edges from a state, with its own seed."""
    if op_dropout is None:
        return {}
    rate, seed = op_dropout
    return {"op_dropout": (rate, tf.random.experimental.stateless_fold_in(seed, source))}


def offset_cells(
    cells: Sequence[keras.layers.Layer], offsets: Sequence[tf.Tensor]
) -> AbstractContextManager[None]:
    """Context manager: adds arrays to the mixture weights of some cells, e.g. to differentiate.

    Args:
        cells: cells of a supernet.
        offsets: `(edges, primitives)` for each of them.
    """
    pairs = zip(cells, offsets, strict=True)
    return switches.CELL_OFFSETS.hold({id(cell): offset for cell, offset in pairs})


def _offset(cell, weights):
    """Returns the mixture weights of a cell with what `offset_cells` adds."""
    offset = (switches.CELL_OFFSETS.value or {}).get(id(cell))
    return weights if offset is None else weights + offset


class SearchCell(keras.layers.Layer):
    """Cell of the supernet: every node adds up the mixed edges from all earlier states.

    Args:
        channels: channels of every state; the output has `nodes * channels`.
        reduction: True if the edges from the two inputs have stride 2.
        reduction_previous: True if the previous cell was a reduction, so that the input from two
            cells ago is twice as large.
        space: the search space, which has the nodes and the candidates on every edge.
        partial: see `MixedOp`.
        shared: graphs of mixed operations to share with other cells; None to share none.

    Raises:
        InputError: a space of another topology than these cells have.
    """

    def __init__(self, channels, reduction, reduction_previous, space, partial=1, shared=None):
        super().__init__(autocast=False)  # the alphas stay in float32
        space.check_genotypes(Genotype)
        self.channels = channels
        self.reduction = reduction
        self.nodes = space.nodes
        self.partial = partial
        self.shared = shared or Shared()
        self.rows = space.rows
        self.preprocess0 = preprocess(channels, reduction_previous, affine=False)
        self.preprocess1 = preprocess(channels, False, affine=False)
        self.mixed = [
            self._mixed_op(source, 2 if reduction and source < INPUTS else 1, space)
            for source in range(INPUTS + space.nodes - 1)
        ]

    def _mixed_op(self, source, stride, space):
        leaving = [self.rows[edge] for edge in sorted(self.rows) if edge[0] == source]
        if space.primitives:
            return MixedOp(self.channels, stride, len(leaving), space.primitives, self.partial)
        theirs = tuple(space.candidates[int(self.reduction)][row] for row in leaving)
        return PrunedMixedOp(self.channels, stride, theirs, self.partial)

    def build(self, s0_shape, s1_shape):
        """Builds the parts for inputs of these shapes; a second call only notes the shapes."""
        if self.built:
            return
        self.preprocess0.build(s0_shape)
        self.preprocess1.build(s1_shape)
        for mixed in self.mixed:
            mixed.build((None, None, None, self.channels))

    def compute_output_shape(self, s0_shape, s1_shape):
        """Returns the shape of the output."""
        return strided(s1_shape, 2 if self.reduction else 1, self.nodes * self.channels)

    def call(self, s0, s1, weights, edge_weights=None, training=False, op_dropout=None):
        """Runs the cell.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            weights: mixture weights, `(edges, primitives)`.
            edge_weights: factors of the edges, `(edges,)`; None for 1.
            training: True if the normalisations use the batch's statistics.
            op_dropout: `(rate, seed)` of dropout on skip connections; None for no dropout.

        Returns:
            `(batch, height, width, nodes * channels)`, half the size in a reduction cell.
        """
        states = _preprocessed(self, s0, s1, training)
        weights = _offset(self, weights)
        arriving = {target: [] for _, target in self.rows}
        by_source = sorted(self.rows)
        order = [self.rows[edge] for edge in by_source]
        arrays = [weights] if edge_weights is None else [weights, edge_weights]
        leaving = [mixed.edges for mixed in self.mixed]
        parts = zip(*(tf.split(tf.gather(array, order), leaving) for array in arrays), strict=True)
        for source, (mixed, part) in enumerate(zip(self.mixed, parts, strict=True)):
            if source in arriving:
                states.append(self._node(arriving[source]))
            if training:
                dropped = _dropout_of(source, op_dropout)
                outputs = self.shared(mixed, states[source], *part, track=tracking(), **dropped)
            else:
                outputs = mixed(states[source], *part)
            targets = [edge[1] for edge in by_source if edge[0] == source]
            for target, output in zip(targets, outputs, strict=True):
                arriving[target].append(output)
        states.append(self._node(arriving[len(states)]))
        return joined(states[INPUTS:])

    def _node(self, arriving):
        """Adds the edges of a node; with partial channels, shuffles the sum's channels."""
        total = tf.add_n(arriving)
        return shuffle(total, self.partial) if self.partial > 1 else total


class Cell(keras.layers.Layer):
    """Discrete cell: every node adds two primitives.

    Args:
        pairs: `(primitive, input state)`, two pairs per node.
        concat: states whose concatenation is the output.
        channels: channels of every state.
        reduction: True if primitives on the two inputs have stride 2.
        reduction_previous: True if the input from two cells ago is twice as large.

    Attributes:
        droppable: indices of the pairs whose outputs drop path may drop: all but identities.
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
        """Builds the parts for inputs of these shapes; a second call only notes the shapes."""
        if self.built:
            return
        self.preprocess0.build(s0_shape)
        self.preprocess1.build(s1_shape)
        for op in self.ops:
            op.build((None, None, None, self.channels))

    def compute_output_shape(self, s0_shape, s1_shape):
        """Returns the shape of the output."""
        return strided(s1_shape, 2 if self.reduction else 1, len(self.concat) * self.channels)

    def call(self, s0, s1, *drop_path, training=False):
        """Runs the cell.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            *drop_path: factors `(batch, 1, 1, 1)` of the outputs of the primitives at `droppable`,
                or no arguments for no drop path.
            training: True if the normalisations use the batch's statistics.

        Returns:
            `(batch, height, width, len(concat) * channels)`, half the size in a reduction cell.
        """
        factors = dict(zip(self.droppable, drop_path, strict=True)) if drop_path else {}
        states = _preprocessed(self, s0, s1, training)
        state_views = [views(state) for state in states]
        for i in range(0, len(self.pairs), 2):
            first, second = (self._branch(state_views, j, factors, training) for j in (i, i + 1))
            states.append(first + second)
            state_views.append(views(states[-1]))
        return joined([states[i] for i in self.concat])

    def _branch(self, state_views, index, factors, training):
        op = self.ops[index]
        y = op(state_views[self.pairs[index][1]][op.reads], training=training)
        return y * factors[index] if index in factors else y
