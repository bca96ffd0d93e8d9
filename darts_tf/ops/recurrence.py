"""A twice differentiable recurrence that keeps only its states and selected results in memory.

TensorFlow's own gradient of a loop keeps everything that a step computes, and the gradient of that
gradient keeps it twice more. Here every pass over time is its own loop: forward, backward, and the
derivative of backward. The later passes compute each step again from the state before it, reusing
the results that the step kept in the forward pass (see `autodiff.keep`), e.g. matrix products.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow.python.eager import record

from darts_tf.ops.autodiff import custom_gradient, recording, replaying, weights_fixed_from

KEPT = "kept"
"""Graph collection of the dtypes and static shapes of kept tensors, which arrays lose."""


class Recurrence:
    """Repeats `step(x, state, weights, alphas, fixed) -> (state, statistics)` over time.

    The step is a pure function of tensors: `x` `(batch, ...)`, `state` `(batch, units)`, the lists
    `weights` and `alphas`, and `fixed`, any structure. Tensors in `fixed` and the statistics, a
    list, get no gradient. Results may be differentiated twice with respect to everything else.
    `weights_fixed` counts the sequence among the weights.
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
        """Runs the step over time.

        Args:
            sequence: inputs `x` of the steps, `(time, batch, ...)`.
            state: state before the first step, `(batch, units)`.
            weights: passed to the step.
            alphas: passed to the step.
            fixed: passed to the step.

        Returns:
            The states after each step, `(time, batch, units)`, and the statistics of all steps, a
            list of tensors whose first axis is time.
        """
        count, fixed_from = len(weights), weights_fixed_from()
        statistics, second = [], []
        if not record.should_record_backprop(list(alphas)):  # no tape asks for their gradient
            alphas, fixed = (), (tuple(alphas), fixed)
        else:
            fixed = (), fixed
        parts = sequence, state, tuple(weights), tuple(alphas)
        keeps = record.should_record_backprop(tf.nest.flatten(parts))
        # traced outside `forward`, see custom_gradient
        traced = self._forward.get_concrete_function(*parts, fixed, keeps)
        types = tuple(traced.graph.get_collection(KEPT))

        @custom_gradient
        def forward(*arguments):
            sequence, state, weights, alphas = parts = _parted(arguments, count)
            states, step_statistics, kept = self._forward(*parts, fixed, keeps)
            statistics.extend(step_statistics)

            def gradient(upstream):
                # an upstream from the derivative of the first gradient is of second order
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
        """Calls the step; alphas without a gradient are in `fixed`."""
        constant, fixed = fixed
        return self.step(x, state, weights, alphas or constant, fixed)

    def _gradient(self, upstream, parts, fixed, kept, along, second_along, second):
        """Returns the gradients for `_sources`, which are differentiable themselves."""
        count = len(parts[2])
        self._backward.get_concrete_function(upstream, *parts, fixed, kept, along)

        @custom_gradient
        def backward(upstream, *arguments):
            parts = _parted(arguments, count)
            gradients, totals = self._backward(upstream, *parts, fixed, kept, along)

            def gradient(*directions):
                second.append(True)
                settings = (fixed, kept, along, second_along)
                of_upstream, *of_parts = self._second(totals, *parts, directions, *settings)
                return [of_upstream, *_completed(of_parts, parts, second_along)]

            return gradients, gradient

        return backward(upstream, *parts[0:2], *parts[2], *parts[3])

    def _trace_forward(self, sequence, state, weights, alphas, fixed, keeps):
        """Returns states, statistics, and an array over time for each result to keep."""
        time = tf.shape(sequence)[0]

        def step(x, state):
            with recording() as kept:
                after, statistics = self._step(x, state, weights, alphas, fixed)
            after.set_shape(state.shape)
            return after, [after, *statistics], tf.nest.flatten(kept) if keeps else []

        def body(t, state, *arrays):
            state, *rows = step(sequence[t], state)
            return t + 1, state, *map(functools.partial(_written, t), arrays, rows)

        _, *like = step(sequence[0], state)  # only for dtypes and shapes: the graph prunes it
        arrays = [_arrays(time, rows) for rows in like]
        _, _, rows, kept = _loop(time, body, (0, state, *arrays))
        states, *statistics = [array.stack() for array in rows]  # `kept` stays: stacking copies
        for row in like[1]:
            row.graph.add_to_collection(KEPT, (row.dtype.name, tuple(row.shape)))
        return states, statistics, [array.flow for array in kept]

    def _trace_backward(self, upstream, sequence, earlier, weights, alphas, fixed, kept, along):
        """Returns the gradients for `_sources`, and the total upstream of each step's result."""
        time = tf.shape(sequence)[0]
        rows, sums = _like(sequence, weights, alphas, along)

        def body(i, arriving, sums, arrays):
            t = time - 1 - i
            total = upstream[t] + arriving
            leaving, *gradients = self._products(
                total, sequence[t], earlier[t], weights, alphas, fixed, _read(t, kept), along
            )
            of_x, of_rest = gradients[: len(rows)], gradients[len(rows) :]
            return i + 1, leaving, _added(sums, of_rest), _written(t, arrays, [total, *of_x])

        state = (0, tf.zeros_like(earlier[0]), sums, _arrays(time, [upstream[0], *rows]))
        _, first, sums, arrays = _loop(time, body, state)
        totals, *of_sequence = [array.stack() for array in arrays]
        return [first, *of_sequence, *sums], totals

    def _trace_second(
        self, totals, sequence, earlier, weights, alphas, directions, fixed, kept, along, after
    ):
        """Returns the derivative of Σ directions · gradients for all that the gradients read."""
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
            derivatives = _derivatives(tape, products, sources, at)
            of_rows, of_sums = derivatives[: len(rows)], derivatives[len(rows) :]
            return t + 1, of_rows[0], _added(sums, of_sums), _written(t, arrays, of_rows)

        state = (0, first, sums, _arrays(time, rows))
        *_, sums, arrays = _loop(time, body, state)
        return [*(array.stack() for array in arrays), *sums]

    def _products(self, total, x, state, weights, alphas, fixed, kept, along):
        """Returns a step's vector-Jacobian products, from its result to its `_sources`."""
        sources = _sources(x, state, weights, alphas, along)
        with tf.GradientTape(watch_accessed_variables=False) as tape, replaying(kept):
            tape.watch(sources)
            result, _ = self._step(x, state, weights, alphas, fixed)
        return _derivatives(tape, result, sources, total)


def _wanted(fixed_from: int, order: int) -> tuple[bool, bool]:
    """Returns two flags: take derivatives of this order for weights, and for alphas.

    If weights are fixed from the second order on, the first derivative is for weights only.
    """
    along_weights = fixed_from > order
    return along_weights, not (along_weights and fixed_from == 2)


def _sources(x, state, weights, alphas, along):
    """Returns the tensors that a step is differentiated by: the state, then those `_wanted`."""
    return [state, *([x, *weights] if along[0] else []), *(alphas if along[1] else [])]


def _like(sequence, weights, alphas, along):
    """Returns the `_sources` with a gradient per step, and zeros to sum the other gradients in.

    The state is not among them.
    """
    rows = [sequence[0]] if along[0] else []
    return rows, _zeros([*(weights if along[0] else []), *(alphas if along[1] else [])])


def _completed(gradients, parts, along):
    """Orders gradients for `_sources` as `_parted` does, with None for missing ones."""
    _, _, weights, alphas = parts
    state, *rest = gradients
    if not along[0]:
        rest = [None, *[None] * len(weights), *rest]
    if not along[1]:
        rest = [*rest, *[None] * len(alphas)]
    return [rest[0], state, *rest[1:]]


def _parted(arguments, count):
    """Divides a flat list into the sequence, the state(s), `count` weights, and the alphas."""
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
    """Loops one step at a time: overlapping steps would each need their own memory."""
    return tf.while_loop(lambda i, *_: i < time, body, state, parallel_iterations=1)


def _arrays(time, like):
    """Returns an array over time for each of these rows."""
    return [tf.TensorArray(row.dtype, time, element_shape=row.shape) for row in like]


def _written(t, arrays, rows):
    return [array.write(t, row) for array, row in zip(arrays, rows, strict=True)]


def _read(t, kept):
    """Returns the results kept from step `t`, in the form that `replaying` takes."""
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
