"""XLA compilation of pure tensor functions and their first and second derivatives."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from darts_tf.ops.autodiff import custom_gradient


def compiled(function: Callable) -> Callable:
    """Compiles a smooth function and each of its two derivatives into one operation.

    Uncompiled, every elementwise operation takes a pass over memory, and each derivative needs
    three times as many operations. Compiled, each order is one pass.

    Args:
        function: a pure function of tensors that returns one tensor. XLA compiles it once for
            every combination of shapes and dtypes of its arguments.

    Returns:
        A function of the same arguments, twice differentiable with respect to all of them.
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
            # traced outside `along`, see custom_gradient
            gradients.get_concrete_function(upstream, *arguments)
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
