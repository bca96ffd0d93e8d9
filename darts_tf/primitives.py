"""The candidate operations of the convolutional space (Liu et al. 2019, sec. 3.1.1).

`PRIMITIVES` maps a name to `(channels, stride, affine, groups) -> layer`; a search is not affine
and has a group for every edge that leaves a state. Adding a primitive is a layer and a line there.

What a layer reads of a state, its attribute `reads` says: `views` makes it, once for all layers.
Every layer keeps the spatial size at stride 1 and divides it by `stride`, rounding up, otherwise;
`macs(height, width)` counts its multiply-accumulates for one image of that size at its input.
"""

from __future__ import annotations

import collections
import functools

import tensorflow as tf

from darts_tf import registered
from darts_tf.convolutions import Conv7x1And1x7, FactorizedReduce, SeparableConv
from darts_tf.operation import Primitive
from darts_tf.ops.pooling import avg_pool, max_pool


class Zero(Primitive):
    """`none`: no connection. It takes its share of the softmax and gives nothing."""

    weightless = True

    def call(self, x, training=False):
        """All zeros."""
        return tf.zeros_like(x[:, :: self.stride, :: self.stride])


class Identity(Primitive):
    """`skip_connect` at stride 1."""

    weightless = True

    def call(self, x, training=False):
        """`x` itself."""
        return x


class Pool(Primitive):
    """`max_pool_3x3` and `avg_pool_3x3`; a search normalises them, an evaluation does not.

    Args:
        kind: `"max"` or `"avg"`.
        normalize: follow the pool with a batch normalisation without scale and shift.
    """

    weightless = True

    def __init__(self, *args, kind: str, normalize: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.kind = kind
        self.normalize = normalize

    def build(self, input_shape):
        """Creates the normalisation, if there is one."""
        self.norm = self._add_norm("norm") if self.normalize else None

    def call(self, x, training=False):
        """Pooled `x`."""
        x = {"max": max_pool, "avg": avg_pool}[self.kind](x, self.stride)
        return self.norm(x, training=training) if self.norm else x


def _skip(channels, stride, affine, groups=1):
    return (Identity if stride == 1 else FactorizedReduce)(channels, stride, affine, groups)


def _pool(kind):
    """Pools are normalised where nothing is affine, which is in a search."""
    return lambda channels, stride, affine, groups=1: Pool(
        channels, stride, affine, groups, kind=kind, normalize=not affine
    )


def _separable(**settings):
    return functools.partial(SeparableConv, **settings)


_BUILT_IN = {
    "none": Zero,
    "max_pool_3x3": _pool("max"),
    "avg_pool_3x3": _pool("avg"),
    "skip_connect": _skip,
    "sep_conv_3x3": _separable(kernel_size=3, rounds=2),
    "sep_conv_5x5": _separable(kernel_size=5, rounds=2),
    "sep_conv_7x7": _separable(kernel_size=7, rounds=2),
    "dil_conv_3x3": _separable(kernel_size=3, dilation=2),
    "dil_conv_5x5": _separable(kernel_size=5, dilation=2),
    "conv_7x1_1x7": Conv7x1And1x7,
}

PRIMITIVES = collections.ChainMap(registered.PRIMITIVES, _BUILT_IN)
"""These, and those that users have registered."""
