"""A step repeated over time, twice differentiable, that keeps its states and what it chooses.

Differentiated as they are, loops keep everything that a step computes for the gradient, and for the
gradient of the gradient twice more. Here every pass over time is a loop of its own: forward,
backward, and the derivative of backward. Each goes through the step again from the state before it,
with what the step kept on the way forward (see `keeping`), such as its products of matrices.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow.python.eager import record

from darts_tf.ops.autodiff import custom_gradient, recording, replaying, weights_fixed_from

KEPT = "kept"
"""Where a graph has types and shapes of what it keeps: arrays lose both on their way through it."""


class Recurrence:
    """Repeats `step(x, state, weights, alphas, fixed) -> (state, statistics)` over time.

    The step is a pure function of tensors: `x` `(batch, ...)`, `state` `(batch, units)`, `weights`
    and `alphas`, two lists, and `fixed`, anything. What is in `fixed` gets no gradient, nor do the
    statistics, a list. Results may be differentiated twice along all else; `weights_fixed` counts
    what is read over time among the weights.
    """

    def __init__(self, step: Callable):
        self.step = step
        self._forward, self._backward, self._second = (
            tf.function(function, autograph=False)
            for function in (self._trace_forward, self._trace_backward, self._trace_second)
        )

    def __call__(
        self,
        sequence: tf.Tensor,
        state: tf.Tensor,
        weights: Sequence[tf.Tensor],
        alphas: Sequence[tf.Tensor] = (),
        fixed=(),
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The states after each step, and the steps' statistics.

        Args:
            sequence: `(time, batch, ...)`, what the steps read.
            state: `(batch, units)`, before the first.
            weights: as the step takes them.
            alphas: as the step takes them.
            fixed: as the step takes it.

        Returns:
            `(time, batch, units)`, and a list of tensors whose first axis is time.
        """
        count, fixed_from = len(weights), weights_fixed_from()
        statistics, second = [], []
        if not record.should_record_backprop(list(alphas)):  # a gradient that nobody asks for
            alphas, fixed = (), (tuple(alphas), fixed)
        else:
            fixed = (), fixed
        parts = sequence, state, tuple(weights), tuple(alphas)
        keeps = record.should_record_backprop(tf.nest.flatten(parts))
        traced = self._forward.get_concrete_function(*parts, fixed, keeps)  # see custom_gradient
        types = tuple(traced.graph.get_collection(KEPT))

        @custom_gradient
        def forward(*arguments):
            sequence, state, weights, alphas = parts = _parted(arguments, count)
            states, found, kept = self._forward(*parts, fixed, keeps)
            statistics.extend(found)

            def gradient(upstream):
                # what the derivative of the first gradient sends here is of second order
                along = _wanted(fixed_from, order=2 if second else 1)
                earlier = tf.concat([state[None], states[:-1]], 0)
                parts = sequence, earlier, weights, alphas
                after = _wanted(fixed_from, order=2)
                settings = fixed, (kept, types), along, after, second
                gradients = self._gradient(upstream, parts, *settings)
                return _completed(gradients, parts, along)

            return states, gradient

        return forward(sequence, state, *weights, *alphas), statistics

    def _step(self, x, state, weights, alphas, fixed):
        """The step; alphas without a gradient are in `fixed`."""
        constant, fixed = fixed
        return self.step(x, state, weights, alphas or constant, fixed)

    def _gradient(self, upstream, parts, fixed, kept, along, second_along, second):
        """Gradients along what `_sources` gives, themselves differentiable."""
        count = len(parts[2])
        self._backward.get_concrete_function(upstream, *parts, fixed, kept, along)

        @custom_gradient
        def backward(upstream, *arguments):
            parts = _parted(arguments, count)
            gradients, totals = self._backward(upstream, *parts, fixed, kept, along)

            def gradient(*directions):
                second.append(True)
                settings = (fixed, kept, along, second_along)
                of_upstream, *found = self._second(totals, *parts, directions, *settings)
                return [of_upstream, *_completed(found, parts, second_along)]

            return gradients, gradient

        return backward(upstream, *parts[0:2], *parts[2], *parts[3])

    def _trace_forward(self, sequence, state, weights, alphas, fixed, keeps):
        """States, statistics, and an array over time for each result to keep."""
        time = tf.shape(sequence)[0]

        def step(x, state):
            with recording() as kept:
                after, found = self._step(x, state, weights, alphas, fixed)
            after.set_shape(state.shape)
            return after, [after, *found], tf.nest.flatten(kept) if keeps else []

        def body(t, state, *arrays):
            state, *rows = step(sequence[t], state)
            return t + 1, state, *map(functools.partial(_written, t), arrays, rows)

        _, *like = step(sequence[0], state)  # pruned, but for its types
        arrays = [_arrays(time, rows) for rows in like]
        _, _, rows, kept = _loop(time, body, (0, state, *arrays))
        states, *statistics = [array.stack() for array in rows]  # but stacking copies: not `kept`
        for row in like[1]:
            row.graph.add_to_collection(KEPT, (row.dtype.name, tuple(row.shape)))
        return states, statistics, [array.flow for array in kept]

    def _trace_backward(self, upstream, sequence, earlier, weights, alphas, fixed, kept, along):
        """Gradients along what `_sources` gives, and what arrives at each step's result."""
        time = tf.shape(sequence)[0]
        rows, sums = _like(sequence, weights, alphas, along)

        def body(i, arriving, sums, arrays):
            t = time - 1 - i
            total = upstream[t] + arriving
            leaving, *found = self._products(
                total, sequence[t], earlier[t], weights, alphas, fixed, _read(t, kept), along
            )
            of_x, found = found[: len(rows)], found[len(rows) :]
            return i + 1, leaving, _added(sums, found), _written(t, arrays, [total, *of_x])

        state = (0, tf.zeros_like(earlier[0]), sums, _arrays(time, [upstream[0], *rows]))
        _, first, sums, arrays = _loop(time, body, state)
        totals, *of_sequence = [array.stack() for array in arrays]
        return [first, *of_sequence, *sums], totals

    def _trace_second(
        self, totals, sequence, earlier, weights, alphas, directions, fixed, kept, along, after
    ):
        """What the gradients, multiplied by `directions`, send to all that they depend on."""
        time = tf.shape(sequence)[0]
        first, *directions = directions
        of_sequence, of_rest = directions[: along[0]], directions[along[0] :]
        rows, sums = _like(sequence, weights, alphas, after)
        rows = [totals[0], earlier[0], *rows]

        def body(t, direction, sums, arrays):
            total, parts = totals[t], (sequence[t], earlier[t], weights, alphas)
            sources = [total, *_sources(*parts, after)]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                products = self._products(total, *parts, fixed, _read(t, kept), along)
            at = [direction, *(d[t] for d in of_sequence), *of_rest]
            found = _derivatives(tape, products, sources, at)
            of_rows, found = found[: len(rows)], found[len(rows) :]
            return t + 1, of_rows[0], _added(sums, found), _written(t, arrays, of_rows)

        state = (0, first, sums, _arrays(time, rows))
        *_, sums, arrays = _loop(time, body, state)
        return [*(array.stack() for array in arrays), *sums]

    def _products(self, total, x, state, weights, alphas, fixed, kept, along):
        """A step's derivative from its result back to its `_sources`."""
        sources = _sources(x, state, weights, alphas, along)
        with tf.GradientTape(watch_accessed_variables=False) as tape, replaying(kept):
            tape.watch(sources)
            result, _ = self._step(x, state, weights, alphas, fixed)
        return _derivatives(tape, result, sources, total)


def _wanted(fixed_from: int, order: int) -> tuple[bool, bool]:
    """Whether derivatives of an order are taken along weights, and along alphas.

    Where weights are fixed from the second order on, the first derivative is along them alone.
    """
    along_weights = fixed_from > order
    return along_weights, not (along_weights and fixed_from == 2)


def _sources(x, state, weights, alphas, along):
    """What a step is differentiated along: the state, and what `_wanted` says of the rest."""
    return [state, *([x, *weights] if along[0] else []), *(alphas if along[1] else [])]


def _like(sequence, weights, alphas, along):
    """Of `_sources` after the state: those of each step, and zeros to add the others up."""
    rows = [sequence[0]] if along[0] else []
    return rows, _zeros([*(weights if along[0] else []), *(alphas if along[1] else [])])


def _completed(gradients, parts, along):
    """Gradients along `_sources` in the order of `_parted`, with None where there are none."""
    _, _, weights, alphas = parts
    state, *rest = gradients
    if not along[0]:
        rest = [None, *[None] * len(weights), *rest]
    if not along[1]:
        rest = [*rest, *[None] * len(alphas)]
    return [rest[0], state, *rest[1:]]


def _parted(arguments, count):
    """What is read over time, the state or states, `count` weights, and the alphas."""
    sequence, state, *rest = arguments
    return sequence, state, tuple(rest[:count]), tuple(rest[count:])


def _derivatives(tape, target, sources, upstream):
    return tape.gradient(
        target,
        sources,
        output_gradients=upstream,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )


def _loop(time, body, state):
    """A step after the other: where steps overlap, each needs memory of its own."""
    return tf.while_loop(lambda i, *_: i < time, body, state, parallel_iterations=1)


def _arrays(time, like):
    """One array over time for each of these rows."""
    return [tf.TensorArray(row.dtype, time, element_shape=row.shape) for row in like]


def _written(t, arrays, rows):
    return [array.write(t, row) for array, row in zip(arrays, rows, strict=True)]


def _read(t, kept):
    """What was kept of a step, as `replaying` takes it."""
    return [[_row(t, array, *type)] for array, type in zip(*kept, strict=True)]


def _row(t, array, dtype, shape):
    sizes = [-1 if size is None else size for size in shape]
    row = tf.raw_ops.TensorListGetItem(
        input_handle=array, index=t, element_shape=sizes, element_dtype=dtype
    )
    return tf.ensure_shape(row, shape)


def _zeros(tensors):
    return [tf.zeros_like(tensor) for tensor in tensors]


def _added(first, second):
    return [a + b for a, b in zip(first, second, strict=True)]
