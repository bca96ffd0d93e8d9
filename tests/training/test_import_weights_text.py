"""Import of the authors' language models: the resulting run, and rejected input."""

from __future__ import annotations

import functools
import types

import numpy as np
import pytest
from audit_reader import fuzz
from cli_helpers import one_line_of_wrong_use, write_images
from golden_data import FOLDER, Golden
from hypothesis import strategies as st
from numpy_reference import recurrent_step
from state_dicts import small_state, write_npz
from text_folders import write_texts

from darts_tf.cli.main import main
from darts_tf.configs import ImportConfig, TextTrainConfig
from darts_tf.data import load_text
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.spaces.genotype import RecurrentGenotype
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES
from darts_tf.training.import_weights import KINDS, PRESETS, import_run, text_architecture
from darts_tf.training.text import load_run

WORDS = [f"w{i}" for i in range(22)]
"""Words that, with `<eos>`, are as many as the golden model's vocabulary."""


@functools.cache
def golden() -> Golden:
    return Golden(FOLDER / "rnn_eval_darts_v2.npz")


def golden_state() -> dict[str, np.ndarray]:
    return golden().section("weights")


def write_text(folder):
    """Writes a folder whose words first occur in the order w0, w1, `<eos>`, w2, ..."""
    train = f"w0 w1\n{' '.join(WORDS[2:])}\n" * 20  # enough for the presets' batches
    return write_texts(folder, train=train, valid="w3 w1\n" * 20, test="w5 w5 w0\nw21 w2")


def import_state(folder, state, **changed):
    """Writes state dict and text and imports them; returns the model."""
    path, text = write_npz(folder / "weights.npz", state), write_text(folder / "text")
    settings = {"checkpoint": path, "genotype": "DARTS_V2", "kind": "ptb", "dataset": str(text)}
    return import_run(ImportConfig(**{**settings, "output": folder / "run", **changed}))


def test_imported_model_gives_the_golden_logits(tmp_path):
    import_state(tmp_path, golden_state())
    model, _ = load_run(tmp_path / "run")
    logits, state = model(golden()["x"], initial_state=golden()["hidden"], return_state=True)
    logits = np.asarray(logits, np.float64)
    log_prob = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(log_prob, golden()["log_prob"], atol=2e-5)
    np.testing.assert_allclose(state, golden()["hidden_after"], atol=1e-5)


@pytest.mark.parametrize("kind", PRESETS)
def test_run_has_what_the_weights_the_kind_and_the_text_say(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import_state(tmp_path, golden_state(), kind=kind, dataset="text")
    trained = TextTrainConfig.from_dict(files.read_json(tmp_path / "run" / files.CONFIG))
    preset = {"ptb": "ptb", "wikitext2": "wikitext-2"}[kind]
    own = {"genotype": "DARTS_V2", "workdir": tmp_path / "run", "dataset": str(tmp_path / "text")}
    assert trained == TextTrainConfig.from_preset(preset, units=8, **own)
    model, vocabulary = load_run(tmp_path / "run")
    assert model.dropouts == trained.dropouts
    assert trained.hidden_dropout == {"ptb": 0.25, "wikitext2": 0.15}[kind]
    assert vocabulary.words == ("w0", "w1", "<eos>", *WORDS[2:])
    stored = (tmp_path / "run" / files.GENOTYPE).read_text()
    assert RecurrentGenotype.from_json(stored) == RECURRENT_GENOTYPES["DARTS_V2"]
    description = files.read_json(tmp_path / "run" / files.DATASET)
    assert (description["name"], description["vocabulary"]) == (trained.dataset, 23)
    kept = {files.CONFIG, files.DATASET, files.GENOTYPE, files.MODEL, files.LOG, files.LOCK}
    assert {path.name for path in (tmp_path / "run").iterdir()} == kept | {files.VOCABULARY}


# The commands


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("import")
    path, text = write_npz(folder / "weights.npz", golden_state()), write_text(folder / "text")
    words = ["import", "--checkpoint", path, "--genotype", "DARTS_V2", "--kind", "ptb"]
    words += ["--dataset", text, "--output", folder / "run"]
    assert main([str(word) for word in words]) == 0
    return folder / "run"


def test_import_says_what_the_model_is(imported, capsys):
    words = ["import", "--checkpoint", imported.parent / "weights.npz", "--genotype", "DARTS_V2"]
    words += ["--kind", "wikitext2", "--dataset", imported.parent / "text"]
    assert main([*map(str, words), "--output", str(imported.parent / "other")]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == "8 units, 23 words: 1,487 parameters"
    assert last == f"next: darts-tf evaluate {imported.parent / 'other'}"


def plain_perplexity(tokens) -> float:
    """Computes the perplexity with NumPy from the state dict."""
    state = golden_state()
    cell = types.SimpleNamespace(
        genotype=RECURRENT_GENOTYPES["DARTS_V2"],
        input_kernel=state["rnns.0._W0"][:8],
        recurrent_kernel=state["rnns.0._W0"][8:],
        node_kernels=[state[f"rnns.0._Ws.{i}"] for i in range(8)],
    )
    hidden, losses = np.zeros((1, 8)), []
    for token, target in zip(tokens, tokens[1:], strict=False):
        hidden = recurrent_step(cell, state["encoder.weight"][[token]], hidden, None)
        logits = hidden[0] @ state["decoder.weight"].T + state["decoder.bias"]
        losses.append(np.log(np.exp(logits).sum()) - logits[target])
    return np.exp(np.mean(losses))


def test_evaluate_takes_an_imported_run(imported, capsys):
    """The words are in the order of the files."""
    assert main(["evaluate", "--workdir", str(imported)]) == 0
    order, test = ["w0", "w1", "<eos>", *WORDS[2:]], ["w5", "w5", "w0", "<eos>", "w21", "w2"]
    expected = plain_perplexity([order.index(word) for word in [*test, "<eos>"]])
    assert f"test perplexity {expected:.2f}  loss {np.log(expected):.4f}  on 6 words" in (
        capsys.readouterr().out
    )


def test_imported_run_is_not_resumed(imported, capfd):
    """Its training is unknown, so it would start again and replace the model."""
    before = (imported / files.MODEL).read_bytes()
    line = one_line_of_wrong_use(capfd, ["train", "--workdir", imported, "--resume"])
    assert "Received: one with other words" in line
    assert (imported / files.MODEL).read_bytes() == before


def test_a_folder_in_use_is_overwritten_on_demand_alone(imported, tmp_path):
    import_state(tmp_path, golden_state())
    before = (tmp_path / "run" / files.MODEL).read_bytes()
    with pytest.raises(InputError, match="--overwrite"):
        import_state(tmp_path, golden_state())
    assert (tmp_path / "run" / files.MODEL).read_bytes() == before
    import_state(tmp_path, golden_state(), kind="wikitext2", overwrite=True)
    assert (tmp_path / "run" / files.MODEL).read_bytes() != before


def test_embedded_text_is_taken_where_its_size_fits(tmp_path):
    words = len(load_text("pydoc").vocabulary)
    RecurrentGenotype([("tanh", 0)], [1]).save(tmp_path / "cell.json")
    shapes = {"encoder.weight": (words, 2), "decoder.weight": (words, 2), "decoder.bias": (words,)}
    shapes |= {"rnns.0._W0": (4, 4), "rnns.0._Ws.0": (2, 4)}
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    import_state(tmp_path, state, dataset="pydoc", genotype=str(tmp_path / "cell.json"))
    assert main(["evaluate", "--workdir", str(tmp_path / "run"), "--limit", "50"]) == 0
    assert files.read_json(tmp_path / "run" / files.CONFIG)["dataset"] == "pydoc"


# Rejected input


def without(name):
    return lambda state: state.pop(name)


def holding(name, *shape):
    return lambda state: state.update({name: np.zeros(shape, np.float32)})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("encoder.weight"), "language model, which has encoder.weight. Received: names"),
        (holding("rnns.0._W0", 16), "Expected a language model, which has rnns.0._W0. Received"),
        (holding("encoder.weight", 22, 8), "of 22 different words. Received: .*text' with 23$"),
        (holding("encoder.weight", 23, 0), "rnns.0._W0 of 0 rows and columns"),
        (holding("encoder.weight", 1, 10**6), "rnns.0._W0 of 2000000 rows .* has 1000000 columns"),
        (holding("rnns.0._W0", 16, 8), r"rnns.0._W0 of 16 rows .*shape \(16, 8\)$"),
        (without("rnns.0._Ws.7"), "cell of 8 nodes, as 'DARTS_V2' has. Received: those of 7$"),
        (holding("rnns.0._Ws.8", 8, 16), "Received: those of 9$"),
        (without("decoder.bias"), "1 missing: decoder.bias$"),
        (holding("decoder.weight", 23, 8), "decoder.weight to equal encoder.weight"),
        (holding("rnns.1._W0", 16, 16), "1 unknown: rnns.1._W0$"),
        (holding("rnns.0.bn.running_mean", 8), "1 unknown: rnns.0.bn.running_mean$"),
        (holding("rnns.0._Ws.3", 16, 8), r"_Ws.3 \(16, 8\) instead of \(8, 16\)$"),
    ],
)
def test_state_dict_of_another_architecture_writes_nothing(tmp_path, change, says):
    state = golden_state()
    change(state)
    with pytest.raises(InputError, match=says) as raised:
        import_state(tmp_path, state)
    assert "\n" not in str(raised.value)
    assert {path.name for path in tmp_path.iterdir()} == {"weights.npz", "text"}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"dataset": None}, r"text that it was trained on \(--dataset FOLDER\), .* Received: none"),
        ({"classes": "classes.txt"}, "no file of classes: .*Received: 'classes.txt'"),
        ({"dataset": "nowhere"}, "Expected pydoc, or a folder with .* Received: 'nowhere'"),
        ({"dataset": "pydoc"}, "of 23 different words. Received: 'pydoc' with"),
        ({"genotype": "ENAS"}, "cell of 11 nodes, as 'ENAS' has. Received: those of 8$"),
        ({"genotype": "PDARTS"}, "PDARTS: Expected a recurrent cell, for text"),
        ({"kind": "wikitext"}, "one of cifar10, imagenet, ptb, wikitext2. .*mean 'wikitext2'"),
        ({"kind": "cifar10", "dataset": None}, "which has stem.0.weight and .*names encoder.weig"),
    ],
)
def test_other_arguments_are_refused_and_write_nothing(tmp_path, changed, says):
    with pytest.raises(InputError, match=says) as raised:
        import_state(tmp_path, golden_state(), **changed)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_cells_weights_and_folders_for_images_are_refused(tmp_path):
    GENOTYPES["DARTS_V2"].save(tmp_path / "cells.json")
    with pytest.raises(InputError, match=r"cells.json: Expected a recurrent cell, for text"):
        import_state(tmp_path, golden_state(), genotype=str(tmp_path / "cells.json"))
    write_images(tmp_path / "images", {"train": 1})
    with pytest.raises(InputError, match="which looks like a folder of images"):
        import_state(tmp_path, golden_state(), dataset=str(tmp_path / "images"))
    with pytest.raises(InputError, match="language model, which has encoder.weight and rnns.0._W0"):
        import_state(tmp_path, small_state())


def test_whole_model_of_pytorch_is_refused_and_not_run(tmp_path, capfd):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    words = ["import", "--checkpoint", tmp_path / "model.pt", "--genotype", "DARTS_V2"]
    words += ["--kind", "ptb", "--dataset", "pydoc", "--output", tmp_path / "run"]
    assert "torch.save(model.state_dict(), FILE)" in one_line_of_wrong_use(capfd, words)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_use_is_one_line(tmp_path, capfd, kind):
    write_npz(tmp_path / "weights.npz", {"a": np.zeros(3)})
    words = ["import", "--checkpoint", tmp_path / "weights.npz", "--genotype", "DARTS_V2"]
    words += ["--kind", kind, "--output", tmp_path / "run"]
    assert "Received: n" in one_line_of_wrong_use(capfd, words)
    assert not (tmp_path / "run").exists()


NAMES = st.sampled_from([*golden_state(), "rnns.0._Ws.", "rnns.0._Ws.x", "rnns.0._Ws.٣", "", "\n"])
SHAPES = st.lists(st.sampled_from([0, 1, 2, 4, 8, 16, 23]), max_size=3)


def test_state_dict_is_taken_or_refused():
    def read(changes):
        state = golden_state() | {name: np.zeros(shape) for name, shape in changes.items()}

        def reader():
            vocabulary, units, nodes = text_architecture(state)
            assert (vocabulary, units) == state["encoder.weight"].shape
            assert nodes == 8

        return reader

    assert fuzz(st.dictionaries(NAMES, SHAPES, max_size=4), 300, read) > 0.1
