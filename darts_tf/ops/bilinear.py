"""Functions of two tensors that are linear in each, such as matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from darts_tf.ops.autodiff import custom_gradient, keep


def bilinear(*partials: Callable, worth_keeping: bool = False) -> Callable:
    """Makes a bilinear function with derivatives of all orders.

    Let c = p(a, b). The gradient that an upstream c gives for a is bilinear in b and c, the one
    for b is bilinear in c and a. The three functions are the partial derivatives of one trilinear
    form, so they are each other's gradients and no order needs another function.

    Args:
        *partials: the functions (a, b) -> c, (b, c) -> a and (c, a) -> b.
        worth_keeping: if True, the result goes through `autodiff.keep`, so that a recurrence need
            not compute it again.

    Returns:
        The first of the functions, differentiable.
    """
    shapes = [None] * 3  # of a, b and c: gradients in a graph lose some static shapes

    def differentiable(i):
        positions = [i, (i + 1) % 3, (i + 2) % 3]

        @custom_gradient
        def function(first, second):
            def gradient(third):
                along_first, along_second = functions[positions[1]], functions[positions[2]]
                return along_first(second, third), along_second(third, first)

            for position, tensor in zip(positions[:2], (first, second), strict=True):
                shapes[position] = shapes[position] or tensor.shape
                tensor.set_shape(shapes[position])
            if i == 0 and worth_keeping:
                (result,) = keep(lambda: [partials[0](first, second)])
            else:
                result = partials[i](first, second)
            shapes[positions[2]] = shapes[positions[2]] or result.shape
            result.set_shape(shapes[positions[2]])
            return result, gradient

        return function

    functions: list[Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = [
        differentiable(i) for i in range(3)
    ]
    return functions[0]
