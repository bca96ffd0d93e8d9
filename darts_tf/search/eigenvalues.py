"""The dominant eigenvalue of the validation loss's Hessian along the alphas (Zela et al. 2020).

It is the largest eigenvalue of ∇²α L_valid(w, α), with fixed w and batch, and all alphas as one
vector, as in Robust DARTS: without a virtual step, and without the weight decay of the alphas. The
Hessian itself is never built; its products with vectors are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from darts_tf.ops.autodiff import weights_fixed


def hessian_product(loss: Callable, alphas: Sequence, direction: Sequence) -> list[tf.Tensor]:
    """Returns ∇²α L · v, by nested tapes.

    Args:
        loss: function `loss(alphas)` that returns a scalar.
        alphas: list of tensors, the point at which the Hessian is taken.
        direction: v, a list of tensors of the same shapes.

    Returns:
        A list of tensors of the same shapes.
    """
    zero = tf.UnconnectedGradients.ZERO
    with tf.GradientTape(watch_accessed_variables=False) as outer, weights_fixed(1):
        outer.watch(alphas)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(alphas)
            value = loss(alphas)
        gradients = inner.gradient(value, alphas, unconnected_gradients=zero)
    directions = list(direction)
    return outer.gradient(gradients, alphas, directions, unconnected_gradients=zero)


def hessian_products(
    loss: Callable, variables: Sequence, inputs: Callable[[], Sequence] = tuple
) -> Callable:
    """Returns a function that multiplies a vector by the Hessian ∇²α L.

    It takes all alphas as one vector and reads the variables' values in every call. It is traced
    once, in the first call.

    Args:
        loss: function `loss(alphas, *inputs)` that returns a scalar.
        variables: the alphas.
        inputs: returns further tensors that `loss` depends on, of equal shapes in every call.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    @tf.function(autograph=False)
    def traced(direction, inputs):
        alphas = [tf.convert_to_tensor(v) for v in variables]
        return hessian_product(lambda alphas: loss(alphas, *inputs), alphas, direction)

    def product(vector: np.ndarray) -> np.ndarray:
        parts = zip(np.split(vector, ends[:-1]), shapes, variables, strict=True)
        direction = [tf.constant(p.reshape(s), v.dtype) for p, s, v in parts]
        images = traced(direction, tuple(inputs()))
        return np.concatenate([np.ravel(image) for image in images]).astype(np.float64)

    return product


def largest_eigenvalue(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    tolerance: float = 1e-3,
    most: int = 60,
    seed: int = 0,
) -> float:
    """Returns the largest eigenvalue of a symmetric matrix.

    Uses the method of Lanczos with full orthogonalisation.

    Args:
        product: function that multiplies the matrix by a vector.
        size: length of the vector.
        tolerance: relative error at which to stop: the matrix has an eigenvalue within this
            distance of the result.
        most: maximum number of products.
        seed: seed of the random start vector.

    Returns:
        The eigenvalue; NaN if a product is not finite.
    """
    vector = np.random.default_rng(seed).normal(size=size)
    basis, diagonal, beside = [vector / np.linalg.norm(vector)], [], []
    while True:
        image = product(basis[-1])
        if not np.isfinite(image).all():
            return float("nan")
        diagonal.append(float(image @ basis[-1]))
        known = np.array(basis)
        for _ in range(2):  # after a single pass rounding errors grow
            image = image - known.T @ (known @ image)
        length = float(np.linalg.norm(image))
        small = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        values, vectors = np.linalg.eigh(small)
        near = length * abs(vectors[-1, -1]) <= tolerance * abs(values[-1])
        if near or len(basis) == min(most, size):
            return float(values[-1])
        beside.append(length)
        basis.append(image / length)
