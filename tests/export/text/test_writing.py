"""The export of a language model: its files, comparison with Keras, and errors."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from mostly_slow import mostly_slow
from text_export_fixtures import KNOWN, UNITS, drawn_tokens, logits_of, small_model, words_of

from darts_tf import export
from darts_tf.export import folder, parity
from darts_tf.export.text import inference, tflite
from darts_tf.export.text.writing import perplexity, stretch
from darts_tf.export.tflite import measuring
from darts_tf.runs import files
from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.spaces.zoo import RECURRENT_GENOTYPES

# Keras' own writing of models, on NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TFLITE = [name for name in export.TEXT_FORMATS if name != "saved_model"]


def float_bytes(model) -> int:
    return 4 * sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


def size(path) -> int:
    inside = [path, *path.rglob("*")]
    return sum(file.stat().st_size for file in inside if file.is_file())


def test_folder_has_every_format_and_what_describes_them(text_models):
    output, report = text_models.output, text_models.report
    assert {path.name for path in output.iterdir()} == {
        *("saved_model", "model_float32.tflite", "model_float16.tflite"),
        *("model_weight_int8.tflite", "vocabulary.txt", "text.json", "genotype.json"),
        *("export_report.json", "report.html"),
    }
    assert (output / "vocabulary.txt").read_text("utf-8") == "".join(f"{w}\n" for w in KNOWN)
    assert json.loads((output / "text.json").read_text()) == {"splitting": "spaces"}
    text = (output / "genotype.json").read_text()
    assert RecurrentGenotype.from_json(text) == text_models.model.genotype
    assert files.read_json(output / "export_report.json") == report
    assert folder.digests(output).keys() - report["files"].keys() == {"export_report.json"}
    assert list(report["formats"]) == list(export.TEXT_FORMATS)


def test_report_says_how_near_to_keras_and_how_good_every_model_is(text_models):
    report, tokens = text_models.report, drawn_tokens(4, 17)
    logits = logits_of(text_models.model, tokens[:, :-1])
    assert (report["check_words"], report["check_streams"]) == (64, 4)
    assert report["perplexity"] == pytest.approx(perplexity(logits, tokens[:, 1:]), rel=1e-6)
    for name, model in report["formats"].items():
        found = export.TEXT_FORMATS[name].open_logits(text_models.output / model["path"])
        expected = parity.compare(logits, found(tokens[:, :-1]))
        assert model["difference"] == pytest.approx(expected.difference, rel=0.01, abs=1e-8)
        assert model["perplexity"] == pytest.approx(report["perplexity"], rel=0.05)
    for name in ("saved_model", "tflite"):
        assert report["formats"][name]["difference"] < 1e-6
        assert report["formats"][name]["agreement"] == 1
    weights = 9 * 2 * UNITS**2 + 2 * UNITS**2 + len(KNOWN) * UNITS
    assert (report["parameters"], report["macs"]) == (weights + len(KNOWN), weights)


def test_page_says_it_in_words_of_language_models(text_models):
    page = (text_models.output / "report.html").read_text("utf-8")
    for text in (
        "same top word",
        "perplexity",
        "30 words",
        "recurrent cell",
        "sigmoid from input 0",
    ):
        assert text in page
    for text in ("accuracy", "class ", "image", "folded", "calibrated"):
        assert text not in page


def test_perplexity_is_the_vocabulary_where_nothing_is_known():
    targets = drawn_tokens(2, 5)
    assert perplexity(np.zeros((2, 5, 30)), targets) == pytest.approx(30)
    sure = np.full((2, 5, 30), -1000.0)
    np.put_along_axis(sure, targets[..., None], 1000.0, -1)
    assert perplexity(sure, targets) == 1
    assert np.isfinite(perplexity(-sure, targets))


@pytest.mark.parametrize(
    ("words", "count", "shape"),
    [
        (1000, 256, (4, 65)),
        (1000, 10, (4, 4)),
        (40, 256, (4, 10)),
        (5, 256, (2, 2)),
        (2, 1, (1, 2)),
    ],
)
def test_stretch_is_the_beginning_of_a_text_in_streams(words, count, shape):
    found = stretch(np.arange(words), count)
    assert found.shape == shape
    np.testing.assert_array_equal(found.ravel(), np.arange(found.size))


def test_stretch_of_no_text_is_refused():
    with pytest.raises(ValueError, match="two words or more"):
        stretch(np.arange(1), 10)


@mostly_slow(1, "genotype", RECURRENT_GENOTYPES)
def test_tflite_says_word_by_word_what_keras_says_of_all(tmp_path, genotype):
    model = small_model(genotype=genotype)
    tflite.write(inference.inference_copy(model), words_of(), tmp_path / "x.tflite")
    tokens = drawn_tokens(2, 6)
    found = tflite.open_logits(tmp_path / "x.tflite")(tokens)
    np.testing.assert_allclose(found, logits_of(model, tokens), rtol=0, atol=1e-4)


def test_tflite_leaves_xnnpack_all_but_the_embedding(text_models):
    left = {"tflite": {"GATHER": 1}}
    for name in TFLITE:
        told = text_models.report["formats"][name]
        assert told["undelegated_ops"] == left.get(name, {"GATHER": 1, "DEQUANTIZE": 1})
        assert not any(kind.startswith(("WHILE", "Flex")) for kind in told["ops"])
        assert set(told["latency_ms"]) == {"1", "2"}


def test_tflite_refuses_a_word_out_of_range(text_models):
    path = text_models.output / "model_float32.tflite"
    run = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    state = np.zeros((1, UNITS), np.float32)
    for token in (-1, len(KNOWN), 2**31 - 1):
        with pytest.raises(RuntimeError, match="index out of bounds"):
            run(tokens=np.array([[token]], np.int32), state=state)


@pytest.mark.parametrize("name", TFLITE)
def test_tflite_has_its_vocabulary_inside(text_models, name):
    path = text_models.output / text_models.report["formats"][name]["path"]
    with zipfile.ZipFile(path) as archive:
        assert archive.read("vocabulary.txt") == "".join(f"{w}\n" for w in KNOWN).encode()
        assert json.loads(archive.read("text.json")) == {"splitting": "spaces"}


def test_embedding_and_classifier_are_stored_once(tmp_path):
    model = small_model(vocabulary=3000, units=32)
    words = words_of("<eos>", "<unk>", *(f"w{i}" for i in range(2998)))
    tokens = drawn_tokens(2, 5, 3000)
    report = export.export_language_model(model, words, tmp_path / "out", tokens=tokens)
    texts = 3 * len(words.vocabulary.to_text())  # as constants and as files
    whole, rest = float_bytes(model), texts + 100_000
    least = {"saved_model": whole, "tflite": whole, "tflite_float16": whole / 2}
    for name, told in report["formats"].items():
        assert told["bytes"] == size(tmp_path / "out" / told["path"])
        assert told["bytes"] < least.get(name, whole / 4 + 12 * 3000) + rest, name
    assert rest < whole / 2  # a second matrix would not fit in


def test_small_weights_are_the_same_for_embedding_and_classifier(text_models):
    """The embedding of a word, computed by the file's operations, is the classifier's row."""
    path = text_models.output / "model_weight_int8.tflite"
    kinds, _ = measuring.operations(path)
    assert kinds["DEQUANTIZE"] == kinds["FULLY_CONNECTED"] + 1
    found = tflite.open_logits(path)(drawn_tokens(2, 5))
    expected = logits_of(text_models.model, drawn_tokens(2, 5))
    assert parity.compare(expected, found).sqnr > 30


def test_a_model_of_mixed_precision_is_exported_in_float32(tmp_path):
    from darts_tf.runtime.execution import dtype_policy

    with dtype_policy("mixed_bfloat16"):
        model = small_model()
    settings = {"formats": ["tflite"], "tokens": drawn_tokens()}
    report = export.export_language_model(model, words_of(), tmp_path / "out", **settings)
    assert report["formats"]["tflite"]["difference"] < 1e-5


def test_a_bound_below_what_keras_rounds_itself_is_widened(tmp_path, monkeypatch):
    form = export.TEXT_FORMATS["tflite"]
    strict = form._replace(bounds=parity.Bounds(difference=1e-12))
    monkeypatch.setitem(export.TEXT_FORMATS, "tflite", strict)
    settings = {"formats": ["tflite"], "tokens": drawn_tokens()}
    report = export.export_language_model(small_model(), words_of(), tmp_path / "out", **settings)
    assert 1e-9 < report["formats"]["tflite"]["bounds"]["difference"] < 1e-5


def test_a_model_that_differs_is_not_published(tmp_path, monkeypatch):
    form = export.TEXT_FORMATS["tflite"]
    spoilt = form._replace(open_logits=lambda path: lambda t: 2 * form.open_logits(path)(t))
    monkeypatch.setitem(export.TEXT_FORMATS, "tflite", spoilt)
    settings = {"tokens": drawn_tokens(), "formats": ["saved_model", "tflite"]}
    report = export.export_language_model(small_model(), words_of(), tmp_path / "out", **settings)
    assert list(report["missed"]) == ["tflite"]
    assert not (tmp_path / "out" / "model_float32.tflite").exists()


WRONG = {
    "few words": ({"words": words_of("a", "b")}, "one word per logit, 30"),
    "int8": ({"formats": ["tflite_int8"]}, "format to be one of saved_model, tflite, "),
    "twice": ({"formats": ["tflite", "tflite"]}, "each format once"),
    "none": ({"formats": []}, "each format once"),
    "large": ({"tokens": drawn_tokens() + 1}, "integers from 0 to 29"),
    "short": ({"tokens": drawn_tokens(3, 1)}, "two or more of time"),
    "real": ({"tokens": drawn_tokens() / 2}, "integers"),
    "flat": ({"tokens": drawn_tokens()[0]}, r"\(streams, time\)"),
    "name": ({"name": "a/b"}, "Expected name"),
    "version": ({"version": 0}, "a version from 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arguments_that_cannot_be_are_refused(tmp_path, case):
    changed, message = WRONG[case]
    given = {"words": words_of(), "tokens": drawn_tokens(), **changed}
    with pytest.raises(ValueError, match=message):
        export.export_language_model(small_model(), output=tmp_path / "out", **given)
    assert not list(tmp_path.iterdir())
