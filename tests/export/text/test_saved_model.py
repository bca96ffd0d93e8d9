"""The SavedModel of a language model: its signatures, their errors, use without other files."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.saved_model.loader_impl import parse_saved_model
from text_export_fixtures import (
    KNOWN,
    SIZE,
    UNITS,
    drawn_tokens,
    logits_of,
    probabilities_of,
    small_model,
    words_of,
)

from darts_tf.data import Vocabulary
from darts_tf.export import warmup
from darts_tf.export.text import inference, saved_model

TOKENS = {word: token for token, word in enumerate(KNOWN)}


@pytest.fixture(scope="module")
def path(text_models):
    return text_models.output / "saved_model" / "model" / "1"


@pytest.fixture(scope="module")
def signatures(path):
    return tf.saved_model.load(path).signatures


def zeros(rows):
    return tf.zeros((rows, UNITS))


def written(folder, model, words):
    """Writes and loads a model; returns its signatures."""
    path = folder / "zoo" / "1"
    path.parent.mkdir()
    saved_model.write(inference.inference_copy(model), words, path)
    return tf.saved_model.load(path).signatures


def best(model, tokens, hidden=("<unk>",), count=5):
    """Returns the expected best words after one stream's tokens, and their probabilities."""
    shares = probabilities_of(model, tokens)
    order = [token for token in np.argsort(-shares) if KNOWN[token] not in hidden][:count]
    return [KNOWN[token] for token in order], shares[order]


def test_signatures_are_those_that_clients_are_told_of(path):
    (graph,) = parse_saved_model(str(path)).meta_graphs
    found = {}
    for name, signature in graph.signature_def.items():
        if not name.startswith("__"):
            tensors = [*signature.inputs.items(), *signature.outputs.items()]
            found[name] = {
                (key, tf.dtypes.as_dtype(t.dtype).name, *(d.size for d in t.tensor_shape.dim))
                for key, t in tensors
            }
    assert found == {
        "serving_default": {
            *(("tokens", "int32", -1, -1), ("state", "float32", -1, UNITS)),
            ("logits", "float32", -1, -1, SIZE),
        },
        "predict_next": {
            *(("text", "string", -1), ("words", "string", -1, 5)),
            ("probabilities", "float32", -1, 5),
        },
    }
    assert {asset.filename for asset in graph.asset_file_def} == {"vocabulary.txt", "text.json"}
    assert Vocabulary.from_text((path / "assets/vocabulary.txt").read_text("utf-8")).words == KNOWN
    variables = sum(file.stat().st_size for file in (path / "variables").iterdir())
    assert variables < 4 * SIZE * UNITS  # the weights are in the graph


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_state_carried_over_two_calls_is_one_call(text_models, signatures, cut):
    serve, tokens = signatures["serving_default"], drawn_tokens()
    whole = serve(tokens=tf.constant(tokens), state=zeros(3))
    expected = logits_of(text_models.model, tokens)
    np.testing.assert_allclose(whole["logits"], expected, rtol=0, atol=1e-5)
    first = serve(tokens=tf.constant(tokens[:, :cut]), state=zeros(3))
    second = serve(tokens=tf.constant(tokens[:, cut:]), state=first["state"])
    logits = np.concatenate([first["logits"], second["logits"]], axis=1)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(second["state"], whole["state"], rtol=0, atol=1e-6)


BAD = {
    "too large": ([[0], [SIZE]], 2, f"Expected tokens from 0 to {SIZE - 1}"),
    "negative": ([[-1]], 1, f"Expected tokens from 0 to {SIZE - 1}"),
    "no rows": (np.zeros((0, 3)), 0, "Expected one word or more"),
    "no time": (np.zeros((2, 0)), 2, "Expected one word or more"),
    "one state for two": ([[1], [2]], 1, "Expected as many states as rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_refused(signatures, case):
    tokens, states, message = BAD[case]
    given = {"tokens": tf.constant(tokens, tf.int32), "state": zeros(states)}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["serving_default"](**given)


TEXTS = {
    "": [],
    "w1": ["w1"],
    "w1 w2  w26": ["w1", "w2", "w26"],
    "  über\tw3\u2003w4\u2028w5\x1cw6\x85\xa0w7 ": ["über", *(f"w{i}" for i in range(3, 8))],
    "W1 nobody <unk>": ["<unk>"] * 3,
    "w1\nw2\r\nw3\r\n": ["w1", "<eos>", "w2", "<eos>", "w3", "<eos>"],
    "w1 <eos> w2": ["w1", "<eos>", "w2"],
}


def test_predict_next_ranks_words_after_texts_of_any_length(text_models, signatures):
    answer = signatures["predict_next"](text=tf.constant(list(TEXTS)))
    for words, found, shares in zip(
        TEXTS.values(), answer["words"].numpy(), answer["probabilities"].numpy(), strict=True
    ):
        tokens = [TOKENS[word] for word in ["<eos>", *words]]
        expected, probabilities = best(text_models.model, tokens)
        assert [word.decode() for word in found] == expected
        np.testing.assert_allclose(shares, probabilities, rtol=1e-4)


def test_every_white_space_of_python_divides_words(signatures):
    spaces = [chr(i) for i in range(0x3100) if chr(i).isspace() and chr(i) not in "\r\n"]
    texts = [f"w1{space}w2" for space in spaces]
    answer = signatures["predict_next"](text=tf.constant([*texts, "w1"]))["probabilities"].numpy()
    assert len(spaces) > 20
    *same, other = answer  # rows of a batch may differ in the last bits, two words and one by far
    np.testing.assert_allclose(same, np.broadcast_to(same[0], np.shape(same)), rtol=1e-5)
    assert not np.allclose(same[0], other, rtol=1e-3)
    others = [f"w1{chr(i)}w2" for i in (0x00, 0x1B, 0x200B, 0x2060) if i]
    unknown = signatures["predict_next"](text=tf.constant(["nobody", *others]))
    unknown = unknown["probabilities"].numpy()
    np.testing.assert_allclose(unknown, np.broadcast_to(unknown[:1], unknown.shape), rtol=1e-5)


def test_writing_it_says_nothing(tmp_path, caplog):
    written(tmp_path, small_model(), words_of())
    assert not caplog.records


def test_predict_next_refuses_what_it_does_not_know_without_a_word_for_it(tmp_path):
    model, words = small_model(vocabulary=4), words_of("<eos>", "a", "b", "c")
    predict = written(tmp_path, model, words)["predict_next"]
    assert predict(text=tf.constant(["a"]))["words"].shape == (1, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="(?s)words of the vocabulary.*nobody"):
        predict(text=tf.constant(["a", "b nobody"]))


def test_predict_next_of_a_vocabulary_without_ends_of_lines_needs_a_word(tmp_path):
    model, words = small_model(vocabulary=3), words_of("a", "b", "<unk>")
    predict = written(tmp_path, model, words)["predict_next"]
    found = predict(text=tf.constant(["a\nb"]))
    shares = probabilities_of(model, [0, 1])
    order = np.argsort(-shares[:2])
    assert found["words"].numpy().tolist() == [[b"ab"[i : i + 1] for i in order]]
    np.testing.assert_allclose(found["probabilities"][0], shares[order], rtol=1e-5)
    for nothing in ([""], ["a", " "]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Expected a word or more"):
            predict(text=tf.constant(nothing))


def test_predict_next_of_no_text_is_refused(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected one text or more"):
        signatures["predict_next"](text=tf.zeros((0,), tf.string))


def test_it_runs_with_neither_keras_nor_this_package_in_the_process(path, text_models, tmp_path):
    program = """
import sys
OURS = ("keras", "tf_keras", "darts_tf", "export", "cli")
sys.modules.update(dict.fromkeys(OURS))  # importing one of them raises
import numpy as np, tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
tokens = tf.constant([[1, 2, 3]], tf.int32)
answer = signatures["serving_default"](tokens=tokens, state=tf.zeros((1, 8)))
signatures["predict_next"](text=tf.constant(["w1 w2", ""]))
loaded = [name for name, module in sys.modules.items() if module and name.split(".")[0] in OURS]
assert not loaded, loaded
np.save(sys.argv[2], answer["logits"].numpy())
"""
    paths = path.rename(path.with_name("2")), tmp_path / "logits.npy"
    try:  # the model finds its vocabulary after a move
        command = [sys.executable, "-I", "-c", program, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    finally:
        paths[0].rename(path)
    assert done.returncode == 0, done.stderr
    expected = logits_of(text_models.model, [[1, 2, 3]])
    np.testing.assert_allclose(np.load(paths[1]), expected, rtol=0, atol=1e-5)


def test_warm_up_requests_are_what_tf_serving_reads(path, signatures):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    asked = []
    for record in tf.data.TFRecordDataset(str(path / warmup.PLACE)).as_numpy_iterator():
        log = logs.PredictionLog.FromString(record)
        assert log.SerializeToString(deterministic=True) == record
        request = log.predict_log.request
        assert request.model_spec.name == "model"
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        name = request.model_spec.signature_name
        signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        asked.append(name)
    assert asked == ["serving_default", "predict_next"]


@pytest.mark.parametrize("name", ["saved_model", "tflite", "tflite_float16", "tflite_weight_int8"])
def test_openvino_says_what_keras_says(text_models, name):
    openvino = pytest.importorskip("openvino")
    model = text_models.output / text_models.report["formats"][name]["path"]
    exact = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    compiled = openvino.Core().compile_model(model, "CPU", exact)
    tokens = drawn_tokens(3, 7) if name == "saved_model" else drawn_tokens(1, 7)
    expected = logits_of(text_models.model, tokens)
    parts = [tokens] if name == "saved_model" else np.split(tokens, 7, axis=1)
    state, found = np.zeros((len(tokens), UNITS), np.float32), []
    for part in parts:
        given = {t: part if t.element_type.is_integral() else state for t in compiled.inputs}
        answers = {array.shape[-1]: array for array in compiled(given).values()}
        state = answers[UNITS]
        found.append(answers[SIZE].reshape(len(part), -1, SIZE))
    bound = {"tflite_float16": 2e-3, "tflite_weight_int8": 1e-2}.get(name, 1e-5)
    scale = abs(expected).max()
    np.testing.assert_allclose(np.concatenate(found, 1), expected, rtol=0, atol=bound * scale)
