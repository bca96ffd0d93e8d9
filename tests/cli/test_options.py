"""Options of every command, and completion in shells."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest
from cli_helpers import one_line_of_wrong_use, replace_commands
from hypothesis import given, settings
from hypothesis import strategies as st
from mostly_slow import mostly_slow

from darts_tf import configs
from darts_tf.cli import arguments, main
from darts_tf.cli.main import COMMANDS
from darts_tf.cli.options import Common, CommonOfJobs
from darts_tf.configs import SearchConfig, TextSearchConfig, TrainConfig
from darts_tf.errors import InputError


def printed(capsys, *argv) -> dict:
    assert main.main([*argv, "--print-config"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def ran(monkeypatch) -> list:
    records = []
    replace_commands(monkeypatch, lambda config: records.append(config) or 0)
    return records


@pytest.mark.parametrize(
    "argv",
    [
        ["search", "--workdir", "run", "--preset", "p-darts", "--flip"],
        ["search", "--workdir", "run", "--dataset", "pydoc", "--epochs", "3"],
        [
            "train",
            "--workdir",
            "run",
            "--genotype",
            "DARTS_V2",
            "--preset",
            "cifar10",
            "--max-macs",
            "600M",
        ],
        ["predict", "--model", "folder", "a.png", "b.png"],
        ["select", "--workdir", "run", "--dataset", "digits", "--seeds", "1,2"],
    ],
    ids=lambda argv: "-".join(argv[:1]),
)
def test_printed_settings_are_those_of_the_same_command(capsys, tmp_path, ran, argv):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(printed(capsys, *argv)))
    assert printed(capsys, argv[0], "--config", str(settings)) == json.loads(settings.read_text())
    assert main.main(argv) == main.main([argv[0], f"--config={settings}"]) == 0
    assert ran[0] == ran[1]


@settings(max_examples=20, deadline=None)
@given(
    epochs=st.integers(1, 10**6),
    rate=st.floats(1e-3, 1),
    flip=st.booleans(),
    limit=st.none() | st.integers(1, 10**6),
)
def test_file_takes_any_settings_and_flags_go_before_it(
    tmp_path_factory, epochs, rate, flip, limit
):
    config = SearchConfig(
        workdir="run",
        epochs=epochs,
        learning_rate=rate,
        learning_rate_min=0,
        flip=flip,
        limit=limit,
    )
    file = tmp_path_factory.mktemp("settings") / "settings.json"
    file.write_text(json.dumps(config.to_dict()))
    assert arguments.parse(SearchConfig, [], "x", file) == config
    changed = arguments.parse(SearchConfig, ["--workdir", "other", "--seed=7"], "x", file)
    assert changed == dataclasses.replace(config, workdir="other", seed=7)


def test_file_goes_before_the_preset_that_it_or_a_flag_names(tmp_path):
    (file := tmp_path / "a.json").write_text('{"epochs": 7, "workdir": "run"}')
    made = arguments.parse(SearchConfig, ["--preset", "cifar10"], "x", file)
    assert made == SearchConfig.from_preset("cifar10", workdir="run", epochs=7)
    file.write_text('{"preset": "cifar10", "workdir": "run"}')
    assert arguments.parse(SearchConfig, [], "x", file).epochs == 50
    file.write_text('{"dataset": "pydoc", "workdir": "run"}')
    assert isinstance(arguments.parse(SearchConfig, [], "x", file), TextSearchConfig)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", r"a.json: Expected a JSON object of settings. Received: \[1\]"),
        ("{", r"a.json: Expected JSON. Received: "),
        ('{"epoch": 3}', r"a.json: Expected field to be one of .*Did you mean 'epochs'\?"),
        ('{"epochs": "x"}', r"a.json: Expected epochs to be an integer. Received: epochs='x'"),
        ('{"preset": ["tiny"]}', r"a.json: Expected preset to be one of .*"),
        ('{"preset": "tiny", "dataset": 3}', r"a.json: Expected dataset to be a text. Received"),
    ],
)
def test_file_that_cannot_be_used_is_told_in_one_line(tmp_path, text, message):
    (file := tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=message):
        arguments.parse(SearchConfig, ["--workdir", "run"], "x", file)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--config", "nowhere.json"], "'nowhere.json', which is not there"),
        (["--config"], "Missing value for argument '--config'"),
        (["--config", "FILE", "--resume"], "Expected one of --config and --resume"),
        (["--config", "FILE", "--preset", "cifar10"], "Expected the preset of the settings in"),
        (["--quiet", "--json"], "Expected one of --quiet and --json. Received: both"),
        (["--dataset", "digits", "--arch-gradient", "first_ordr"], "Did you mean 'first_order'?"),
        (["--epoch", "3"], "Did you mean --epochs?"),
    ],
)
def test_wrong_use_is_told_in_one_line(capsys, tmp_path, argv, message):
    (file := tmp_path / "a.json").write_text('{"preset": "tiny"}')
    words = [str(file) if word == "FILE" else word for word in argv]
    said = one_line_of_wrong_use(capsys, ["search", "--workdir", str(tmp_path / "run"), *words])
    assert message in said


@pytest.mark.parametrize(
    ("raised", "status"), [(InputError("Expected x."), 2), (KeyboardInterrupt(), 130)]
)
def test_programs_are_told_of_a_failure_too(monkeypatch, capsys, raised, status):
    def fail(config):
        raise raised

    replace_commands(monkeypatch, fail)
    assert main.main(["select", "--workdir", "run", "--dataset", "digits", "--json"]) == status
    told, line = capsys.readouterr()
    event = json.loads(told)
    assert (event["event"], event["status"]) == ("failure", status)
    assert f"darts-tf: {event['text']}\n" == line


def test_what_is_wrong_about_settings_is_an_event(capsys):
    assert main.main(["select", "--workdir", "run", "--json", "--preset", "tyni"]) == 2
    assert "Did you mean 'tiny'?" in json.loads(capsys.readouterr().out)["text"]
    assert main.main(["select", "--workdir", "run", "--preset", "tyni"]) == 2
    assert capsys.readouterr().out == ""


def test_common_options_are_found_anywhere_and_leave_the_rest_in_order():
    argv = ["a.json", "--json", "--lr=3", "--plugin", "a.py", "-3", "--plugin=b.py", "b"]
    found, left = arguments.common(CommonOfJobs, argv)
    assert left == ["a.json", "--lr=3", "-3", "b"]
    assert (found.mode, [str(path) for path in found.plugin]) == ("json", ["a.py", "b.py"])
    assert arguments.common(Common, ["--json", "--quiet"])[1] == ["--json", "--quiet"]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "launch"])
def test_help_lists_the_common_options_of_a_command(capsys, name):
    assert main.main([name, "--help-all"]) == 0
    shown = capsys.readouterr().out
    assert "--print-config" in shown
    assert ("--json" in shown) == (name in (*main.JOBS, "doctor"))


def test_no_config_has_a_common_option_as_a_field():
    names = {field.name for field in dataclasses.fields(Common)}
    for name in main.JOBS:
        config_class = getattr(configs, COMMANDS[name][0])
        fields = {field.name for field in dataclasses.fields(config_class)}
        assert not fields & {field.name for field in dataclasses.fields(CommonOfJobs)}
    for config_class in (getattr(configs, each) for each, _ in COMMANDS.values()):
        assert not {field.name for field in dataclasses.fields(config_class)} & names


# Completion

COMPLETE = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_tyro_darts_tf; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    if not shutil.which("bash"):
        pytest.skip("there is no bash")
    script = tmp_path_factory.mktemp("shell") / "completion.bash"
    with script.open("w") as file:
        words = [sys.executable, "-m", "darts_tf.cli", "completion", "bash"]
        done = subprocess.run(words, stdout=file, env=dict(os.environ), check=False)
    assert done.returncode == 0

    def completed(words):
        asked = COMPLETE.format(script=script, words=words)
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
        return done.stdout.split()

    return completed


@mostly_slow(
    (1, 2, 3),
    ("words", "expected"),
    [
        ("darts-tf se", {"search", "select", "serve"}),
        ("darts-tf search --arch-gr", {"--arch-gradient"}),
        ("darts-tf search --arch-gradient fi", {"first_order", "finite_difference"}),
        ("darts-tf search --print", {"--print-config"}),
        ("darts-tf search --time-s", {"--time-steps"}),
    ],
)
def test_bash_completes(bash, words, expected):
    assert set(bash(words)) == expected


@mostly_slow(1, "shell", ["zsh", "fish"])
def test_other_shells_get_a_script_with_every_command(capsys, shell):
    assert main.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)


def test_training_settings_are_refused_as_those_of_a_search(tmp_path):
    (file := tmp_path / "a.json").write_text(
        json.dumps(TrainConfig(workdir="run", genotype="DARTS_V2").to_dict())
    )
    with pytest.raises(InputError, match="Expected field to be one of"):
        arguments.parse(SearchConfig, ["--workdir", "run"], "x", file)
