"""Comparisons of genotypes: the table as text, and trainings started, resumed and skipped."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest
from one_node_genotype import ONE_NODE

from darts_tf.cli.commands import compare as program
from darts_tf.cli.main import main
from darts_tf.configs import CompareConfig, TrainConfig
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs.metrics import append_metrics, read_metrics
from darts_tf.runtime.signals import Interrupted
from darts_tf.spaces.zoo import GENOTYPES, RECURRENT_GENOTYPES, ZOO
from darts_tf.studies.compare_genotypes import named_genotypes
from darts_tf.studies.tables import (
    Row,
    csv_text,
    genotype_columns,
    genotype_notes,
    genotype_table,
    genotype_to_csv,
    genotype_to_markdown,
    text_of_csv,
)

OWN = Row("own", 8, 12_345, 1_000_000, 500_000, (4.0, 2.0, 3.0))
V2 = Row("DARTS_V2", 36, 3_349_342, 528_359_040, 18_524_160, (2.5,), ZOO["DARTS_V2"])
AMOEBA = Row("AmoebaNet", 36, 3_145_078, 500_000_000, 0, (), ZOO["AmoebaNet"])
ROWS = [OWN, V2, AMOEBA]


# The table


def test_table_is_the_papers():
    head, *lines = genotype_table(ROWS, "cifar")
    assert head[-1] == "published CIFAR-10 accuracy (%)"
    assert lines == [
        ["own", "97.00 ± 1.00", "0.0123", "1.0", "1.5", "", "", ""],
        [
            "DARTS_V2",
            "97.50",
            "3.35",
            "528.4",
            "546.9",
            "4",
            ZOO["DARTS_V2"].method,
            "97.24 ± 0.09",
        ],
        ["AmoebaNet", "", "3.15", "500.0", "500.0", "3150", "evolution", "96.66 ± 0.06"],
    ]
    assert genotype_notes(ROWS)[1:] == ["AmoebaNet: CIFAR-10 error without cutout"]


def test_imagenet_stem_has_the_errors_published_on_imagenet():
    head, line = genotype_table([V2], "imagenet")
    assert (head[-1], line[-1]) == ("published ImageNet accuracy (%)", "73.30")


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-a", "@b", "'=c", "\t=d"])
def test_csv_quotes_texts_that_a_spreadsheet_would_compute(name):
    row = dataclasses.replace(ROWS[0], name=name)
    (line,) = csv.DictReader(io.StringIO(genotype_to_csv([row], "cifar"), newline=""))
    assert line["genotype"] == f"'{name}"
    assert text_of_csv(line["genotype"]) == name


@pytest.mark.parametrize("value", [-1.5, "DARTS_V2", "it's", "1e-3", "", None])
def test_csv_leaves_numbers_and_other_texts(value):
    assert csv_text(value) == value
    assert value is None or text_of_csv(str(value)) == str(value)


def test_csv_has_the_numbers_in_full():
    own, v2, amoeba = csv.DictReader(io.StringIO(genotype_to_csv(ROWS, "cifar")))
    assert (own["test_error"], own["test_error_deviation"], own["seeds"]) == ("3.0", "1.0", "3")
    assert (own["gpu_days"], own["method"], own["published_error"]) == ("", "", "")
    assert (v2["params"], v2["macs"], v2["macs_and_elementwise"]) == (
        *("3349342", "528359040", "546883200"),
    )
    assert (v2["test_error_deviation"], v2["published_deviation"]) == ("", "0.09")
    assert (amoeba["test_error"], amoeba["note"]) == ("", "CIFAR-10 error without cutout")
    assert list(own) == list(genotype_columns(OWN, "cifar"))


def test_markdown_is_the_table_with_its_notes():
    head, rule, *lines = genotype_to_markdown(ROWS, "cifar").splitlines()
    assert head.count("|") == rule.count("|") == lines[0].count("|") == 9
    assert lines[0].startswith("| own | 97.00 ± 1.00 | 0.0123 |")
    assert lines[-1] == "- AmoebaNet: CIFAR-10 error without cutout"


# Genotypes and settings


def test_genotypes_are_named_after_the_zoo_and_their_files(tmp_path):
    genotype = GENOTYPES["PDARTS"]
    for name in ("search/genotype.json", "mine.json"):
        genotype.save(tmp_path / name)
    texts = ("DARTS_V2", str(tmp_path / "search/genotype.json"), str(tmp_path / "mine.json"))
    assert named_genotypes(texts) == {
        **{"DARTS_V2": GENOTYPES["DARTS_V2"], "search": genotype, "mine": genotype}
    }
    genotype.save(tmp_path / "DARTS_V2.json")
    with pytest.raises(InputError, match="names of their own.* Received: 'DARTS_V2'"):
        named_genotypes(("DARTS_V2", str(tmp_path / "DARTS_V2.json")))


def test_recurrent_cell_is_refused_before_anything_is_written(tmp_path, capsys):
    path = tmp_path / "genotype.json"
    RECURRENT_GENOTYPES["DARTS_V2"].save(path)
    words = ["--genotypes", f"DARTS_V2,{path}", "--workdir", str(tmp_path / "run")]
    assert main(["compare", *words]) == 2
    expected = "Expected cells for images. Received: a recurrent cell"
    assert capsys.readouterr().err == f"darts-tf: error: {path}: {expected}, for text\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "texts", [["DARTS_V1,PDARTS"], ["DARTS_V1", "PDARTS,"], "DARTS_V1, PDARTS"]
)
def test_genotypes_are_given_with_commas_or_spaces(texts):
    config = CompareConfig(genotypes=texts, workdir="run")
    assert config.genotypes == ("DARTS_V1", "PDARTS")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"genotypes": ("PDARTS", "PDARTS")}, "genotypes to name each .*Received: PDARTS, PDARTS"),
        ({"genotypes": ","}, "Expected one of genotypes and methods. Received: none"),
        ({"genotypes": 3}, "genotypes to be a list of: a text. Received: genotypes=3"),
        ({"methods": "random"}, "one of genotypes and methods. Received: both"),
        (
            {"genotypes": (), "methods": "random,randon"},
            "method to be one of .* Did you mean 'random'",
        ),
        (
            {"genotypes": (), "methods": "evolution"},
            "against to be one of .* Received: against=random, methods=evolution",
        ),
        (
            {"genotypes": (), "methods": "random", "budget": "trials=3"},
            "budget as in time=10min with methods. Received: budget=trials=3",
        ),
        ({"seeds": (1, 1)}, "seeds to name each of one or more once. Received: 1, 1"),
        ({"seeds": ("0,x",)}, "seeds to be a whole number, .*Received: seeds=.x."),
        ({"seeds": (0, -1)}, "seeds to be zero or more, below .*Received: 0, -1"),
    ],
)
def test_bad_settings_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        CompareConfig(**{"genotypes": ("DARTS_V1",), "workdir": "run", **fields})


def test_seeds_are_read_as_people_write_them():
    config = CompareConfig(genotypes=("PDARTS",), workdir="run", seeds=("0,2", 5))
    assert config.seeds == (0, 2, 5)
    assert CompareConfig.from_dict(config.to_dict()) == config


# The command


SMALL = ["--preset", "tiny", "--dataset", "digits", "--genotypes", "DARTS_V2,PDARTS"]


def read(folder) -> list[dict]:
    return list(csv.DictReader(io.StringIO((folder / "compare.csv").read_text())))


def errors(folder) -> list[str]:
    return [row["test_error"] for row in read(folder)]


def test_compare_measures_without_a_dataset(tmp_path, capsys):
    words = ["--genotypes", "DARTS_V2", "--stem", "imagenet", "--cells", "14", "--channels", "48"]
    assert main(["compare", *words, "--workdir", str(tmp_path), "--dataset", "none"]) == 0
    (row,) = read(tmp_path)
    assert (row["params"], row["macs"]) == ("4718752", "529911552")
    assert (row["test_error"], row["published_error"]) == ("", "26.7")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"table: {tmp_path / 'compare.csv'} and {tmp_path / 'compare.md'}"


@pytest.fixture
def trainings(monkeypatch) -> list[TrainConfig]:
    """Replaces trainings by a function that writes the files of a finished run; lists the calls."""
    seen = []

    def train(config):
        seen.append(config)
        if len(seen) == 3:
            raise Interrupted("")
        GENOTYPES[config.genotype].save(config.workdir / files.GENOTYPE)
        append_metrics(config.workdir, {"epoch": 0, "test_accuracy": 0.5 + 0.1 * config.seed})
        (config.workdir / files.MODEL).touch()
        files.write_json(config.workdir / files.CONFIG, config.to_dict())

    monkeypatch.setattr(program, "_train", train)
    return seen


def test_comparison_goes_on_where_it_was_stopped_and_further(tmp_path, trainings, capsys):
    folder = tmp_path / "run"
    options = ["--workdir", str(folder)]
    assert main(["compare", *SMALL, *options, "--train", "--seeds", "0,1"]) == 130
    assert f"; completed work is kept, and --workdir {folder} --resume" in capsys.readouterr().err
    assert errors(folder) == ["50.0", "50.0"]
    assert main(["compare", *options, "--resume"]) == 0
    done = [(run.genotype, run.seed) for run in trainings]
    assert done == [("DARTS_V2", 0), ("PDARTS", 0), ("DARTS_V2", 1), ("DARTS_V2", 1), ("PDARTS", 1)]
    assert [run.workdir for run in trainings[:2]] == [
        folder / name / "seed-0" for name in ("DARTS_V2", "PDARTS")
    ]
    assert errors(folder) == ["45.0", "45.0"]
    assert main(["compare", *options, "--resume", "--genotypes", "PDARTS", "--seeds", "0"]) == 0
    assert (len(trainings), errors(folder)) == (5, ["50.0"])
    assert main(["compare", *options, "--resume", "--channels", "3"]) == 2
    assert "Expected channels=2, with which the run started" in capsys.readouterr().err


def test_run_of_another_recipe_is_refused(tmp_path, trainings, capsys):
    folder = tmp_path / "run"
    assert main(["compare", *SMALL, "--workdir", str(folder), "--train"]) == 0
    path = folder / "PDARTS" / "seed-0" / files.CONFIG
    files.write_json(path, {**files.read_json(path), "momentum": 0.5})
    capsys.readouterr()
    assert main(["compare", "--workdir", str(folder), "--resume"]) == 2
    assert f"Expected momentum=0.5, with which the run started ({path})" in capsys.readouterr().err


def test_overwrite_takes_a_comparison_with_its_runs_and_nothing_else(tmp_path, trainings, capsys):
    folder = tmp_path / "run"
    words = ["compare", *SMALL, "--workdir", str(folder)]
    assert main([*words, "--train"]) == 0
    assert main(words) == 2
    foreign = folder / "PDARTS" / "thesis.txt"
    foreign.write_text("")
    assert main([*words, "--overwrite"]) == 2
    assert "Received: workdir=" in capsys.readouterr().err
    foreign.unlink()
    assert main([*words, "--overwrite"]) == 0
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == []


def test_comparison_trains_ordinary_runs(tmp_path, capsys):
    folder = tmp_path / "run"
    ONE_NODE.save(tmp_path / "one_node.json")
    words = ["--genotypes", str(tmp_path / "one_node.json"), "--train", "--workdir", str(folder)]
    words += ["--preset", "tiny", "--dataset", "digits", "--max-macs", "200k"]
    assert main(["compare", *words]) == 0
    run = folder / "one_node" / "seed-0"
    accuracy = read_metrics(run)[-1]["test_accuracy"]
    assert errors(folder) == [str(100 * (1 - accuracy))]
    (row,) = read(folder)
    assert int(row["macs"]) <= 200_000
    assert str(files.read_json(run / files.CONFIG)["channels"]) == row["channels"] != "2"
    assert main(["evaluate", "--workdir", str(run)]) == 0
    assert main(["train", "--workdir", str(run), "--resume"]) == 0
    assert f"{row['channels']} channels, for at most 200,000 MACs" in capsys.readouterr().out
