"""Hyperparameters: values of trials, their event files for TensorBoard, invalid arguments."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import tensorflow as tf
from cli_helpers import one_line_of_wrong_use
from one_node_genotype import ONE_NODE
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from darts_tf.cli.arguments import parse
from darts_tf.cli.main import main
from darts_tf.configs import SearchConfig, TrainConfig
from darts_tf.runs import files
from darts_tf.runs.metrics import append_metrics, append_time
from darts_tf.studies import tuning

TRAIN = ("tune", "--of", "train", "--preset", "tiny")
SEARCH = ("tune", "--of", "search", "--preset", "tiny")
RATES = ("--over", "learning_rate=0.01..0.1:log", "channels=2,4", "average_decay=none,0.9")


def table(folder):
    return [json.loads(line) for line in (folder / files.TRIALS_TABLE).read_text().splitlines()]


def read_back(folder):
    """Reads a trial's hyperparameters and score from its event files."""
    events = EventAccumulator(str(folder)).Reload()
    content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    info = metadata.parse_session_start_info_plugin_data(content)
    values = {name: getattr(v, v.WhichOneof("kind")) for name, v in info.hparams.items()}
    (score,) = events.Tensors("valid_accuracy")
    return values, float(tf.make_ndarray(score.tensor_proto))


def test_trials_are_ordinary_trainings_that_hparams_shows(tmp_path, capsys):
    ONE_NODE.save(tmp_path / "one_node.json")
    words = [*TRAIN, "--genotype", str(tmp_path / "one_node.json"), *RATES, "--set", "flip=true"]
    folder = tmp_path / "study"
    assert main([*words, "--budget", "trials=2", "--workdir", str(folder)]) == 0
    for line in table(folder):
        run = TrainConfig.from_dict(
            files.read_json(folder / files.TRIALS / line["trial"] / files.CONFIG)
        )
        assert {name: getattr(run, name) for name in line["settings"]} == line["settings"]
        assert (run.flip, run.validation_split) == (True, 0.2)
        values, score = read_back(folder / "tensorboard" / line["trial"])
        assert score == pytest.approx(line["valid_accuracy"])
        shown = {name: "none" if v is None else v for name, v in line["settings"].items()}
        assert values == shown
    best = max(table(folder), key=lambda line: line["valid_accuracy"])
    found = {"flip": True, **best["settings"]}
    assert files.read_json(folder / files.BEST)["settings"] == found
    command = shlex.split(capsys.readouterr().out.splitlines()[-1].removeprefix("next: "))
    again = parse(TrainConfig, command[2:], "darts-tf train")
    assert {name: getattr(again, name) for name in found} == found


@pytest.fixture
def searches(monkeypatch):
    """Replaces runs by a function that writes the files of a finished search; lists settings."""
    seen = []

    def run(config):
        seen.append(config)
        files.write_json(config.workdir / files.CONFIG, config.to_dict())
        for epoch in range(config.epochs):
            append_metrics(config.workdir, {"epoch": epoch, "valid_accuracy": config.channels})
        append_time(config.workdir, 0, 1.0)
        (config.workdir / files.ALPHAS).touch()

    monkeypatch.setattr(tuning, "_run", run)
    return seen


@pytest.mark.parametrize(
    "method",
    [
        "hyperband",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("evolution", "bayesian")),
    ],
)
def test_every_method_tunes_searches(tmp_path, searches, method):
    words = [*SEARCH, "--over", "channels=2..64", "flip=true,false", "--set", "epochs=3"]
    options = ["--method", method, "--population", "4", "--sample", "2", "--budget", "trials=8"]
    assert main([*words, *options, "--workdir", str(tmp_path)]) == 0
    assert len(searches) == 8
    assert all(isinstance(config, SearchConfig) for config in searches)
    best = max(config.channels for config in searches)
    assert files.read_json(tmp_path / files.BEST)["settings"]["channels"] == best
    assert main(["tune", "--workdir", str(tmp_path), "--resume", "--budget", "trials=9"]) == 0
    assert len(searches) == 9


def test_settings_that_cannot_go_together_reach_nothing(tmp_path, searches, capsys):
    words = [*SEARCH, "--over", "channels=2,4", "partial_channels=1,2,4", "--budget", "trials=9"]
    assert main([*words, "--workdir", str(tmp_path)]) == 0
    (bad,) = (line for line in table(tmp_path) if line["valid_accuracy"] == 0)
    assert bad["settings"] == {"channels": 2, "partial_channels": 4}
    assert len(table(tmp_path)) == 6
    assert "warning: trial " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*SEARCH, "--over", "chanels=2,4"], "Did you mean 'channels'?"),
        ([*SEARCH, "--over", "channels=2,-4"], "Expected channels to be positive"),
        ([*SEARCH, "--over", "channels=2,x"], "Expected channels to be an integer"),
        ([*SEARCH, "--over", "channels=2,4", "--set", "channels=2"], "in one of over and set"),
        ([*SEARCH, "--over", "channels=2,4", "--set", "epoch=2"], "Did you mean 'epochs'?"),
        ([*SEARCH, "--over", "channels=2,4", "--set", "dataset=pydoc"], "a dataset of images"),
        ([*SEARCH, "--over", "epochs=2,4", "--method", "hyperband"], "not to be chosen twice"),
        ([*SEARCH, "--over", "channels=2,4", "--genotype", "DARTS_V2"], "Expected genotype with"),
        (["tune", "--of", "train", "--over", "channels=2,4"], "Expected genotype for of=train"),
        ([*SEARCH, "--over", "channels=2,4", "--preset", "imagenet"], "preset='imagenet'"),
    ],
)
def test_wrong_use_is_told_in_one_line_before_anything_is_written(tmp_path, capfd, words, message):
    line = one_line_of_wrong_use(capfd, [*words, "--workdir", tmp_path / "study"])
    assert re.search(message.replace("?", r"\?"), line), line
    assert not (tmp_path / "study").exists()


def test_resume_of_another_study_is_refused(tmp_path, searches, capfd):
    words = [*SEARCH, "--over", "channels=2,4", "--budget", "trials=1", "--workdir", tmp_path]
    assert main(list(map(str, words))) == 0
    again = ["tune", "--workdir", tmp_path, "--resume", "--over", "channels=2,8"]
    assert "Expected over=['channels=2,4'], with which" in one_line_of_wrong_use(capfd, again)
    other = ["baseline", "--workdir", tmp_path, "--resume"]
    assert "field" in one_line_of_wrong_use(capfd, other)
    assert main(list(map(str, [*words, "--overwrite"]))) == 0


def test_trial_that_stops_early_or_has_stages_counts_as_made(tmp_path, monkeypatch):
    def run(config):
        files.write_json(config.workdir / files.CONFIG, config.to_dict())
        config.last_folder.mkdir(parents=True, exist_ok=True)
        line = {"epoch": 0, "valid_accuracy": config.channels}
        append_metrics(config.last_folder, line)
        append_time(config.last_folder, 0, 2.0)

    monkeypatch.setattr(tuning, "_run", run)
    for name, setting in (("stopped", "stop_skips=2"), ("staged", "stages=3:8:0,4:5:0.3")):
        words = [*SEARCH, "--over", "channels=2,4", "--budget", "trials=2"]
        words += ["--set", "epochs=3", setting, "--workdir", str(tmp_path / name)]
        assert main(words) == 0
        assert sorted(line["valid_accuracy"] for line in table(tmp_path / name)) == [2, 4]
        assert [line["seconds"] for line in table(tmp_path / name)] == [2, 2]
