"""The dominant eigenvalue of the valid loss's Hessian along the alphas (Zela et al. 2020).

It is the largest eigenvalue of ∇²α L_valid(w, α), with w and the batch held fixed and all alphas as
one vector, as Robust DARTS takes it: without a virtual step, and without the alphas' decay. The
Hessian itself is never built; its products with vectors are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from darts_tf.ops.autodiff import weights_fixed


def hessian_product(loss: Callable, alphas: Sequence, direction: Sequence) -> list[tf.Tensor]:
    """∇²α L · v by nested tapes.

    Args:
        loss: `loss(alphas)` gives a scalar.
        alphas: where; a list of tensors.
        direction: v, of the same shapes.
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


def hessian_products(loss: Callable, variables: Sequence) -> Callable:
    """A function of one vector v that gives ∇²α L · v at what the variables hold then.

    It is traced at its first call, and for good.

    Args:
        loss: as in `hessian_product`.
        variables: the alphas.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    @tf.function(autograph=False)
    def traced(direction):
        return hessian_product(loss, [tf.convert_to_tensor(v) for v in variables], direction)

    def product(vector: np.ndarray) -> np.ndarray:
        parts = zip(np.split(vector, ends[:-1]), shapes, variables, strict=True)
        found = traced([tf.constant(p.reshape(s), v.dtype) for p, s, v in parts])
        return np.concatenate([np.ravel(part) for part in found]).astype(np.float64)

    return product


def largest_eigenvalue(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    tolerance: float = 1e-3,
    most: int = 60,
    seed: int = 0,
) -> float:
    """Of a symmetric matrix, by Lanczos' method with full orthogonalisation.

    Args:
        product: the matrix times a vector.
        size: of the vector.
        tolerance: relative error of the eigenvalue at which to end: there is one as near.
        most: products.
        seed: of the first vector.

    Returns:
        The largest eigenvalue, NaN where a product is not finite.
    """
    vector = np.random.default_rng(seed).normal(size=size)
    basis, diagonal, beside = [vector / np.linalg.norm(vector)], [], []
    while True:
        image = product(basis[-1])
        if not np.isfinite(image).all():
            return float("nan")
        diagonal.append(float(image @ basis[-1]))
        known = np.array(basis)
        for _ in range(2):  # once leaves rounding errors that grow
            image = image - known.T @ (known @ image)
        length = float(np.linalg.norm(image))
        small = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        values, vectors = np.linalg.eigh(small)
        near = length * abs(vectors[-1, -1]) <= tolerance * abs(values[-1])
        if near or len(basis) == min(most, size):
            return float(values[-1])
        beside.append(length)
        basis.append(image / length)
