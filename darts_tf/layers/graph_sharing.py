"""Graph sharing: one graph for all layers of a kind.

A supernet has dozens of layers that differ only in the values of their variables. Traced one by
one, in every pass over every batch, they make a graph of a hundred thousand operations that takes
minutes to build. Here a kind of layer is traced once, as three functions of its inputs and
variables: forward, backward, and the derivative of backward. Every layer of the kind calls them in
every pass.
"""

from __future__ import annotations

import contextlib

import keras
import tensorflow as tf

from darts_tf.layers.normalization import synchronized, tracked_statistics
from darts_tf.ops.autodiff import custom_gradient, recording, replaying, weights_fixed_from
from darts_tf.ops.constants import filled


class Shared:
    """Caller of layers in training, with one graph per kind of layer.

    Layers with equal `kind` have the same graph. They take tensors and return a tensor or a list
    of tensors. Results may be differentiated twice with respect to inputs and trainable variables.
    """

    def __init__(self):
        self._kinds = {}

    def __call__(self, layer: keras.layers.Layer, *inputs: tf.Tensor, track: bool, **fixed):
        """Returns the results of `layer(*inputs, training=True, **fixed)` as a list.

        Args:
            layer: a built layer with a `kind`.
            *inputs: inputs of the layer.
            track: True to update the layer's non-trainable variables, such as running statistics.
            **fixed: tensors without a gradient.
        """
        if synchronized():  # replicas can communicate only outside functions that they call
            with tracked_statistics(track):
                return tf.nest.flatten(layer(*inputs, training=True, **fixed))
        frozen = any(not part.trainable for part in layer._flatten_layers())
        key = layer.kind, frozen
        if key not in self._kinds:
            self._kinds[key] = _Kind(layer, frozen)
        return self._kinds[key](layer, inputs, track, fixed)

    def functions(self) -> list:
        """Returns all concrete functions traced so far, for inspection."""
        return [
            concrete
            for kind in self._kinds.values()
            for function in (kind._forward, kind._backward, kind._second)
            for concrete in function._list_all_concrete_functions()
        ]


class _Kind:
    """Functions of one kind of layer, traced from the layer `template`.

    Running statistics are read only if they are updated, or if a `frozen` normalisation uses them.
    Seed states are always read, so that all passes of a step use the same random numbers.
    """

    def __init__(self, template: keras.layers.Layer, frozen: bool):
        self.template = template
        self.frozen = frozen
        settings = {"autograph": False, "experimental_attributes": {"_noinline": True}}
        self._forward, self._backward, self._second = (
            tf.function(function, **settings)
            for function in (self._trace_forward, self._trace_backward, self._trace_second)
        )

    def __call__(self, layer, inputs, track, fixed):
        """Calls the layer; see `Shared`."""
        weights = [tf.convert_to_tensor(v) for v in layer.trainable_variables]
        moved = layer.non_trainable_variables
        reads = track or self.frozen
        held = [
            tf.convert_to_tensor(v) if reads or not _is_float(v) else filled(0.0, v.shape, v.dtype)
            for v in moved
        ]
        held = held, fixed
        count, fixed_from, assigned = len(inputs), weights_fixed_from(), []
        # traced outside `forward`, see custom_gradient
        self._forward.get_concrete_function(inputs, tuple(weights), held)

        @custom_gradient
        def forward(*arguments):
            inputs, weights = arguments[:count], arguments[count:]
            outputs, updates, kept = self._forward(inputs, weights, held)
            assigned.extend(updates)

            def gradient(*upstreams):
                return self._gradient(inputs, weights, held, kept, upstreams, fixed_from)

            return outputs, gradient

        outputs = forward(*inputs, *weights)
        if track:
            for variable, value in zip(moved, assigned, strict=True):
                variable.assign(value)
        return outputs

    def _gradient(self, inputs, weights, held, kept, upstreams, fixed_from):
        """Returns the gradients for inputs and weights, which are differentiable themselves."""
        n, m = len(inputs), len(inputs) + len(weights)
        along = {"along_weights": fixed_from > 1}
        self._backward.get_concrete_function(inputs, weights, held, kept, upstreams, **along)

        @custom_gradient
        def backward(*arguments):
            parts = arguments[:n], arguments[n:m], held, kept, arguments[m:]
            gradients, kept_too = self._backward(*parts, **along)

            def gradient(*directions):
                return self._second(*parts, kept_too, directions, along_weights=fixed_from > 2)

            return gradients, gradient

        gradients = backward(*inputs, *weights, *upstreams)
        return gradients if fixed_from > 1 else [*gradients, *[None] * len(weights)]

    def _run(self, inputs, weights, held, track):
        """Calls the template with other values; returns outputs and its variables' new values."""
        layer, (statistics, fixed) = self.template, held
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        mapping = list(zip(variables, [*weights, *statistics], strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope, tracked_statistics(track):
            outputs = tf.nest.flatten(layer(*inputs, training=True, **fixed))
        return outputs, [scope.get_current_value(v) for v in layer.non_trainable_variables]

    def _trace_forward(self, inputs, weights, held):
        with recording() as kept:
            outputs, updates = self._run(inputs, weights, held, track=True)
        return outputs, updates, kept

    def _trace_backward(self, inputs, weights, held, kept, upstreams, along_weights):
        with recording() as kept_too:
            gradients = self._differentiated(inputs, weights, held, kept, upstreams, along_weights)
        return gradients, kept_too if along_weights else []

    def _trace_second(
        self, inputs, weights, held, kept, upstreams, kept_too, directions, along_weights
    ):
        """Returns the derivative of Σ directions · gradients for all that the gradients read."""
        sources = [*inputs, *(weights if along_weights else ()), *upstreams]
        first_along_weights = len(directions) > len(inputs)  # otherwise nothing was kept
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            with replaying(kept_too) if first_along_weights else contextlib.nullcontext():
                gradients = self._differentiated(
                    inputs, weights, held, kept, upstreams, first_along_weights
                )
        derivatives = tape.gradient(
            gradients,
            sources,
            output_gradients=directions,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        if along_weights:
            return derivatives
        n = len(inputs)
        return [*derivatives[:n], *[None] * len(weights), *derivatives[n:]]

    def _differentiated(self, inputs, weights, held, kept, upstreams, along_weights):
        """Returns the gradients for inputs and, with `along_weights`, for weights."""
        sources = [*inputs, *(weights if along_weights else ())]
        with tf.GradientTape(watch_accessed_variables=False) as tape, replaying(kept):
            tape.watch(sources)
            outputs, _ = self._run(inputs, weights, held, track=False)
        return tape.gradient(
            outputs,
            sources,
            output_gradients=upstreams,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )


def _is_float(variable: keras.Variable) -> bool:
    return tf.as_dtype(variable.dtype).is_floating
