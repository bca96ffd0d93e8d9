"""Check that a primitive can be exported: it becomes a TFLite model that is compared with Keras."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from darts_tf.errors import InputError, first_line, shortened
from darts_tf.export import parity
from darts_tf.export.folding import fold
from darts_tf.export.formats import FORMATS
from darts_tf.export.tflite import measuring
from darts_tf.export.tflite.quantization import float32
from darts_tf.layers.primitives import PRIMITIVES, views
from darts_tf.models.counting import size_of
from darts_tf.ops.xnnpack import written_for_xnnpack
from darts_tf.spaces.cell import NONE

SIZES = ((8, 8), (7, 5))
"""Heights and widths of the states that a primitive is checked on."""


class PrimitiveCheck(NamedTuple):
    """Result of checking a primitive at one stride and size of state.

    Attributes:
        stride: stride of the primitive.
        size: height and width of the state.
        params: number of trainable parameters.
        macs: multiply-accumulates, as counted by the primitive's `macs`.
        difference: largest absolute difference from Keras over the largest absolute value.
        partitions: number of parts of the graph that XNNPACK runs.
        left: kinds of operations that XNNPACK leaves to the interpreter.
    """

    stride: int
    size: tuple[int, int]
    params: int
    macs: int
    difference: float
    partitions: int
    left: tuple[str, ...]


def check_primitive(name: str, channels: int = 8) -> list[PrimitiveCheck]:
    """Writes a primitive as TFLite files and compares their results with Keras.

    Both strides are checked, with even and odd sizes. The primitive is written as in an exported
    network: normalization folded, float32, one image, only built-in operations of TFLite.

    Args:
        name: a key of `PRIMITIVES`.
        channels: channels of the state.

    Returns:
        A result for each stride and size; none for the primitive `none`.

    Raises:
        InputError: the primitive cannot be written with built-in operations, or differs from Keras
            by more than the bound of the format `tflite`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        return [
            _check(name, channels, stride, size, path)
            for stride in (1, 2)
            for size in SIZES
            if name != NONE
        ]


def _check(name: str, channels: int, stride: int, size: tuple[int, int], path) -> PrimitiveCheck:
    where = f"the primitive {name} at stride {stride} on {size[0]}x{size[1]} states"
    layer = PRIMITIVES[name](channels, stride, True)
    layer.build((None, None, None, channels))
    _perturb_weights(layer)
    x = np.random.default_rng(1).normal(size=(1, *size, channels)).astype(np.float32)
    expected = np.asarray(_state_function(layer)(tf.constant(x)))
    costs = size_of(layer.trainable_variables), layer.macs(*size)
    fold(layer)
    try:
        path.write_bytes(_model(_state_function(layer), x.shape))
        run = Interpreter(model_path=str(path)).get_signature_runner()
        (received,) = run(**dict.fromkeys(run.get_input_details(), x)).values()
        _, executed = measuring.operations(path)
    except Exception as error:
        raise InputError(
            f"Expected {where} to be written in TFLite's built-in operations. "
            f"Received: {shortened(_reason(error), 200)}"
        ) from error
    difference = parity.compare(expected, received)
    try:
        parity.check(where, difference, FORMATS["tflite"].bounds)
    except parity.ParityError as error:
        raise InputError(str(error)) from error
    partitions = executed.pop(measuring.DELEGATE, 0)
    left = tuple(sorted(executed))
    return PrimitiveCheck(stride, size, *costs, difference.difference, partitions, left)


def _state_function(layer: keras.layers.Layer) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the layer as a function of a state; it picks the view that the layer reads."""
    return lambda state: layer(views(state)[layer.reads], training=False)


def _model(function: Callable, shape: tuple[int, ...]) -> bytes:
    with written_for_xnnpack():
        state = tf.TensorSpec(shape, tf.float32, name="state")
        traced = tf.function(function, autograph=False).get_concrete_function(state)
    return float32(convert_variables_to_constants_v2(traced), None)


def _perturb_weights(layer: keras.layers.Layer) -> None:
    """Adds noise to all weights, since an untrained normalization is the identity."""
    draw = np.random.default_rng(0)
    for variable in layer.variables:
        if variable.dtype.startswith("float"):
            variable.assign(variable + draw.uniform(0.1, 0.5, variable.shape))


def _reason(error: Exception) -> str:
    """Returns the line of a converter's message that names operations, or else its first line."""
    lines = [line.strip() for line in str(error).splitlines()]
    named = [line for line in lines if line.startswith(("Custom ops:", "TF Select ops:"))]
    return named[0] if named else f"{type(error).__name__}: {first_line(error)}"
