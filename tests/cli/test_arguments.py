"""The command line: flags become configs; invalid arguments print one line, with status 2."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
from cli_helpers import replace_commands

from darts_tf import configs
from darts_tf.cli import help as cli_help
from darts_tf.cli import main as program
from darts_tf.cli import startup
from darts_tf.cli.main import COMMANDS, JOBS, main
from darts_tf.configs import TrainConfig
from darts_tf.configs.base import GROUPS, Config, trait
from darts_tf.errors import InputError
from darts_tf.runtime.signals import Interrupted

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEARCH = ["search", "--dataset", "digits"]
TRAIN = ["train", "--workdir", "run", "--genotype", "DARTS_V2", "--dataset", "digits"]


DATA = ["--dataset", "digits", "--workdir", "run"]


@pytest.fixture
def ran(monkeypatch) -> list:
    """Replaces every command by one that records its config; returns the list of records."""
    records = []
    replace_commands(monkeypatch, lambda config: records.append(config) or 0)
    return records


def python(*words: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs Python in a new process at the repository's root."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# Flags and configs


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (
            [*SEARCH, "--workdir", "run"],
            configs.SearchConfig(workdir="run"),
        ),
        (
            [
                *["search", "--workdir=a b", "--preset=digits"],
                *["--arch-gradient", "first_order", "--learning-rate=.5"],
            ],
            configs.SearchConfig(workdir="a b", arch_gradient="first_order", learning_rate=0.5),
        ),
        (
            [
                *["search", "--workdir", "run", "--preset", "tiny", "--dataset", "digits"],
                *["--flip", "--image_size", "32"],
            ],
            configs.SearchConfig.from_preset("tiny", workdir="run", flip=True, image_size=32),
        ),
        (
            [*TRAIN, "--preset=cifar10", "--no-flip", "--no-auxiliary", "--limit", "9"],
            configs.TrainConfig.from_preset(
                *["cifar10"],
                **{"workdir": "run", "genotype": "DARTS_V2", "limit": 9, "dataset": "digits"},
                **{"flip": False, "auxiliary": False},
            ),
        ),
        (["evaluate", "--workdir", "run"], configs.EvaluateConfig(workdir="run")),
        (
            ["export", "--workdir", "run", "--output", "out", "--format", "tflite", "saved_model"],
            configs.ExportConfig(workdir="run", output="out", format=("tflite", "saved_model")),
        ),
        (
            ["predict", "--model", "run", "a.png", "./-b.png", "c d.png"],
            configs.PredictConfig(model="run", images=("a.png", "./-b.png", "c d.png")),
        ),
        (
            ["predict", "a.png", "--model", "run", "--top", "1"],
            configs.PredictConfig(model="run", images=("a.png",), top=1),
        ),
        (
            ["predict", "--url", "grpc://host", "--name", "flowers", "a.png"],
            configs.PredictConfig(url="grpc://host", name="flowers", images=("a.png",)),
        ),
        (
            ["serve", "--model", "run", "--port", "0", "--quiet", "--server", "embedded"],
            configs.ServeConfig(model="run", port=0, quiet=True, server="embedded"),
        ),
        (
            ["inspect", "--genotype", "PDARTS", "--image-channels", "1"],
            configs.InspectConfig(genotype="PDARTS", image_channels=1),
        ),
    ],
)
def test_flags_become_the_config(ran, argv, expected):
    assert main(argv) == 0
    assert ran == [expected]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["evaluate", "run"], configs.EvaluateConfig(workdir="run")),
        (["train", "V", *DATA], TrainConfig(genotype="V", workdir="run")),
        (["train", "--flip", "V", *DATA], TrainConfig(genotype="V", workdir="run", flip=True)),
        (
            ["compare", "--train", "V", "W", *DATA],
            configs.CompareConfig(genotypes=("V", "W"), workdir="run", train=True),
        ),
        (["plot", "--genotype", "V"], configs.PlotConfig(genotype="V")),
        (["report", "--runs", "a", "b"], configs.ReportConfig(runs=("a", "b"))),
        (["serve", "e", "--port", "0"], configs.ServeConfig(model="e", port=0)),
    ],
)
def test_what_is_meant_is_given_by_position_or_flag(ran, argv, expected):
    assert main(argv) == 0
    assert ran == [expected]


# Help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_field_is_in_the_commands_whole_help(name, capsys):
    assert main([name, "--help-all"]) == 0
    shown = capsys.readouterr().out
    for field in dataclasses.fields(getattr(configs, COMMANDS[name][0])):
        assert f"--{field.name.replace('_', '-')}" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_short_in_words_and_fits_a_terminal(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("  -") or "  or  --" in line for line in lines) <= 20
    assert max(map(len, lines)) <= 80
    assert not re.search(r"\{|\||None|MISSING|--(\S+), --no-\1", "\n".join(lines))


def test_help_has_groups_and_says_where_the_rest_is(capsys):
    assert main(["search", "--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"\n{group}:\n") for group in GROUPS if group != "files of settings"]
    assert places == sorted(places)
    assert "darts-tf search --help-all shows " in shown
    assert "--word-dropout" not in shown
    assert main(["search", "--dataset", "pydoc", "--help-all"]) == 0
    assert "--word-dropout NUMBER" in capsys.readouterr().out


def test_every_setting_of_a_long_command_has_a_group():
    for name in JOBS:
        config_class = getattr(configs, COMMANDS[name][0])
        for each in (config_class, configs.ON_TEXT.get(config_class, config_class)):
            fields = [field.name for field in dataclasses.fields(each)]
            if len(fields) > cli_help.SHORT:
                assert [f for f in fields if trait(each, f, "group") not in GROUPS] == []


@pytest.mark.parametrize("argv", [[], ["help"], ["--help"], ["help", "--help"]])
def test_program_alone_shows_its_commands(argv, capsys):
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 80


def test_help_with_a_command_is_that_of_the_command(capsys):
    assert main(["help", "plot"]) == 0
    shown = capsys.readouterr().out
    assert main(["plot", "--help"]) == 0
    assert shown == capsys.readouterr().out
    assert main(["help", "plto"]) == 2


def test_help_shows_the_defaults_of_the_preset(capsys):
    assert main(["train", "--preset", "cifar10", "--help"]) == 0
    assert "Default: 600." in capsys.readouterr().out
    assert main(["train", "-h"]) == 0
    assert "Default: 600." not in capsys.readouterr().out


def test_help_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    main(["search", "--help-all"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 70


def test_every_command_has_its_file_and_config():
    for name, (config, _) in COMMANDS.items():
        assert (ROOT / "cli" / "commands" / f"{name}.py").is_file()
        assert issubclass(getattr(configs, config), Config)


# Invalid arguments


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["serch"], "Received: command='serch'. Did you mean 'search'?"),
        (
            ["--verbose"],
            "Expected command to be one of demo, search, .*Received: command='--verbose'",
        ),
        (["search"], r"--workdir FOLDER \(folder where the run is kept\) and --dataset DATA \("),
        (["train"], r"--workdir FOLDER .* and --genotype GENOTYPE .* and --dataset DATA .*none$"),
        (["predict", "a.png"], "Expected one of --model and --url. Received: none"),
        (["predict", "--model", "run"], "Expected one image file or more. Received: none"),
        (["search", "--wrkdir", "run"], "Received: --wrkdir. Did you mean --workdir?"),
        ([*TRAIN, "--no-flp"], "Received: --no-flp. Did you mean --no-flip?"),
        ([*TRAIN, "--no-epochs"], "Received: --no-epochs."),
        ([*TRAIN, "--xyzzy=3"], "Received: --xyzzy.$"),
        ([*TRAIN, "--preset", "tinny"], "Received: preset='tinny'. Did you mean 'tiny'?"),
        ([*TRAIN, "--preset"], "--preset"),
        ([*TRAIN, "--channels", "many"], "--channels to be a whole number. Received: .*='many'"),
        ([*TRAIN, "--cutout", "1.5"], "--cutout to be a whole number. Received: .*='1.5'"),
        ([*TRAIN, "--drop-path", "x"], "--drop-path to be a number. Received: .*='x'"),
        ([*TRAIN, "--channels"], "--channels"),
        ([*TRAIN, "--channels", "0"], "Expected channels to be positive. Received: channels=0"),
        ([*TRAIN, "--learning-rate", "-1"], "Expected learning_rate to be positive"),
        ([*TRAIN, "--learning-rate", "nan"], "Expected learning_rate to be a finite number"),
        ([*TRAIN, "--stem", "resnet"], "--stem to be one of cifar, .*--stem='resnet'"),
        ([*TRAIN, "stray"], "stray"),
        ([*TRAIN, "--flip", "yes"], "yes"),
        ([*TRAIN, "--overwrite", "--resume"], "Expected workdir to hold a run to resume"),
        (["search", "--resume"], "Expected --workdir FOLDER .*. Received: none"),
        ([*TRAIN, "stray"], "Expected a flag before every value, .* Received: stray"),
        (
            ["export", "--workdir", "run", "--output", "o", "--format", "onnx"],
            "--format to be one of .*tflite.*'onnx'",
        ),
        (["export", "--workdir", "run", "--output", "o", "--format"], "Expected format to"),
        (
            [*SEARCH, "--workdir", "w" * 300, "--cells", "1"],
            "Expected cells to be 3 or more",
        ),
    ],
)
def test_wrong_use_is_one_line_and_status_2(ran, capsys, argv, message):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert ran == []
    lines = err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("darts-tf: error: ")
    assert re.search(message, lines[0])
    assert not set("│╭╰─") & set(lines[0])


def failing(monkeypatch, error: BaseException) -> None:
    """Makes every command raise an error."""

    def run(config):
        raise error

    replace_commands(monkeypatch, run)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("Expected a\n  b. Received: c"), 2, "error: Expected a b. Received: c\n"),
        (InputError("Received: \x1b[2Ja\x07"), 2, "error: Received: \\x1b[2Ja\\x07\n"),
        (ValueError("no\nb"), 1, "failed: ValueError: no (DARTS_TF_DEBUG=1 shows where)\n"),
        (RuntimeError("boom\nlong story"), 1, "failed: RuntimeError: boom (DARTS_TF_DEBUG=1 sho"),
        (OSError(28, "No space left"), 1, "failed: OSError: [Errno 28] No space left"),
        (KeyError(), 1, "failed: KeyError: no message"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (Interrupted(" after step 3 of 8"), 130, "stopped after step 3 of 8\n"),
        (Interrupted(" after step 1", signal.SIGTERM), 143, "stopped after step 1\n"),
        (Interrupted(" after step 1", signal.SIGHUP), 129, "stopped after step 1\n"),
    ],
)
def test_failure_is_one_line_and_its_status(monkeypatch, capsys, tmp_path, error, status, line):
    failing(monkeypatch, error)
    assert main(["search", "--workdir", str(tmp_path / "run"), "--dataset", "digits"]) == status
    err = capsys.readouterr().err
    assert err.startswith(f"darts-tf: {line}")
    assert len(err.splitlines()) == 1


def test_debug_shows_the_traceback(monkeypatch, capsys):
    monkeypatch.setenv(program.DEBUG, "1")
    failing(monkeypatch, RuntimeError("boom"))
    assert main([*SEARCH, "--workdir", "run"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1] == "darts-tf: failed: RuntimeError: boom"


# The process: imports and output


@pytest.mark.parametrize(
    ("argv", "too_heavy"),
    [
        (["--help"], {"tensorflow", "keras", "numpy", "rich", "tyro"}),
        (["--version"], {"tensorflow", "keras", "numpy", "rich", "tyro"}),
        (["train", "--help"], {"tensorflow", "keras", "numpy"}),
        (["train", "--wrong"], {"tensorflow", "keras", "numpy"}),
    ],
)
def test_start_imports_nothing_heavy(argv, too_heavy):
    check = f"import sys; from darts_tf.cli.main import main; main({argv}); print(*sys.modules)"
    loaded = python("-c", check).stdout.split()
    assert "darts_tf.cli.main" in loaded
    assert not too_heavy & set(loaded)


def test_module_runs_as_the_program():
    shown = python("-m", "darts_tf.cli", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert all(f"  {name} " in shown.stdout for name in COMMANDS)
    wrong = python("-m", "darts_tf.cli", "search")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("darts-tf: error: Expected --workdir FOLDER (")


def test_reader_that_goes_away_leaves_no_noise():
    with subprocess.Popen(
        [sys.executable, "-m", "darts_tf.cli", "--help"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in (0, 1)


def test_tensorflow_starts_without_a_word_on_stderr():
    start = "from darts_tf.cli import startup; startup.start_tensorflow()"
    check = f"{start}; import tensorflow; print('started')"
    started = python("-c", check)
    assert (started.stdout, started.stderr) == ("started\n", "")


def test_held_stderr_comes_out_when_the_block_fails(capfd):
    with startup.held_stderr():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""

    def fail():
        with startup.held_stderr():
            os.write(2, b"the reason")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    os.write(2, b", and on")
    assert capfd.readouterr().err == "the reason, and on"
