"""`--resume` on the command line: the run's settings, and those that may differ."""

from __future__ import annotations

import dataclasses
import re
import signal

import fake_runs
import pytest
from cli_helpers import replace_commands
from run_folders import begin, contents, dataset

from darts_tf import configs
from darts_tf.cli import jobs
from darts_tf.cli.main import main
from darts_tf.runs import checkpoints, files
from darts_tf.runs import folder as run_folder
from darts_tf.runtime.signals import Interrupted
from darts_tf.spaces.zoo import GENOTYPES

SETTINGS = {"preset": "tiny", "channels": 4, "flip": True, "limit": 9, "checkpoint_steps": 7}


@pytest.fixture
def ran(monkeypatch) -> list:
    """Records the configs of commands instead of running them."""
    records = []
    replace_commands(monkeypatch, lambda config: records.append(config) or 0)
    return records


@pytest.fixture
def folder(tmp_path):
    """The folder of a search with unusual settings."""
    return begin(tmp_path / "run", **SETTINGS)


@pytest.fixture
def trained(tmp_path):
    """The folder of a training."""
    config = configs.TrainConfig(workdir=tmp_path / "train", genotype="DARTS_V2", epochs=3)
    with run_folder.started_run(config, dataset(), GENOTYPES["DARTS_V2"]) as made:
        return made


def test_resume_needs_the_folder_alone(ran, folder, trained):
    assert main(["search", "--workdir", str(folder), "--resume"]) == 0
    assert main(["train", "--resume", f"--workdir={trained}"]) == 0
    assert ran == [
        configs.SearchConfig(workdir=folder, resume=True, **SETTINGS),
        configs.TrainConfig(workdir=trained, resume=True, genotype="DARTS_V2", epochs=3),
    ]


def test_resume_takes_flags_that_say_what_the_run_was_begun_with(ran, folder):
    words = ["--preset", "tiny", "--channels", "4", "--flip", "--limit=9", "--epochs", "1"]
    assert main(["search", *words, "--workdir", str(folder), "--resume"]) == 0
    assert ran == [configs.SearchConfig(workdir=folder, resume=True, **SETTINGS)]


def test_resume_takes_more_epochs(ran, folder):
    assert main(["search", "--workdir", str(folder), "--resume", "--epochs", "20"]) == 0
    assert ran == [configs.SearchConfig(workdir=folder, resume=True, epochs=20, **SETTINGS)]


@pytest.mark.parametrize(
    ("settings", "epochs", "says"),
    [
        ({}, 4, "this run has ended: 4 of 4 epochs are done; --resume --epochs 8 trains on"),
        ({}, 8, "8 epochs instead of 4: the cosine schedule now spans all of them, and the "),
        ({}, 8, "learning rate of epoch 5 is 0.0125, after 0.00366"),
        ({"schedule": "constant"}, 8, "the learning rate goes on as it was (constant)"),
    ],
)
def test_resume_says_what_it_continues(tmp_path, capsys, settings, epochs, says):
    folder = fake_runs.training(tmp_path / "run", epochs=4, **settings)
    config = run_folder.resumed(configs.TrainConfig, folder)
    jobs.prepare(dataclasses.replace(config, epochs=epochs))
    assert says in capsys.readouterr().out


DIFFERING = {
    **{"strategy": "mirrored", "devices": 2, "max_bad_steps": 3},
    **{"checkpoint_steps": 5, "checkpoint_minutes": 2.5, "keep_checkpoints": 1},
    "profile_steps": "4,5",
}


def test_resume_takes_other_settings_of_how_it_runs(ran, folder):
    assert {*DIFFERING, "workdir", "overwrite", "resume"} == run_folder.MAY_DIFFER
    words = [f"--{name.replace('_', '-')}={value}" for name, value in DIFFERING.items()]
    assert main(["search", "--workdir", str(folder), "--resume", *words]) == 0
    changed = {**SETTINGS, **DIFFERING}
    assert ran == [configs.SearchConfig(workdir=folder, resume=True, **changed)]


def test_resume_leaves_the_name_of_the_dataset_to_when_it_is_loaded(ran, folder):
    assert main(["search", "--workdir", str(folder), "--resume", "--dataset", "./data"]) == 0
    assert ran[0].dataset == "./data"


def refused(capsys, argv) -> str:
    """Runs an invalid command line and returns its line of error."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("darts-tf: error: ")
    return err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--channels 8", r"channels=4, with which the run started \(.*config.json\). .*nels=8$"),
        ("--preset cifar10", "preset='tiny', .* Received: preset='cifar10'$"),
        ("--no-flip", "flip=True, .* Received: flip=False$"),
        ("--limit None", "limit=9, .* Received: limit=None$"),
        ("--seed 1 --batch-size 3", "batch_size=16, .* Received: batch_size=3$"),
        ("--learning-rate 0.5", "learning_rate=0.025, .* Received: learning_rate=0.5$"),
        ("--overwrite", "one of overwrite and resume. Received: both"),
        ("--devices 0", "devices to be positive. Received: devices=0"),
        ("--chanels 4", "Did you mean --channels?"),
        ("--workdir nowhere", "workdir to hold a run to resume, with its config.json"),
        ("--genotype DARTS_V2", "a flag that --help-all lists. Received: --genotype"),
    ],
)
def test_resume_refuses_what_the_run_was_not_begun_with(ran, folder, capsys, words, message):
    before = contents(folder.parent)
    argv = ["search", "--workdir", str(folder), "--resume", *words.split()]
    assert re.search(message, refused(capsys, argv).rstrip("\n"))
    assert (ran, contents(folder.parent)) == ([], before)


def test_resume_refuses_a_run_of_another_command(ran, folder, trained, capsys):
    for command, workdir, kinds in (
        ("train", folder, ("training", "search")),
        ("search", trained, ("search", "training")),
    ):
        err = refused(capsys, [command, "--workdir", str(workdir), "--resume"])
        expected, received = kinds
        assert f"the settings of a {expected}. Received: those of a {received}\n" in err
    assert ran == []


def test_resume_refuses_a_folder_without_a_run_and_makes_none(ran, tmp_path, capsys):
    err = refused(capsys, ["train", "--workdir", str(tmp_path / "new"), "--resume"])
    assert "to hold a run to resume, with its config.json" in err
    assert (ran, list(tmp_path.iterdir())) == ([], [])


def test_resume_shows_help(ran, folder, capsys):
    assert main(["search", "--workdir", str(folder), "--resume", "--help"]) == 0
    assert "usage: darts-tf search" in capsys.readouterr().out
    assert ran == []


# Ctrl-C


def stopped(monkeypatch, capsys, argv, error) -> tuple[int, str]:
    """Returns status and line of a command that raises `error`."""

    def run(config):
        raise error

    replace_commands(monkeypatch, run)
    status = main([str(word) for word in argv])
    return status, capsys.readouterr().err


@pytest.mark.parametrize("option", [[], ["--resume"], ["--overwrite"]])
def test_ctrl_c_before_the_training_loop_leaves_a_run_as_it_was(
    monkeypatch, capsys, folder, option
):
    made = folder / files.CHECKPOINTS
    made.mkdir()
    checkpoints.write(made, checkpoints.Position(1, 0, 2), {}, [])
    argv = ["search", "--dataset", "digits", "--workdir", folder, *option]
    status, err = stopped(monkeypatch, capsys, argv, KeyboardInterrupt())
    kept = f"{folder} is unchanged, and --resume continues from its last checkpoint"
    assert (status, err) == (130, f"darts-tf: stopped; {kept}\n")


def test_ctrl_c_before_the_first_checkpoint_says_that_there_is_none(monkeypatch, capsys, folder):
    argv = ["search", "--dataset", "digits", "--workdir", folder, "--overwrite"]
    status, err = stopped(monkeypatch, capsys, argv, KeyboardInterrupt())
    kept = f"{folder} has no checkpoint yet, and --resume starts it"
    assert (status, err) == (130, f"darts-tf: stopped; {kept}\n")


def test_ctrl_c_says_no_more_where_there_is_no_run(monkeypatch, capsys, tmp_path, trained):
    for argv in (
        ["search", "--dataset", "digits", "--workdir", tmp_path / "new"],
        ["evaluate", "--workdir", trained],
        ["demo", "--workdir", tmp_path / "demo"],
    ):
        given = stopped(monkeypatch, capsys, argv, KeyboardInterrupt())
        assert given == (130, "darts-tf: stopped\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_says_itself_what_is_kept(monkeypatch, capsys, folder, number, status):
    error = Interrupted(" after step 3 of 8 of epoch 1; everything is kept", number)
    given = stopped(monkeypatch, capsys, ["search", "--workdir", folder, "--resume"], error)
    line = "darts-tf: stopped after step 3 of 8 of epoch 1; everything is kept\n"
    assert given == (status, line)
