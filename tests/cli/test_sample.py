"""`darts-tf sample`, and `export` and `predict` with language models, as users type them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from cli_helpers import one_line_of_wrong_use
from mostly_slow import mostly_slow
from text_export_fixtures import KNOWN, SIZE, probabilities_of, small_model, words_of

from darts_tf import export
from darts_tf.cli.main import main
from darts_tf.data import SPLITTING, load_text
from darts_tf.export.text.loading import load_text_model
from darts_tf.export.text.sampling import choose
from darts_tf.runs import files

# Keras' own writing of models, on NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PLACES = ("run", "out", "out/saved_model", "out/model_float32.tflite", "run/model.keras")
TOKENS = {word: token for token, word in enumerate(KNOWN)}


def sampled(capfd, model, *words):
    """Runs `sample`; returns its output."""
    capfd.readouterr()
    assert main(["sample", "--model", str(model), *map(str, words)]) == 0
    return capfd.readouterr()


def greedy(model, prompt, count):
    """Returns the most probable words one after another, by the formula, without `<unk>`."""
    tokens = [TOKENS[word] for word in ["<eos>", *prompt]]
    for _ in range(count):
        shares = probabilities_of(model, tokens)
        shares[TOKENS["<unk>"]] = 0
        tokens.append(int(shares.argmax()))
    return [KNOWN[token] for token in tokens[1:]]


@pytest.fixture(scope="module")
def ran(text_models):
    """A folder with a run and its export."""
    return text_models.run.parent


@mostly_slow((0, 2, 3), "place", PLACES)
def test_every_model_writes_the_same_text(ran, text_models, capfd, place):
    expected = sampled(capfd, ran / "run", "--words", 30, "--prompt", "w1 w2", "--seed", 5)
    found = sampled(capfd, ran / place, "--words", 30, "--prompt", "w1 w2", "--seed", 5)
    assert found == expected
    assert found.err == ""
    assert found.out.startswith("w1 w2 ")
    best = sampled(capfd, ran / place, "--words", 8, "--prompt", "w1 w2", "--top", 1).out
    assert best.split() == [w for w in greedy(text_models.model, ["w1", "w2"], 8) if w != "<eos>"]


def test_seeds_temperatures_and_bounds_change_the_text(ran, capfd):
    first, second = (sampled(capfd, ran / "out", "--seed", seed).out for seed in (0, 1))
    assert first != second
    assert sampled(capfd, ran / "out").out == first
    cold = sampled(capfd, ran / "out", "--temperature", "1e-300").out
    assert cold == sampled(capfd, ran / "out", "--top", 1, "--seed", 7).out
    assert sampled(capfd, ran / "out", "--temperature", "1e300").out != first


def test_unknown_words_are_written_only_where_they_are_asked_for(ran, capfd):
    assert "<unk>" not in sampled(capfd, ran / "out", "--words", 500, "--temperature", 50).out
    words = ("--words", 500, "--temperature", 50, "--unknown")
    assert "<unk>" in sampled(capfd, ran / "out", *words).out


def test_ends_of_lines_end_lines(ran, capfd):
    text = sampled(capfd, ran / "out", "--words", 300, "--temperature", 50).out
    assert "<eos>" not in text
    assert len(text.splitlines()) > 3
    assert not any(line != line.strip() for line in text.splitlines())
    one = sampled(capfd, ran / "out", "--words", 1, "--prompt", "w1\nw2\n", "--top", 1).out
    assert one.split("\n")[:2] == ["w1", "w2"]


def test_unknown_words_of_the_prompt_are_named(ran, capfd):
    found = sampled(capfd, ran / "out", "--words", 3, "--prompt", "w1 nobody über no nobody")
    assert found.err == "darts-tf: read as <unk>: nobody, no\n"
    assert found.out.startswith("w1 <unk> über <unk> <unk> ")


def test_prompts_are_split_as_the_text_is_that_a_run_is_on(ran, tmp_path, capfd):
    """`pydoc` is lower case with punctuation split off; exports and their files store the rule."""
    known = ("<eos>", "<unk>", "the", ".", "...", "class")
    words = words_of(*known, splitting="pydoc")
    tokens = np.zeros((2, 3), int)
    settings = {"tokens": tokens, "formats": ["saved_model", "tflite"]}
    export.export_language_model(small_model(len(known)), words, tmp_path / "out", **settings)
    shutil.move(tmp_path / "out" / "model_float32.tflite", tmp_path / "alone.tflite")
    for place in (tmp_path / "out", tmp_path / "alone.tflite"):
        found = sampled(capfd, place, "--words", 1, "--prompt", "The class....\nNo.")
        assert found.out.startswith("the class <unk>\n<unk> .")
        assert found.err == "darts-tf: read as <unk>: ...., no\n"
    run = shutil.copytree(ran / "run", tmp_path / "run")
    files.write_json(run / "dataset.json", {"name": "pydoc"})
    assert load_text_model(run).words.splitting == "pydoc"
    assert load_text_model(ran / "run").words.splitting == "spaces"


def test_words_of_pydoc_are_those_of_its_dataset():
    dataset = load_text("pydoc")
    lines = dataset.vocabulary.decode(dataset.test).splitlines()
    for line in (line for line in lines[:50] if "<unk>" not in line):
        assert SPLITTING["pydoc"](line.upper()) == line.split()


def test_a_vocabulary_without_unknown_words_refuses_them(tmp_path, capfd):
    words = words_of("a", "b")
    settings = {"tokens": np.zeros((2, 3), int), "formats": ["tflite"]}
    export.export_language_model(small_model(2), words, tmp_path / "out", **settings)
    model = ("sample", "--model", tmp_path / "out")
    line = one_line_of_wrong_use(capfd, [*model, "--prompt", "a nobody"])
    assert "Expected words of the vocabulary (2). Received: 'nobody'" in line
    assert "Expected a prompt" in one_line_of_wrong_use(capfd, model)
    assert sampled(capfd, tmp_path / "out", "--prompt", "b\na", "--words", 1).out[:4] == "b a "


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--words", 0), "words to be positive"),
        (("--temperature", 0), "temperature to be positive"),
        (("--temperature", "nan"), "temperature"),
        (("--top", -1), "top to be zero or more"),
        (("--model", "nowhere"), "which is not there"),
        (("--model", "empty"), "which has no model"),
        (("--model", "text"), "which has no model"),
        (("--model", "broken.tflite"), "Expected"),
        (("--model", "lonely.keras"), "vocabulary.txt beside the model"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(ran, capfd, tmp_path, words, message):
    (tmp_path / "empty").mkdir()
    shutil.copytree(ran / "text", tmp_path / "text")
    shutil.copy(ran / "run" / "model.keras", tmp_path / "lonely.keras")
    whole = (ran / "out" / "model_float32.tflite").read_bytes()
    (tmp_path / "broken.tflite").write_bytes(whole[: len(whole) // 2])
    model = tmp_path / words[1] if words[0] == "--model" else ran / "out"
    rest = () if words[0] == "--model" else words
    assert message in one_line_of_wrong_use(capfd, ["sample", "--model", model, *rest])


@mostly_slow((0, 2), "place", ["run", "out", "out/model_float32.tflite"])
def test_images_and_texts_are_told_apart(ran, models, capfd, place):
    line = one_line_of_wrong_use(capfd, ["sample", "--model", models[0] / place])
    assert "a network for images, which darts-tf predict is for" in line
    image = models[0] / "0.png"
    line = one_line_of_wrong_use(capfd, ["predict", "--model", ran / place, image])
    assert "a language model, which darts-tf sample is for" in line


@pytest.mark.parametrize("broken", ["vocabulary", "settings", "other settings", "no JSON"])
def test_damaged_descriptions_are_named(ran, capfd, tmp_path, broken):
    output = shutil.copytree(ran / "out", tmp_path / "out")
    assets = output / "saved_model" / "model" / "1" / "assets"
    contents = {
        "vocabulary": ("vocabulary.txt", "two words\n"),
        "settings": ("text.json", '{"splitting": "letters"}'),
        "other settings": ("text.json", '{"height": 3}'),
        "no JSON": ("text.json", "{"),
    }
    name, text = contents[broken]
    (assets / name).write_text(text)
    line = one_line_of_wrong_use(capfd, ["sample", "--model", output])
    assert "Expected vocabulary.txt and text.json of an export" in line


def test_drawn_words_are_as_frequent_as_they_are_probable():
    draw, logits = np.random.default_rng(0), np.array([0.0, 1.0, 2.0, 5.0])
    allowed = np.array([True, True, True, False])
    found = [choose(logits, allowed, 2.0, 0, draw) for _ in range(4000)]
    expected = np.exp(logits / 2) * allowed
    counts = np.bincount(found, minlength=4) / len(found)
    np.testing.assert_allclose(counts, expected / expected.sum(), atol=0.025)
    assert {choose(logits, allowed, 2.0, 2, draw) for _ in range(100)} == {1, 2}
    assert {choose(logits, np.ones(4, bool), 1e-9, 0, draw) for _ in range(20)} == {3}
    assert choose(np.zeros(4), allowed, 1.0, 1, draw) == 0


def test_export_command_writes_what_a_language_model_can_be(ran, text_models, capfd, tmp_path):
    words = ["export", "--workdir", ran / "run", "--output", tmp_path / "out"]
    assert main([*map(str, words), "--check-images", "40", "--name", "words"]) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    assert "perplexity" in captured.out
    assert "accuracy" not in captured.out
    assert "left out" not in captured.out
    report = files.read_json(tmp_path / "out" / "export_report.json")
    assert list(report["formats"]) == list(export.TEXT_FORMATS)
    assert (report["check_words"], report["check_source"]) == (40, "the test text")
    test = load_text(text_models.text).test[:44].reshape(4, 11)
    logits = np.asarray(text_models.model(test[:, :-1]), np.float64)
    losses = (
        np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, test[:, 1:, None], 2)[..., 0]
    )
    assert report["perplexity"] == pytest.approx(np.exp(losses.mean()), rel=1e-5)
    again = [*map(str, words), "--overwrite", "--format", "tflite"]
    assert main(again) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"saved_model", "model_float32.tflite"} <= names
    assert "model_float16.tflite" not in names


@mostly_slow(1, "there", ["nothing", "another text"])
def test_export_command_compares_on_random_words_where_the_text_is_gone(
    ran, text_models, capfd, tmp_path, there
):
    run = shutil.copytree(ran / "run", tmp_path / "run")
    settings = files.read_json(run / "config.json")
    files.write_json(run / "config.json", {**settings, "dataset": str(tmp_path / "text")})
    if there == "another text":
        shutil.copytree(text_models.text, tmp_path / "text")
        (tmp_path / "text" / "train.txt").write_text("other words\n")
    words = ["export", "--workdir", run, "--output", tmp_path / "out", "--format", "tflite"]
    assert main(list(map(str, words))) == 0
    assert "comparing on random words: Expected" in capfd.readouterr().out
    report = files.read_json(tmp_path / "out" / "export_report.json")
    assert (report["check_words"], report["check_source"]) == (256, "noise")
    assert report["formats"]["tflite"]["agreement"] == 1


@pytest.mark.parametrize("name", ["tflite_int8", "web"])
def test_export_command_refuses_what_a_language_model_cannot_be(ran, capfd, tmp_path, name):
    words = ["export", "--workdir", ran / "run", "--output", tmp_path / "out", "--format", name]
    line = one_line_of_wrong_use(capfd, words)
    assert f"{', '.join(export.TEXT_FORMATS)}. Received: {name}" in line
    images = ["export", "--workdir", ran / "run", "--output", tmp_path / "out"]
    line = one_line_of_wrong_use(capfd, [*images, "--calibration", tmp_path])
    assert "--calibration only for a network for images" in line
    assert not (tmp_path / "out").exists()


def test_a_vocabulary_of_another_size_is_refused(ran, capfd, tmp_path):
    run = shutil.copytree(ran / "run", tmp_path / "run")
    (run / "vocabulary.txt").write_text("".join(f"{word}\n" for word in KNOWN[1:]), "utf-8")
    line = one_line_of_wrong_use(capfd, ["sample", "--model", run])
    assert f"a vocabulary of {SIZE} words, as the model has. Received: {SIZE - 1}" in line
