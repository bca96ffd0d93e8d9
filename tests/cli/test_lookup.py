"""What files and folders on the command line mean, and what is said where they are wrong."""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess
import sys

import fake_runs
import pytest
from cli_helpers import one_line_of_wrong_use, replace_commands

from darts_tf import configs
from darts_tf.cli import arguments, lookup
from darts_tf.cli.main import COMMANDS, main
from darts_tf.configs.base import trait
from darts_tf.runs import files
from darts_tf.runs import folder as run_folder
from darts_tf.spaces.zoo import GENOTYPES

DIGITS = "--dataset digits"
SEARCH_WORDS = "which is a search; train its genotype first: darts-tf train --genotype "


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Working directory with one run of every kind."""
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    fake_runs.search(runs / "search")
    fake_runs.training(runs / "train")
    fake_runs.training(runs / "begun")
    (runs / "begun" / files.MODEL).unlink()
    fake_runs.comparison(runs / "compared")
    fake_runs.text_search(runs / "text")
    fake_runs.export(runs / "export")
    (tmp_path / "photos" / "train").mkdir(parents=True)
    (tmp_path / "file").touch()
    return tmp_path


@pytest.fixture
def ran(monkeypatch) -> list:
    """Records the configs of commands instead of running them, after the look at their files."""
    records, checked = [], lookup.checked
    replace_commands(monkeypatch, lambda config: records.append(config) or 0)
    monkeypatch.setattr(lookup, "checked", checked)
    return records


def test_every_kind_that_a_setting_names_has_a_check():
    kinds = {
        trait(each, field, "names")
        for name, _ in COMMANDS.values()
        for config_class in (getattr(configs, name),)
        for each in {config_class, configs.ON_TEXT.get(config_class, config_class)}
        for field in each.__dataclass_fields__
    }
    assert kinds - {None} == set(lookup.CHECKS)


@pytest.mark.parametrize(
    ("words", "setting", "meant"),
    [
        ("evaluate runs/train", "workdir", "runs/train"),
        ("evaluate runs/train/model.keras", "workdir", "runs/train"),
        ("export --workdir runs/train --output new", "workdir", "runs/train"),
        ("derive runs/search/genotype.json", "workdir", "runs/search"),
        ("predict --model runs/train file", "model", "runs/train"),
        ("sample runs/train", "model", "runs/train"),
        ("serve runs/train", "model", "runs/export"),
        ("serve runs/export", "model", "runs/export"),
        ("inspect runs/search", "genotype", "runs/search"),
        ("plot runs/train", "genotype", "runs/train"),
        ("train runs/search --workdir new", "genotype", "runs/search"),
        ("train runs/text --dataset pydoc --workdir new", "genotype", "runs/text"),
    ],
)
def test_folder_of_a_run_stands_for_what_is_meant(here, ran, words, setting, meant):
    assert main(words.split()) == 0
    assert pathlib.Path(getattr(ran[0], setting)).resolve() == (here / meant).resolve()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("evaluate runs/tran", "'runs/tran', which is not there. Did you mean 'runs/train'?"),
        ("evaluate nowhere", "Received: 'nowhere', which is not there"),
        ("evaluate file", "Received: 'file', a file"),
        ("evaluate runs/train --dataset photo", "not there. Did you mean 'photos'?"),
        ("evaluate runs", "a folder without a run; did you mean runs/begun?"),
        ("evaluate runs/export", "an export; name the run that it was made of"),
        ("evaluate runs/search", SEARCH_WORDS),
        ("predict --model runs/search file", SEARCH_WORDS),
        ("serve runs/search", SEARCH_WORDS),
        ("export runs/begun --output new", "resume it first: darts-tf train --workdir runs/begun"),
        ("evaluate runs/compared", "holds trainings; name one of them, such as runs/compared/DA"),
        ("derive runs/train", "which is a training of the genotype DARTS_V2"),
        ("train runs/serch --workdir new", "which is not there. Did you mean 'runs/search'?"),
        ("train runs --workdir new", "without genotype.json. Did you mean 'runs/begun'?"),
        ("train runs/text --workdir new", "Expected cells for images"),
        ("search --dataset photo --workdir new", "which is not there. Did you mean 'photos'?"),
        ("search --dataset ./digit --workdir new", "'./digit', which is not there"),
        ("predict --model runs/train a.jpg", "images to be a file. Received: 'a.jpg', which is"),
        ("predict --model runs/train photos", "images to be a file. Received: 'photos', a folder"),
        (
            "search --dataset digits --workdir runs/search",
            "'runs/search', which is not empty; 'runs/search-2' is",
        ),
        (
            "search --dataset digits --workdir file",
            "Expected workdir to be a folder. Received: file, a file",
        ),
        ("demo --workdir file", "Expected workdir to be a folder"),
        ("export runs/train --output runs/export", "which is not empty; 'runs/export-2' is free"),
        ("inspect DARTS_V2 --picture file", "Expected picture to"),
        ("derive runs/search --output file", "Expected output to be a new file (or --overwrite)"),
        (
            "search --preset digits --cost latency --latency-table t.json --workdir new",
            "Received: 't.json', whi",
        ),
        ("train DARTS_V2 --workdir new --config file.json", "'file.json', which is not there"),
    ],
)
def test_wrong_file_or_folder_is_said_with_the_cure(here, ran, capfd, words, says):
    assert says in one_line_of_wrong_use(capfd, words.split())
    assert ran == []
    assert not (here / "new").exists()


@pytest.mark.parametrize(
    "name", ["cifar10", "mnist", "imagenet2012", "mnist_corrupted/spatter", "cifar10:3.0.2"]
)
def test_published_dataset_is_no_slip_of_a_folder(here, ran, name):
    for folder in ("cifar", "minst", "imagenet", "mnist_corupted"):
        (here / folder).mkdir()
    assert main(["search", "--dataset", name, "--workdir", "new"]) == 0


def test_folder_in_use_is_refused_before_tensorflow_starts(here, ran, capfd):
    with run_folder.locked(here / "runs/search"):
        words = ["search", "--dataset", "digits", "--workdir", "runs/search", "--overwrite"]
        assert "no other process is running in" in one_line_of_wrong_use(capfd, words)
    assert main(words) == 0


def test_shared_folder_is_left_to_the_processes_that_share_it(here, ran, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert main(["search", "--dataset", "digits", "--workdir", "runs/search"]) == 0


def test_errors_about_files_need_no_tensorflow(tmp_path):
    fake_runs.search(tmp_path / "run")
    for words in (
        ["evaluate", "run"],
        ["search", "--dataset", "digits", "--workdir", "run"],
        ["train", "x"],
    ):
        code = f"import sys; from darts_tf.cli.main import main; print(main({words}), *sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        status, *modules = done.stdout.split()
        assert status == "2"
        assert not {"tensorflow", "keras", "rich", "pandas"} & set(modules)


# Next commands


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["--dataset", "digits"]),
        ({"preset": "tiny", "limit": 64}, ["--preset", "tiny", "--dataset", "digits"]),
        ({"preset": "tiny", "limit": 99, "seed": 3}, ["--limit", "99", "--seed", "3"]),
        ({"dataset": "/my photos", "image_size": 32}, ["--dataset", "/my photos"]),
        ({"preset": "p-darts", "epochs": 20}, ["--preset", "cifar10"]),
        ({"flip": True, "crop_padding": 4}, ["--crop-padding", "4", "--flip"]),
    ],
)
def test_train_command_has_the_settings_of_the_search_and_a_free_folder(here, settings, words):
    (here / "my runs").mkdir()
    options = {"epochs": 1, "done": 1, **settings}
    folder = fake_runs.search(pathlib.Path("my runs/search"), **options)
    stored = files.read_json(folder / files.CONFIG)
    command = shlex.split(lookup.train_command(folder, stored))
    assert command[:2] == ["darts-tf", "train"]
    assert [word for word in words if word not in command] == []
    made = arguments.parse(configs.TrainConfig, command[2:], "darts-tf train")
    assert (made.genotype, made.workdir) == (str(folder), pathlib.Path("my runs/train"))
    assert (made.dataset, made.limit) == (stored["dataset"], stored["limit"])
    made.workdir.mkdir()
    assert "'my runs/train-2'" in lookup.train_command(folder, stored)


def test_train_command_of_a_text_is_one_for_texts(here):
    stored = files.read_json(here / "runs/text" / files.CONFIG)
    command = shlex.split(lookup.train_command(here / "runs/text", stored))
    made = arguments.parse(configs.TrainConfig, command[2:], "darts-tf train")
    assert isinstance(made, configs.TextTrainConfig)


def test_command_quotes_what_a_shell_would_split():
    assert lookup.command("report", "a b/$c") == "darts-tf report 'a b/$c'"


def test_export_is_used_on_an_image_of_its_data_where_there_is_one(tmp_path):
    data = tmp_path / "my photos"
    (data / "test" / "cat").mkdir(parents=True)
    (data / "test" / "cat" / "1.JPG").touch()
    run = fake_runs.training(tmp_path / "run", dataset=str(data))
    used = shlex.split(lookup.use_command(tmp_path / "run-export", run))
    image = f"{data}/test/cat/1.JPG"
    assert used[1:] == ["predict", "--model", str(tmp_path / "run-export"), image]
    plain = fake_runs.training(tmp_path / "digits")
    used = shlex.split(lookup.use_command(tmp_path / "e", plain))
    assert used[1:] == ["report", str(plain), "--export", str(tmp_path / "e")]


def test_genotype_of_a_search_is_that_of_its_folder(here):
    GENOTYPES["PDARTS"].save(here / "runs/search" / files.GENOTYPE)
    assert os.path.isdir("runs/search")
    config = configs.InspectConfig(genotype="runs/search")
    assert lookup.checked(config) == config
