"""User-defined primitives: wraps any Keras layer as a primitive and checks its behaviour."""

from __future__ import annotations

import inspect
import logging
import numbers
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from darts_tf.errors import InputError, in_one_line, shown
from darts_tf.layers.primitives import Primitive, views
from darts_tf.ops.images import halved, joined

LOG = logging.getLogger("darts_tf")

CHANNELS, SIZE = 8, (7, 6)
"""Channels, and (height, width), of the images on which a primitive is tested."""

SIDE = 8
"""Height and width of the input with which a layer is called to build it."""


class SideBySide(Primitive):
    """Primitive with a separate layer for every group, side by side in the channels.

    Args:
        shape: `(channels, stride, affine, groups)`, the arguments of `Primitive`.
        build: `(channels, stride, affine) -> layer`.
        rule: `(channels, stride, height, width) -> multiply-accumulates` of a layer; None to use
            the layer's method `macs`.
    """

    def __init__(self, shape: tuple[int, int, bool, int], build: Callable, rule: Callable | None):
        super().__init__(*shape)
        self.copies = [build(*shape[:3]) for _ in range(self.groups)]
        self.rule = rule
        for copy in self.copies:
            if not isinstance(copy, keras.layers.Layer):
                raise InputError(f"Expected a Keras layer. Received: {shown(copy)}")
        if rule is None and not callable(getattr(self.copies[0], "macs", None)):
            raise InputError(
                "Expected a MAC rule: macs=, or a method macs(height, width) of the layer. "
                "Received: none"
            )

    def build(self, input_shape):
        """Builds the layers by calling them, since many have no `build` method."""
        for copy in self.copies:
            if not copy.built:
                copy(tf.zeros((1, SIDE, SIDE, self.channels), self.compute_dtype), training=False)

    def call(self, x, scale=None, training=False):
        """Returns `(batch, height / stride, width / stride, groups * channels)`."""
        parts = [copy(x, training=training) for copy in self.copies]
        y = joined(parts) if len(parts) > 1 else parts[0]
        return y if scale is None else y * tf.cast(scale, y.dtype)

    def grouped_weights(self):
        """Returns the weights of every layer, which has one group, see `Primitive`."""
        weights = [list(copy.trainable_variables) for copy in self.copies]
        return [(1, own, (0,) * len(own)) for own in weights]

    def macs(self, height, width):
        """Returns the multiply-accumulates of all layers."""
        if self.rule:
            return self.groups * self.rule(self.channels, self.stride, height, width)
        return sum(copy.macs(height, width) for copy in self.copies)

    def elementwise(self, height, width):
        """Returns the sum of the layers' own `elementwise`, 0 for layers without it."""
        counts = (getattr(copy, "elementwise", lambda *size: 0) for copy in self.copies)
        return sum(count(height, width) for count in counts)


def make(
    name: str, build: Callable, macs: Callable | None, shape: tuple[int, int, bool, int]
) -> Primitive:
    """Makes the layer of a registered primitive.

    Args:
        name: name of the primitive, for errors.
        build: the registered function or class.
        macs: MAC rule of the primitive; None to use the layer's own.
        shape: `(channels, stride, affine, groups)`.

    Raises:
        InputError: `build` does not return a layer, or its multiply-accumulates are unknown.
    """
    try:
        if not _takes_groups(build):
            return SideBySide(shape, build, macs)
        layer = build(*shape)
        if not isinstance(layer, Primitive):
            raise InputError(
                f"Expected a darts_tf.Primitive of one that takes groups. Received: {shown(layer)}"
            )
        if macs is not None or type(layer).macs is Primitive.macs:
            received = "none" if macs is None else "macs="
            raise InputError(
                "Expected the MAC rule of one that takes groups to be its layer's method "
                f"macs(height, width). Received: {received}"
            )
        return layer
    except InputError as error:
        raise InputError(f"primitive {name}: {error}") from error


def _takes_groups(build: Callable) -> bool:
    try:
        parameters = inspect.signature(build).parameters
    except (TypeError, ValueError):  # functions of C code have no signature
        return False
    kinds = {parameter.kind for parameter in parameters.values()}
    passed_on = isinstance(build, type) and issubclass(build, Primitive)
    return "groups" in parameters or (passed_on and inspect.Parameter.VAR_POSITIONAL in kinds)


def check(name: str, made: Callable) -> None:
    """Tests a primitive on small images: both strides, one and several groups, with training.

    Logs a warning for Keras' batch normalisation, since TensorFlow's moments have no second
    derivative through the mean.

    Args:
        name: name of the primitive.
        made: `(channels, stride, affine, groups) -> layer`.

    Raises:
        InputError: the primitive fails, returns another shape, creates variables late, does not
            multiply by `scale`, or its multiply-accumulates are not an integer of at least 0.
    """
    for stride, affine, groups in ((1, True, 1), (2, True, 1), (1, False, 3), (2, False, 3)):
        case = f"stride={stride}, affine={affine}, groups={groups}"
        try:
            problem = _problem(made(CHANNELS, stride, affine, groups))
        except InputError:
            raise
        except Exception as error:
            problem = "to run", in_one_line(error)
        if problem:
            expected, received = problem
            raise InputError(
                f"Expected the primitive {name} {expected}. Received: {received}, with {case}"
            )
    parts = made(CHANNELS, 1, False, 1)._flatten_layers()
    if any(isinstance(part, keras.layers.BatchNormalization) for part in parts):
        LOG.warning(
            "the primitive %s has Keras' batch normalisation, whose second derivative is not "
            "exact; that of darts_tf.BatchNormalization is",
            name,
        )


def _problem(layer: Primitive) -> tuple[str, object] | None:
    """Returns what was expected and what was received instead, or None without a problem."""
    x = tf.constant(np.random.default_rng(0).normal(size=(2, *SIZE, CHANNELS)), layer.compute_dtype)
    layer.build((None, None, None, CHANNELS))
    before = len(layer.variables)
    view = views(x, layer.groups)[layer.reads]
    expected_shape = (2, *(halved(side, layer.stride) for side in SIZE), layer.groups * CHANNELS)
    for training in (False, True):
        y = layer(view, training=training)
        if tuple(y.shape) != expected_shape:
            sizes = "at stride 1 the size of what it reads, at 2 half of it, rounded up"
            return f"to give {expected_shape} for {tuple(x.shape)}: {sizes}", tuple(y.shape)
        if not np.isfinite(np.asarray(tf.cast(y, tf.float32))).all():
            return "to give finite numbers", "others"
    if len(layer.variables) != before:
        return "to make its variables when it is built", f"{len(layer.variables) - before} later"
    if layer.weightless and layer.trainable_variables:
        return "to have no weights, being weightless", len(layer.trainable_variables)
    return _problem_of_scale(layer, view) or _problem_of_macs(layer)


def _problem_of_scale(layer: Primitive, view) -> tuple[str, object] | None:
    if layer.weightless or layer.groups == 1:  # a discrete network has one group and no scale
        return None
    plain = layer(view, training=False)
    scaled = layer(view, scale=tf.fill([layer.groups * CHANNELS], 2.0), training=False)
    if np.allclose(*(np.asarray(tf.cast(y, tf.float32)) for y in (2 * plain, scaled)), atol=1e-3):
        return None
    return "to multiply what it gives by `scale`", "other numbers"


def _problem_of_macs(layer: Primitive) -> tuple[str, object] | None:
    count = layer.macs(*SIZE)
    whole = isinstance(count, numbers.Integral) and not isinstance(count, bool)
    if whole and count >= 0:
        return None
    return "to cost a whole number of multiply-accumulates from 0", shown(count)
