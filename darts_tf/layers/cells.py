"""Cells: small directed acyclic graphs of primitives (Liu et al. 2019, sec. 2.1).

A cell of DARTS has two inputs, the outputs of the previous two cells (states 0 and 1), and nodes
(states 2, 3, ...). Its output is the concatenation of nodes along the channels. `SearchCell` mixes
all primitives on all edges; `Cell` is the discrete one that a genotype describes.

A cell of NAS-Bench-201 (Dong and Yang 2020, sec. 2.1) has one input, state 0, and its last node is
the output: `EdgeSearchCell` and `EdgeCell`. They keep the size, and a `ResidualReduction` halves
it between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import keras
import tensorflow as tf

from darts_tf.layers.graph_sharing import Shared
from darts_tf.layers.mixed_op import MixedOp, PrunedMixedOp
from darts_tf.layers.normalization import tracking
from darts_tf.layers.primitives import (
    PRIMITIVES,
    FactorizedReduce,
    Identity,
    NormalizedConv,
    ReLUConvBN,
    Zero,
    views,
)
from darts_tf.ops.convolution import conv2d
from darts_tf.ops.images import add_kernel, joined, relu, shuffle, strided
from darts_tf.ops.pooling import avg_halve
from darts_tf.runtime import switches
from darts_tf.spaces.cell import INPUTS
from darts_tf.spaces.genotype import EdgeGenotype, Genotype


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


class _MixedCell(keras.layers.Layer):
    """Base class of the cells of a supernet: every node adds up mixed edges from earlier states.

    Args:
        channels: channels of every state.
        kind: index of the kind of cell in `space.candidates`.
        space: the search space, which has the nodes and the candidates on every edge.
        partial: see `MixedOp`.
        shared: graphs of mixed operations to share with other cells; None to share none.
        strides: strides of the edges that leave each state; 1 for states after them.

    Attributes:
        kind: as in the arguments; cells of a kind share their alphas.
    """

    def __init__(self, channels, kind, space, partial, shared, strides=()):
        super().__init__(autocast=False)  # the alphas stay in float32
        self.channels = channels
        self.kind = kind
        self.nodes = space.nodes
        self.partial = partial
        self.shared = shared or Shared()
        self.rows = space.rows
        sources = range(space.inputs + space.nodes - 1)
        strides = (*strides, *[1] * (len(sources) - len(strides)))
        self.mixed = [self._mixed_op(source, strides[source], kind, space) for source in sources]

    def _mixed_op(self, source, stride, kind, space):
        leaving = [self.rows[edge] for edge in sorted(self.rows) if edge[0] == source]
        settings = (self.partial, space.normalized_pools)
        if space.primitives:
            return MixedOp(self.channels, stride, len(leaving), space.primitives, *settings)
        theirs = tuple(space.candidates[kind][row] for row in leaving)
        return PrunedMixedOp(self.channels, stride, theirs, *settings)

    def _build_edges(self):
        for mixed in self.mixed:
            mixed.build((None, None, None, self.channels))

    def _states(self, states, weights, edge_weights, training, op_dropout):
        """Returns all states, the given ones of the inputs first; see `SearchCell.call`."""
        states, weights = list(states), _offset(self, weights)
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
        return states

    def _node(self, arriving):
        """Adds the edges of a node; with partial channels, shuffles the sum's channels."""
        total = tf.add_n(arriving)
        return shuffle(total, self.partial) if self.partial > 1 else total


class SearchCell(_MixedCell):
    """Cell of the supernet of DARTS.

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
        space.check_genotypes(Genotype)
        strides = (2 if reduction else 1,) * INPUTS
        super().__init__(channels, int(reduction), space, partial, shared, strides)
        self.reduction = reduction
        self.preprocess0 = preprocess(channels, reduction_previous, affine=False)
        self.preprocess1 = preprocess(channels, False, affine=False)

    def build(self, s0_shape, s1_shape):
        """Builds the parts for inputs of these shapes; a second call only notes the shapes."""
        if self.built:
            return
        self.preprocess0.build(s0_shape)
        self.preprocess1.build(s1_shape)
        self._build_edges()

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
        inputs = _preprocessed(self, s0, s1, training)
        states = self._states(inputs, weights, edge_weights, training, op_dropout)
        return joined(states[INPUTS:])


class EdgeSearchCell(_MixedCell):
    """Cell of the supernet of NAS-Bench-201.

    Args:
        channels: channels of the input, of every state and of the output.
        space: the search space, which has the nodes and the candidates on every edge.
        partial: see `MixedOp`.
        shared: graphs of mixed operations to share with other cells; None to share none.

    Raises:
        InputError: a space of another topology than these cells have.
    """

    def __init__(self, channels, space, partial=1, shared=None):
        space.check_genotypes(EdgeGenotype)
        super().__init__(channels, 0, space, partial, shared)

    def build(self, input_shape):
        """Builds the edges; a second call only notes the shape."""
        if not self.built:
            self._build_edges()

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output, that of the input."""
        return input_shape

    def call(self, x, weights, edge_weights=None, training=False, op_dropout=None):
        """Maps `(batch, height, width, channels)` to the same shape; see `SearchCell.call`."""
        return self._states([x], weights, edge_weights, training, op_dropout)[-1]


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

    @property
    def blocks(self) -> list[keras.layers.Layer]:
        """The layers that may have normalisations."""
        return [self.preprocess0, self.preprocess1, *self.ops]

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


class EdgeCell(keras.layers.Layer):
    """Discrete cell of NAS-Bench-201: every node adds one operation from each earlier state.

    Args:
        edges: `(operation, source, target)` of every edge, see `genotype.DiscreteCell`.
        channels: channels of the input, of every state and of the output.

    Attributes:
        droppable: indices of the edges whose outputs drop path may drop: all but identities and
            edges with `none`.
    """

    def __init__(self, edges, channels):
        super().__init__()
        self.edges = edges
        self.channels = channels
        self.ops = [PRIMITIVES[name](channels, 1, True) for name, *_ in edges]
        absent = (Identity, Zero)
        self.droppable = [i for i, op in enumerate(self.ops) if not isinstance(op, absent)]

    @property
    def blocks(self) -> list[keras.layers.Layer]:
        """The layers that may have normalisations."""
        return list(self.ops)

    def build(self, input_shape):
        """Builds the operations; a second call only notes the shape."""
        if not self.built:
            for op in self.ops:
                op.build((None, None, None, self.channels))

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output, that of the input."""
        return input_shape

    def call(self, x, *drop_path, training=False):
        """Maps `(batch, height, width, channels)` to the same shape.

        Args:
            x: output of the layer before.
            *drop_path: factors `(batch, 1, 1, 1)` of the outputs of the operations at `droppable`,
                or no arguments for no drop path.
            training: True if the normalisations use the batch's statistics.
        """
        factors = dict(zip(self.droppable, drop_path, strict=True)) if drop_path else {}
        arriving = {target: [] for *_, target in self.edges}
        state_views = {0: views(x)}
        y = x
        for i, ((_, source, target), op) in enumerate(zip(self.edges, self.ops, strict=True)):
            if not isinstance(op, Zero):
                y = op(state_views[source][op.reads], training=training)
                arriving[target].append(y * factors[i] if i in factors else y)
            if source == target - 1:  # the last edge of the node
                y = tf.add_n(arriving[target]) if arriving[target] else tf.zeros_like(x)
                state_views[target] = views(y)
        return y


class ResidualReduction(keras.layers.Layer):
    """Residual block that halves the size: two 3x3 convolutions, beside a mean and a 1x1 one.

    Dong and Yang 2020, section 2.1. `relu-conv3x3-bn` of stride 2 and of stride 1, added to a 2x2
    mean with a 1x1 convolution.

    Args:
        channels: channels of the output.
    """

    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        self.first = NormalizedConv(channels, 2, kernel_size=3)
        self.second = NormalizedConv(channels, 1, kernel_size=3)

    @property
    def blocks(self) -> list[keras.layers.Layer]:
        """The layers that may have normalisations."""
        return [self.first, self.second]

    def build(self, input_shape):
        """Creates kernels and normalisations; a second call only notes the shape."""
        if self.built:
            return
        self.first.build(input_shape)
        self.second.build((None, None, None, self.channels))
        self.shortcut = add_kernel(self, 1, input_shape[-1], self.channels, "shortcut")

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return strided(input_shape, 2, self.channels)

    def call(self, x, training=False):
        """Maps `(batch, height, width, any)` to half the height and width, rounded up."""
        y = self.first(relu(x), training=training)
        y = self.second(relu(y), training=training)
        return y + conv2d(avg_halve(x), self.shortcut, 1, "VALID")
