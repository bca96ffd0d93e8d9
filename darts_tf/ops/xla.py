"""Pure functions of tensors, compiled as a whole with the derivatives of two orders."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from darts_tf.ops.autodiff import custom_gradient


def compiled(function: Callable) -> Callable:
    """As a smooth function of tensors that gives one tensor, each order one operation.

    What happens number by number costs a pass over memory an operation, and thrice as many
    operations with each derivative. Compiled it is one pass.

    Args:
        function: pure; XLA compiles it once for every shape and type of its arguments.

    Returns:
        A function of the same arguments, twice differentiable along all.
    """

    def first(upstream, *arguments):
        return _derivatives(function, arguments, upstream)

    def second(directions, *arguments):
        return _derivatives(first, arguments, directions)

    value, gradients, products = (
        tf.function(order, autograph=False, jit_compile=True) for order in (function, first, second)
    )

    @custom_gradient
    def differentiable(*arguments):
        def gradient(upstream):
            gradients.get_concrete_function(upstream, *arguments)  # see custom_gradient
            return along(upstream, *arguments)

        return value(*arguments), gradient

    @custom_gradient
    def along(*arguments):
        return gradients(*arguments), lambda *directions: products(directions, *arguments)

    return differentiable


def _derivatives(function, sources, upstream):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        result = function(*sources)
    return tape.gradient(
        result,
        sources,
        output_gradients=upstream,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
