"""TFLite files of every format: their logits, operations, inputs and outputs."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.tools import flatbuffer_utils
from export_fixtures import drawn_images, names, preprocessing_of, small_network
from genotypes_of_every_primitive import EVERYTHING
from mostly_slow import mostly_slow
from trained_digits import digits_network

from darts_tf.data import load_dataset
from darts_tf.export import parity
from darts_tf.export.folding import fold_normalizations
from darts_tf.export.formats import FORMATS
from darts_tf.export.images import Examples, in_batches, keras_logits
from darts_tf.export.inference import frozen_logits
from darts_tf.export.tflite import quantization
from darts_tf.models.counting import count_params
from darts_tf.spaces.genotype import Genotype

TFLITE = [name for name in FORMATS if name.startswith("tflite")]
PAIRS = (("dil_conv_3x3", 0), ("dil_conv_5x5", 1)) * 2
DILATED = Genotype(PAIRS, (2, 3), PAIRS, (2, 3))
"""Genotype with two equal nodes, since converters may merge equal operations."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The digits, logits of a network trained on them, and its files' paths by format."""
    digits, network = load_dataset("digits"), digits_network()
    logits = in_batches(keras_logits(network, digits.preprocessing), digits.test.images)
    fold_normalizations(network)
    folder = tmp_path_factory.mktemp("tflite")
    examples = Examples(digits.classes, digits.train.images[:128])
    paths = {name: folder / FORMATS[name].path for name in TFLITE}
    for name, path in paths.items():
        FORMATS[name].write(network, digits.preprocessing, path, examples)
    return digits, logits, paths


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Images with values up to 200, logits of a network with all primitives, and its files."""
    network, preprocessing = small_network(EVERYTHING, 3, classes=5), preprocessing_of(33, 34, 3)
    images = np.minimum(drawn_images(preprocessing, 8), 200)
    logits = keras_logits(network, preprocessing)(images)
    fold_normalizations(network)
    folder = tmp_path_factory.mktemp("everything")
    paths = {name: folder / FORMATS[name].path for name in ("tflite", "tflite_int8")}
    for name, path in paths.items():
        FORMATS[name].write(network, preprocessing, path, Examples(tuple(names(5)), images))
    return images, logits, paths


def parts_of(model):
    return flatbuffer_utils.read_model_from_bytearray(bytearray(model))


def kinds(model):
    """Returns the names of all operations in a file's bytes."""
    parts = parts_of(model)
    (graph,) = parts.subgraphs
    return [flatbuffer_utils.opcode_to_name(parts, o.opcodeIndex) for o in graph.operators]


@pytest.mark.parametrize("name", TFLITE)
def test_trained_network_keeps_the_bounds_and_its_accuracy(trained, name):
    digits, expected, paths = trained
    received = in_batches(FORMATS[name].open_logits(paths[name]), digits.test.images)
    assert received.dtype == np.float32
    parity.check(name, parity.compare(expected, received), FORMATS[name].bounds)
    right = [(logits.argmax(1) == digits.test.labels).mean() for logits in (expected, received)]
    assert right[0] > 0.95
    assert right[1] > right[0] - 0.01


@pytest.mark.parametrize("name", TFLITE)
def test_file_takes_one_raw_image_and_gives_logits(trained, name):
    run = Interpreter(model_path=str(trained[2][name])).get_signature_runner("serving_default")
    (images,), (logits,) = run.get_input_details().items(), run.get_output_details().items()
    assert (images[0], logits[0]) == ("images", "logits")
    assert list(images[1]["shape"]) == [1, 8, 8, 1]
    assert list(logits[1]["shape"]) == [1, 10]
    assert logits[1]["dtype"] == np.float32
    raw = (np.uint8, (1.0, 0)) if name == "tflite_int8" else (np.float32, (0.0, 0))
    assert (images[1]["dtype"], images[1]["quantization"]) == raw


@pytest.mark.parametrize("name", TFLITE)
def test_one_partition_of_built_in_operations(trained, name):
    told = FORMATS[name].describe(trained[2][name])
    assert told["delegate_partitions"] == 1
    # from uint8 to int8, which XNNPACK does not run
    assert told["undelegated_ops"] == ({"QUANTIZE": 1} if name == "tflite_int8" else {})
    listed = kinds(trained[2][name].read_bytes())
    assert told["ops"] == {kind: listed.count(kind) for kind in sorted(set(listed))}
    assert "CUSTOM" not in listed


def test_every_primitive_is_in_the_one_partition_of_a_float_file(everything):
    images, expected, paths = everything
    told = FORMATS["tflite"].describe(paths["tflite"])
    assert (told["delegate_partitions"], told["undelegated_ops"]) == (1, {})
    received = FORMATS["tflite"].open_logits(paths["tflite"])(images)
    assert parity.compare(expected, received).difference < 1e-5


def test_int8_leaves_the_interpreter_only_what_xnnpack_has_not(everything):
    told = FORMATS["tflite_int8"].describe(everything[2]["tflite_int8"])
    assert (told["delegate_partitions"], told["undelegated_ops"]) == (1, {"QUANTIZE": 1})


def test_int8_input_is_raw_whatever_the_calibration_saw(everything):
    run = Interpreter(model_path=str(everything[2]["tflite_int8"])).get_signature_runner()
    assert run.get_input_details()["images"]["quantization"] == (1.0, 0)
    images, expected, paths = everything
    received = FORMATS["tflite_int8"].open_logits(paths["tflite_int8"])(images)
    assert parity.compare(expected, received).sqnr > 15  # the weights are random


def test_dilated_depthwise_convolutions_are_one_operation_each(tmp_path):
    network, preprocessing = small_network(DILATED), preprocessing_of(9, 9)
    fold_normalizations(network)
    FORMATS["tflite"].write(network, preprocessing, tmp_path / "x", Examples(tuple(names())))
    model = (tmp_path / "x").read_bytes()
    assert not {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"} & set(kinds(model))
    (graph,) = parts_of(model).subgraphs
    dilations = [
        operator.builtinOptions.dilationHFactor
        for operator in graph.operators
        if isinstance(operator.builtinOptions, schema.DepthwiseConv2DOptionsT)
    ]
    # four in the normal cell; at stride 2 they become plain ones on every other position, by 1x1
    assert [dilations.count(2), len(set(dilations))] == [4, 2]


@mostly_slow((1,), ("name", "size"), [("tflite_float16", 2), ("tflite_weight_int8", 1)])
def test_file_is_as_small_as_its_weights(tmp_path, name, size):
    network, preprocessing = small_network("DARTS_V2", channels=40), preprocessing_of()
    fold_normalizations(network)
    FORMATS[name].write(network, preprocessing, tmp_path / "x", Examples(tuple(names())))
    assert (tmp_path / "x").stat().st_size < 1.1 * size * count_params(network) + 2**16


@pytest.mark.parametrize("name", TFLITE)
def test_codes_of_operations_are_in_the_older_field_too(trained, name):
    """Which OpenVINO and tf2onnx read; larger codes do not fit and are 127 there."""
    codes = parts_of(trained[2][name].read_bytes()).operatorCodes
    assert [c.deprecatedBuiltinCode for c in codes] == [min(c.builtinCode, 127) for c in codes]


def test_a_code_too_large_for_the_older_field_is_127_there():
    model = schema.ModelT()
    model.operatorCodes = [schema.OperatorCodeT(), schema.OperatorCodeT()]
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.DEQUANTIZE
    model.operatorCodes[1].builtinCode = schema.BuiltinOperator.BROADCAST_TO
    quantization._fill_in_old_codes(model)
    assert [code.deprecatedBuiltinCode for code in model.operatorCodes] == [6, 127]


def test_weight_int8_adds_nothing_to_float32_but_dequantizations(trained):
    *_, paths = trained
    before, after = (kinds(paths[name].read_bytes()) for name in ("tflite", "tflite_weight_int8"))
    assert [kind for kind in after if kind != "DEQUANTIZE"] == before
    weights = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    assert after.count("DEQUANTIZE") == sum(kind in weights for kind in before)


def test_weight_int8_has_16_bit_weights_in_1x1_convolutions_with_a_stride_alone(trained):
    model = parts_of(trained[2]["tflite_weight_int8"].read_bytes())
    (graph,) = model.subgraphs
    stored = {
        operator.outputs[0]: graph.tensors[operator.inputs[0]]
        for operator in graph.operators
        if flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) == "DEQUANTIZE"
    }
    found = {True: set(), False: set()}
    for operator in graph.operators:
        options = operator.builtinOptions
        if isinstance(options, schema.Conv2DOptionsT):
            weights = stored[operator.inputs[1]]
            small = list(weights.shape[1:3]) == [1, 1] and options.strideH > 1
            found[small].add(flatbuffer_utils.type_to_name(weights.type))
    assert found == {True: {"FLOAT16"}, False: {"INT8"}}


def test_requantized_rectifiers_say_what_the_rectifiers_said(monkeypatch):
    digits, network = load_dataset("digits"), digits_network()
    images, models, edit = digits.test.images[:40], [], quantization.edit

    def recorded(model, raw_input, requantized):
        models.extend([edit(model, raw_input), edit(model, raw_input, requantized)])
        return models[-1]

    monkeypatch.setattr(quantization, "edit", recorded)
    function = frozen_logits(network, digits.preprocessing, batch=1)
    quantization.int8(function, Examples(digits.classes, images))
    assert ["RELU" in kinds(model) for model in models] == [True, False]
    np.testing.assert_array_equal(*(without_delegate(model, images) for model in models))


def without_delegate(model, images):
    """Returns logits computed by the interpreter's own kernels."""
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    run = Interpreter(model_content=model, experimental_op_resolver_type=resolver)
    run.allocate_tensors()
    (given,), (got,) = run.get_input_details(), run.get_output_details()
    results = []
    for image in images:
        run.set_tensor(given["index"], image[None])
        run.invoke()
        results.append(run.get_tensor(got["index"]))
    return np.concatenate(results)


@pytest.mark.parametrize("images", [None, np.zeros((0, 8, 8, 1), np.uint8)])
def test_int8_asks_for_images_to_calibrate_with(images):
    with pytest.raises(ValueError, match="training split to calibrate int8 .* Received: none"):
        quantization.int8(None, Examples(tuple(names()), images))
