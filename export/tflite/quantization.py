"""TFLite models in several precisions, each a function from a graph function to a file's bytes.

Files with float16 or weight-only int8 have smaller weights and compute in float32. A full int8 file
computes in integers, with ranges of activations from images of the training split.

Other programs read these files too: tests open them with OpenVINO and with tf2onnx.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from darts_tf.errors import InputError
from darts_tf.export.images import Examples

LARGEST = 255
"""Largest value of a raw image."""
LOWEST = -128
"""Smallest int8. A tensor whose zero point it is has no negative values."""


def float32(function, examples: Examples | None) -> bytes:
    """Converts a graph to a TFLite file in float32.

    Args:
        function: concrete function from a raw image float32 `(1, height, width, channels)`, values
            0 to 255, to a dict of tensors.
        examples: used by full int8 only.
    """
    return _converted(function)


def float16(function, examples: Examples | None) -> bytes:
    """Converts a graph to a TFLite file with 16-bit weights; see `float32` for the arguments."""
    return _converted(function, optimizations=_DEFAULT, supported_types=[tf.float16])


def weight_int8(function, examples: Examples | None) -> bytes:
    """Converts a graph to a TFLite file with 8-bit weights of convolutions and classifier.

    There is one scale per output channel. 1x1 convolutions with a stride, of which networks have
    few, get 16-bit weights: OpenVINO turns 1x1 convolutions with 8-bit weights into products of
    matrices and loses the stride.

    See `float32` for the arguments.
    """
    from litert_quantizer import Quantizer, qtyping, recipe

    model = _converted(function)
    quantizer = Quantizer(memoryview(model), recipe.weight_only_wi8_afp32())
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    half = qtyping.OpQuantizationConfig(weight_tensor_config=weights)
    for name in _strided_pointwise_convolutions(model):
        quantizer.update_quantization_recipe(
            f"^{re.escape(name)};$", qtyping.TFLOperationName.CONV_2D, half, "float_casting"
        )
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that no setting turns off
        quantized = quantizer.quantize(enable_progress_bar=False, enable_progress_report=False)
    return edit(bytes(quantized.quantized_model), _fill_in_old_codes)


def int8(function, examples: Examples) -> bytes:
    """Converts a graph to a TFLite file with 8-bit weights and activations.

    The model takes raw uint8 images and returns float32 logits. See `float32` for the arguments.

    Raises:
        InputError: there are no calibration images.
    """
    images = examples.calibration
    if images is None or not len(images):
        raise InputError(
            "Expected images of the training split to calibrate int8 with, 100 or more. "
            "Received: none"
        )

    def calibration():
        return ([image[None].astype(np.float32)] for image in images)

    model = _converted(
        function,
        optimizations=_DEFAULT,
        supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
        representative_dataset=calibration,
        inference_input_type=tf.uint8,
    )
    return edit(model, _take_raw_images, _requantize_rectified)


def edit(model: bytes, *changes: Callable[[schema.ModelT], None]) -> bytes:
    """Returns a TFLite file after `changes`, which edit the parsed model in place."""
    parts = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for change in changes:
        change(parts)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parts))


_DEFAULT = [tf.lite.Optimize.DEFAULT]
_TARGET = ("supported_ops", "supported_types")


def _converted(function, **settings) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    # Other operations would need a runtime with TensorFlow's own kernels.
    settings = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS], **settings}
    for name, value in settings.items():
        setattr(converter.target_spec if name in _TARGET else converter, name, value)
    with warnings.catch_warnings():
        # warns that a quantized input needs statistics, which the calibration provides
        warnings.filterwarnings("ignore", "Statistics for quantized inputs", UserWarning)
        return converter.convert()


def _strided_pointwise_convolutions(model: bytes) -> list[str]:
    """Returns the output names of 1x1 convolutions with a stride in a TFLite file."""
    parts = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    (graph,) = parts.subgraphs
    return [
        graph.tensors[operator.outputs[0]].name.decode()
        for operator in graph.operators
        if _builtin(parts, operator) == schema.BuiltinOperator.CONV_2D
        and list(graph.tensors[operator.inputs[1]].shape[1:3]) == [1, 1]
        and (operator.builtinOptions.strideH, operator.builtinOptions.strideW) != (1, 1)
    ]


def _fill_in_old_codes(model: schema.ModelT) -> None:
    """Writes the code of every kind of operation into the older, 8-bit field too.

    `litert_quantizer` leaves that field 0 in kinds that it adds. OpenVINO and tf2onnx look there
    first and would take its DEQUANTIZE for 0, which is ADD.
    """
    largest = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
    for code in model.operatorCodes:
        kind = flatbuffer_utils.get_builtin_code_from_operator_code(code)
        code.deprecatedBuiltinCode = min(kind, largest)


def _take_raw_images(model: schema.ModelT) -> None:
    """Sets the scale of the input to 1, so that raw pixels are valid input.

    Calibration would choose the scale by the largest pixel it sees. The first operation is a
    subtraction, which works with any scale of its inputs.
    """
    (graph,) = model.subgraphs
    first, second = graph.operators[:2]
    kinds = [_builtin(model, operator) for operator in (first, second)]
    if kinds != [schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.SUB]:
        raise RuntimeError(f"Expected a graph to begin with QUANTIZE and SUB. Received: {kinds}")
    for tensor, zero in ((first.inputs[0], 0), (first.outputs[0], LOWEST)):
        quantization = graph.tensors[tensor].quantization
        quantization.scale, quantization.zeroPoint = [1.0], [zero]
        quantization.min, quantization.max = [0.0], [float(LARGEST)]


def _requantize_rectified(model: schema.ModelT) -> None:
    """Replaces ReLUs that are not fused into a convolution by QUANTIZE, a change of scale.

    The result is the same, since negative values are below the range of the new scale and are
    clipped. XNNPACK runs QUANTIZE in int8 but not RELU, which would split the graph into parts.
    """
    (graph,) = model.subgraphs
    codes = [flatbuffer_utils.get_builtin_code_from_operator_code(c) for c in model.operatorCodes]
    quantize = codes.index(schema.BuiltinOperator.QUANTIZE)
    for operator in graph.operators:
        zero = graph.tensors[operator.outputs[0]].quantization.zeroPoint
        if codes[operator.opcodeIndex] == schema.BuiltinOperator.RELU and list(zero) == [LOWEST]:
            operator.opcodeIndex = quantize
            operator.builtinOptions = schema.QuantizeOptionsT()
            operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions


def _builtin(model: schema.ModelT, operator: schema.OperatorT) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return flatbuffer_utils.get_builtin_code_from_operator_code(code)


VARIANTS = {"float32": float32, "float16": float16, "weight_int8": weight_int8, "int8": int8}
"""Conversions by the variant in the file's name."""
