"""Baselines: trials that are created, resumed and skipped, by one process and by workers."""

from __future__ import annotations

import json
import os
import signal
import socket

import pytest
from cli_helpers import one_line_of_wrong_use
from kill_and_resume import finished, started

from darts_tf.cli.commands import baseline as program
from darts_tf.cli.main import main
from darts_tf.configs import BaselineConfig, SearchConfig
from darts_tf.errors import InputError
from darts_tf.runs import files
from darts_tf.runs.metrics import append_metrics, append_time
from darts_tf.runtime.signals import Diverged, Interrupted
from darts_tf.spaces.genotype import Genotype
from darts_tf.spaces.zoo import load_genotype
from darts_tf.studies import workers
from darts_tf.studies.study import allowance_of
from darts_tf.studies.workers import ORACLE_IP, ORACLE_PORT, TUNER_ID

TINY = ("baseline", "--preset", "tiny", "--dataset", "digits")


def table(folder):
    return [json.loads(line) for line in (folder / files.TRIALS_TABLE).read_text().splitlines()]


@pytest.fixture
def trainings(monkeypatch):
    """Replaces trainings by a function that writes the files of a finished run; lists the calls."""
    seen = []

    def train(config, genotype, dataset):
        seen.append((config, genotype))
        files.write_json(config.workdir / files.CONFIG, config.to_dict())
        if len(seen) == 3:
            raise Interrupted("")
        if len(seen) == 5:
            append_time(config.workdir, 0, 2.0)
            raise Diverged
        append_time(config.workdir, 0, 10.0)
        for epoch in range(config.epochs):
            accuracy = 0.5 if len(seen) == 2 else len(seen) / 100
            append_metrics(config.workdir, {"epoch": epoch, "valid_accuracy": accuracy})
        (config.workdir / files.MODEL).touch()

    monkeypatch.setattr(program, "_train", train)
    return seen


def test_study_goes_on_where_it_was_stopped_and_further(tmp_path, trainings, capsys):
    folder = tmp_path / "study"
    options = ["--workdir", str(folder)]
    assert main([*TINY, *options, "--budget", "trials=4"]) == 130
    assert f"; completed work is kept, and --workdir {folder} --resume" in capsys.readouterr().err
    assert [line["trial"] for line in table(folder)] == ["0000", "0001"]
    assert main(["baseline", *options, "--resume"]) == 0
    assert [config.workdir.name for config, _ in trainings] == [
        *("0000", "0001", "0002", "0002", "0003"),
    ]
    assert trainings[2][1] == trainings[3][1]
    assert [config.resume for config, _ in trainings] == [False, False, False, True, False]
    assert [line["seconds"] for line in table(folder)] == [10, 10, 10, 2]
    assert [line["valid_accuracy"] for line in table(folder)] == [0.01, 0.5, 0.04, 0]  # diverged
    assert [Genotype(**line["genotype"]) for line in table(folder)] == [
        genotype for i, (_, genotype) in enumerate(trainings) if i != 2
    ]
    assert load_genotype(folder / files.GENOTYPE) == trainings[1][1]
    assert main(["baseline", *options, "--resume", "--budget", "trials=5"]) == 0
    assert len(trainings) == 6
    out = capsys.readouterr().out
    line = "trial 0004  validation accuracy 6.0%  10 s  best 50.0% (trial 0001)  0 trials left"
    assert line in out
    last = out.splitlines()[-1]
    assert last.startswith(f"next: darts-tf train --genotype {folder} --preset ")
    assert f" --workdir {folder}-train" in last


def test_hyperband_gives_epochs_and_time_ends_a_study(tmp_path, trainings, monkeypatch):
    trainings += [(None, None)] * 10
    settings = ["--epochs", "9", "--method", "hyperband", "--budget", "time=105s"]
    assert main([*TINY, *settings, "--workdir", str(tmp_path)]) == 0
    epochs = [line["epochs"] for line in table(tmp_path)]
    assert len(epochs) == 11
    assert [config.epochs for config, _ in trainings[10:]] == epochs
    assert set(epochs) <= {1, 3, 9}


def test_budget_like_a_search_is_its_time(tmp_path, trainings, capfd):
    search = tmp_path / "search"
    begun = {"dataset": "digits", "workdir": "x", "seed": 0, "arch_gradient": "first_order"}
    begun |= {"epochs": 2, "stop_skips": 1}
    files.write_json(search / files.CONFIG, begun)
    words = [*TINY, "--workdir", tmp_path / "study", "--budget", f"like={search}"]
    assert "one that has not finished" in one_line_of_wrong_use(capfd, words)
    for epoch in range(2):
        append_metrics(search, {"epoch": epoch})
    assert "one without times.jsonl" in one_line_of_wrong_use(capfd, words)
    append_time(search, 0, 15.0)
    assert main(list(map(str, words))) == 0
    assert len(trainings) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", "fast"], "Expected a budget as in trials=20, .* Received: 'fast'"),
        (
            ["--budget", "like=nowhere"],
            "the folder of a finished search. Received: 'nowhere', none",
        ),
        (["--budget", "epochs=2", "--epochs", "3"], "Expected a budget for one trial at least"),
        (["--method", "grid"], "grid"),
        (["--validation-split", "0"], "Expected validation_split to be above zero"),
        (["--population", "2", "--sample", "3"], "Expected sample to be at most population=2"),
    ],
)
def test_bad_settings_are_told_in_one_line(tmp_path, capfd, words, message):
    import re

    assert re.search(message, one_line_of_wrong_use(capfd, [*TINY, "--workdir", tmp_path, *words]))
    assert list(tmp_path.iterdir()) == []


def test_folder_of_another_study_is_refused(tmp_path, trainings, capfd):
    assert main([*TINY, "--workdir", str(tmp_path), "--budget", "trials=2"]) == 0
    again = ["baseline", "--workdir", tmp_path, "--resume"]
    line = one_line_of_wrong_use(capfd, [*again, "--method", "evolution"])
    assert "Expected method='random', with which the run started" in line
    line = one_line_of_wrong_use(capfd, ["search", "--workdir", tmp_path, "--resume"])
    assert "Expected the settings of a search. Received: those of a baseline" in line
    line = one_line_of_wrong_use(capfd, [*TINY, "--workdir", tmp_path])
    assert "which is not empty" in line


def test_environment_that_says_half_is_refused(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv(ORACLE_IP, "127.0.0.1")
    line = one_line_of_wrong_use(capfd, [*TINY, "--workdir", tmp_path])
    assert f"Expected all of {TUNER_ID}, " in line


@pytest.mark.slow
def test_killed_study_repeats_nothing_that_it_had_finished(tmp_path):
    """Kills a real process with real trainings."""
    words = [*TINY, "--workdir", tmp_path, "--deterministic"]
    process = started(*words, "--budget", "trials=3")
    for line in process.stdout:
        if line.startswith("trial 0000"):
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.communicate(timeout=60)
    times = (tmp_path / files.TRIALS / "0000" / files.TIMES).read_bytes()
    out = finished("baseline", "--workdir", tmp_path, "--resume", "--budget", "trials=2")
    assert "trial 0000  " not in out
    assert "trial 0001  " in out
    assert (tmp_path / files.TRIALS / "0000" / files.TIMES).read_bytes() == times
    best = max(table(tmp_path), key=lambda line: line["valid_accuracy"])
    assert load_genotype(tmp_path / files.GENOTYPE) == Genotype(**best["genotype"])
    config = BaselineConfig.from_dict(files.read_json(tmp_path / files.CONFIG))
    assert config.budget == "trials=2"


@pytest.mark.slow
def test_worker_makes_what_the_chief_chooses(tmp_path, capsys, monkeypatch):
    """The chief is another process, for which the worker waits."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {ORACLE_IP: "127.0.0.1", ORACLE_PORT: str(port)}
    words = [*TINY, "--workdir", str(tmp_path / "study"), "--budget", "trials=2"]
    chief = started(*words, **place, **{TUNER_ID: "chief"})
    monkeypatch.setattr(workers, "CHIEF_SECONDS", 60)
    for name, value in {**place, TUNER_ID: "worker-0"}.items():
        monkeypatch.setenv(name, value)
    try:
        assert main(words) == 0
        made, chosen = capsys.readouterr().out, chief.communicate(timeout=60)[0]
    finally:
        chief.kill()
    assert chief.returncode == 0, chosen
    for name in ("0000", "0001"):
        assert made.count(f"trial {name}  ") == 1
        log = tmp_path / "study" / files.TRIALS / name / files.METRICS
        assert len(log.read_text().splitlines()) == 1
    assert [line["trial"] for line in table(tmp_path / "study")] == ["0000", "0001"]
    assert "best of 2: trial" in chosen
    assert load_genotype(tmp_path / "study" / files.GENOTYPE)


@pytest.mark.parametrize("staged", [False, True])
def test_searches_that_stopped_early_or_had_stages_have_a_time(tmp_path, staged):
    begun = SearchConfig.from_preset(
        "tiny", workdir=tmp_path, epochs=9, stop_skips=1, stages=("3:8:0", "4:5:0.3") * staged
    )
    files.write_json(tmp_path / files.CONFIG, begun.to_dict())
    begun.last_folder.mkdir(parents=True, exist_ok=True)
    for epoch, skips in enumerate((0, 2)):
        with pytest.raises(InputError, match="one that has not finished"):
            allowance_of(f"like={tmp_path}")
        line = {"epoch": epoch, "skips_normal": skips}
        append_metrics(begun.last_folder, line)
        append_time(begun.last_folder, epoch, 3.0)
    assert allowance_of(f"like={tmp_path}") == ("seconds", 6.0)
