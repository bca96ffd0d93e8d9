"""Functions of two tensors that are linear in each: products, convolutions."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from darts_tf.ops.autodiff import custom_gradient, keep


def bilinear(*partials: Callable, worth_keeping: bool = False) -> Callable:
    """A bilinear function with its derivatives of all orders.

    Of a product c = p(a, b), what an upstream c sends to a is bilinear in b and c, and what it
    sends to b is in c and a: the three are the partial derivatives of one trilinear form. So they
    are each other's gradients, and no order needs a further function.

    Args:
        *partials: c of (a, b), a of (b, c) and b of (c, a).
        worth_keeping: see `keeping`.

    Returns:
        The first of them, differentiable.
    """
    shapes = [None] * 3  # of a, b and c: a graph forgets some on its way through gradients

    def differentiable(i):
        places = [i, (i + 1) % 3, (i + 2) % 3]

        @custom_gradient
        def function(first, second):
            def gradient(third):
                along_first, along_second = functions[places[1]], functions[places[2]]
                return along_first(second, third), along_second(third, first)

            for place, tensor in zip(places[:2], (first, second), strict=True):
                shapes[place] = shapes[place] or tensor.shape
                tensor.set_shape(shapes[place])
            if i == 0 and worth_keeping:
                (result,) = keep(lambda: [partials[0](first, second)])
            else:
                result = partials[i](first, second)
            shapes[places[2]] = shapes[places[2]] or result.shape
            result.set_shape(shapes[places[2]])
            return result, gradient

        return function

    functions: list[Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = [
        differentiable(i) for i in range(3)
    ]
    return functions[0]
