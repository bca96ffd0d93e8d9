"""The commands as users type them, on a short text."""

from __future__ import annotations

import re

import pytest
from cli_helpers import one_line_of_wrong_use, replace_commands
from text_folders import SMALL, write_texts

from darts_tf.cli.main import main
from darts_tf.configs import SearchConfig, TextSearchConfig, TextTrainConfig
from darts_tf.runs import files
from darts_tf.runs.metrics import read_metrics

TEXTS = dict.fromkeys(SMALL, "the cat sat on the mat \n and then it left \n" * 12)
FAST = ["--preset", "tiny", "--arch-gradient", "first_order", "--time-steps", "6"]
STREAMS = ["--batch-size", "4", "--valid-batch-size", "2"]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return write_texts(tmp_path_factory.mktemp("texts") / "text", **TEXTS)


@pytest.fixture(scope="module")
def searched(text, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "search"
    assert main(["search", *FAST, *STREAMS, "--dataset", str(text), "--workdir", str(workdir)]) == 0
    return workdir


@pytest.fixture(scope="module")
def trained(text, searched):
    workdir = searched.parent / "train"
    arguments = ["--genotype", str(searched / files.GENOTYPE), "--dataset", str(text), *STREAMS]
    options = ["--preset", "tiny", "--epochs", "3", "--workdir", str(workdir)]
    assert main(["train", *options, *arguments]) == 0
    return workdir


def test_search_writes_a_recurrent_genotype_of_the_folder(searched, text):
    assert set(files.read_json(searched / files.GENOTYPE)) >= {"recurrent", "concat"}
    assert files.read_json(searched / files.CONFIG)["dataset"] == str(text)


def test_train_resumed_needs_no_more_than_the_folder(trained, capsys):
    assert main(["train", "--workdir", str(trained), "--resume"]) == 0
    lines = capsys.readouterr().out.splitlines()
    best = min(line["valid_perplexity"] for line in read_metrics(trained))
    assert any(line.startswith(f"validation perplexity {best:.2f}, in epoch ") for line in lines)
    words = "training, 144 validation and 144 test words, vocabulary of 10"
    assert any(words in line for line in lines)


def test_evaluate_says_how_it_measured(trained, capsys):
    assert main(["evaluate", "--workdir", str(trained)]) == 0
    usual = capsys.readouterr().out
    assert usual.startswith("test perplexity ")
    assert usual.endswith("on 143 words, each from all words before it\n")
    assert main(["evaluate", "--workdir", str(trained), "--batch-size", "4"]) == 0
    assert "on 140 words, in 4 streams, each without a memory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "config_class", "fields"),
    [
        (["search", "--dataset", "pydoc"], TextSearchConfig, {"preset": "pydoc", "units": 128}),
        (["search", "--preset", "ptb"], TextSearchConfig, {"dataset": "ptb", "batch_size": 256}),
        (["search", "--preset", "digits"], SearchConfig, {"dataset": "digits"}),
        (["search", "--preset=tiny", "--dataset=pydoc"], TextSearchConfig, {"units": 16}),
        (["train", "--genotype", "x", "--preset", "ptb"], TextTrainConfig, {"units": 850}),
    ],
)
def test_dataset_or_preset_tells_text_from_images(
    tmp_path, monkeypatch, argv, config_class, fields
):
    seen = []
    replace_commands(monkeypatch, lambda config: seen.append(config) or 0)
    assert main([*argv, "--workdir", str(tmp_path / "run")]) == 0
    assert type(seen[0]) is config_class
    assert {name: getattr(seen[0], name) for name in fields} == fields


def test_transfer_to_wikitext_is_one_command(text, searched, monkeypatch, capfd):
    seen = []
    replace_commands(monkeypatch, lambda config: seen.append(config) or 0)
    command = ["train", "--preset", "wikitext-2", "--dataset", str(text)]
    found = ["--genotype", str(searched / files.GENOTYPE), "--workdir", "run"]
    assert main([*command, *found]) == 0
    assert (seen[0].units, seen[0].hidden_dropout, seen[0].epochs) == (700, 0.15, 3600)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--dataset", "TEXT", "--cutout", "3"],
            "for this data. Received: --cutout, which is f",
        ),
        (["--dataset", "digits", "--units", "3"], "Received: --units, which is for a text"),
        (
            ["--dataset", "TEXT", "--preset", "cifar10"],
            "one of pydoc, ptb, tiny. Received: preset=",
        ),
        (["--preset", "ptb"], "Expected pydoc, or a folder with train.txt, .* Received: 'ptb'"),
        (["--dataset", "TEXT", "--batch-size", "999"], "Expected batch_size to be at most 48, so"),
        (["--dataset", "TEXT", "--limit", "2"], "Expected batch_size to be at most 0, so that eac"),
        (["--dataset", "EMPTY"], "with words in it. Received: .*valid.txt' without any"),
        (["--dataset", "MISSING"], "Received: .*missing' without test.txt"),
        (["--dataset", "LATIN"], "Expected a text in UTF-8. Received: .*train.txt', "),
        (["--dataset", "TEXT", "--hidden-dropout", "1"], "hidden_dropout to be from 0 to below 1"),
        (["--dataset", "TEXT", "--sync-batch-norm"], "--sync-batch-norm, which is for images"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(text, tmp_path, capfd, argv, message):
    folders = {
        "TEXT": text,
        "EMPTY": write_texts(tmp_path / "empty", valid=" \n"),
        "MISSING": write_texts(tmp_path / "missing", test=None),
        "LATIN": write_texts(tmp_path / "latin", train="caf\xe9".encode("latin-1")),
    }
    argv = [str(folders.get(word, word)) for word in argv]
    line = one_line_of_wrong_use(capfd, ["search", "--workdir", str(tmp_path / "run"), *argv])
    assert re.search(message, line)
    assert not (tmp_path / "run").exists()


def test_cell_of_the_other_kind_is_refused(text, searched, tmp_path, capfd):
    workdir = ["--workdir", str(tmp_path / "run"), "--preset", "tiny"]
    cell = str(searched / files.GENOTYPE)
    line = one_line_of_wrong_use(capfd, ["train", "--genotype", cell, *workdir])
    assert "Expected cells for images. Received: a recurrent cell" in line
    on_text = ["train", "--dataset", str(text), *workdir]
    line = one_line_of_wrong_use(capfd, [*on_text, "--genotype", "PDARTS"])
    assert "PDARTS: Expected a recurrent cell, for text. Received: cells for images" in line


def test_run_on_text_is_not_resumed_on_images(searched, capfd):
    line = one_line_of_wrong_use(capfd, ["train", "--resume", "--workdir", str(searched)])
    assert (
        "Expected the settings of a training on text. Received: those of a search on text" in line
    )
    resumed = ["search", "--resume", "--workdir", str(searched)]
    line = one_line_of_wrong_use(capfd, [*resumed, "--dataset", "digits"])
    assert "Expected a dataset" in line or "Received" in line
