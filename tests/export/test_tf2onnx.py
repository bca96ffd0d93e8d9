"""TFLite files converted by tf2onnx and run by onnxruntime say what TFLite says."""

from __future__ import annotations

import numpy as np
import pytest
from export_fixtures import drawn_images, names, preprocessing_of, small_network
from genotypes_of_every_primitive import EVERYTHING
from mostly_slow import mostly_slow
from text_export_fixtures import SIZE, UNITS, drawn_tokens, small_model, words_of

from darts_tf.export.folding import fold_normalizations
from darts_tf.export.formats import FORMATS
from darts_tf.export.images import Examples
from darts_tf.export.text.formats import TEXT_FORMATS
from darts_tf.export.text.inference import inference_copy

pytest.importorskip("tf2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*Interpreter is deprecated:UserWarning")
NAMES = ["tflite_weight_int8", "tflite_float16", "tflite"]


def converted(path, folder):
    """Converts a TFLite file; returns a session that runs it.

    Higher levels of onnxruntime's optimizations round activations to 8 bits beside 8-bit weights.
    """
    from tf2onnx.convert import from_tflite

    from_tflite(str(path), output_path=str(folder / "model.onnx"))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(folder / "model.onnx", options, providers=providers)


@mostly_slow(1, "name", NAMES)
def test_logits_of_images(tmp_path, name):
    network, preprocessing = small_network(EVERYTHING, 3, classes=5), preprocessing_of(33, 34, 3)
    images = drawn_images(preprocessing, 3)
    fold_normalizations(network)
    path = tmp_path / FORMATS[name].path
    FORMATS[name].write(network, preprocessing, path, Examples(tuple(names(5))))
    expected = FORMATS[name].open_logits(path)(images)
    session = converted(path, tmp_path)
    (given,) = session.get_inputs()
    found = [session.run(None, {given.name: image[None].astype(np.float32)})[0] for image in images]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5 * abs(expected).max())


@mostly_slow(1, "name", NAMES)
def test_logits_of_text(tmp_path, name):
    path = tmp_path / TEXT_FORMATS[name].path
    TEXT_FORMATS[name].write(inference_copy(small_model()), words_of(), path)
    tokens = drawn_tokens(1, 7)
    expected = TEXT_FORMATS[name].open_logits(path)(tokens)
    session = converted(path, tmp_path)
    state, found = np.zeros((1, UNITS), np.float32), []
    for token in tokens[0]:
        given = {
            i.name: token.reshape(1, 1) if "int" in i.type else state for i in session.get_inputs()
        }
        answers = {array.shape[-1]: array for array in session.run(None, given)}
        state = answers[UNITS]
        found.append(answers[SIZE])
    atol = 1e-5 * abs(expected).max()
    np.testing.assert_allclose(np.stack(found, axis=1), expected, rtol=0, atol=atol)
